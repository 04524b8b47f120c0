"""Raw files: found by path, glob or list; refused in words where there is nothing to read."""

import pytest
from raw import conll, corpora, text

from pipeline.config import parse
from pipeline.errors import InputError
from pipeline.raw.sources import Corpus, data_files, files_of, read_corpora

LABELLED = ("Ada/B-PER ran/O", "To/O Oslo/B-LOC")


def refused(named, raw):
    with pytest.raises(InputError) as error:
        read_corpora(corpora(**named), str(raw))
    return str(error.value)


def test_paths_globs_and_lists_name_files_once_and_in_order(tmp_path):
    b, a = (text(tmp_path / name, "x") for name in ("b.txt", "a.txt"))
    assert [str(path) for path in files_of(f"{tmp_path}/*.txt", "k")] == [a, b]
    assert [str(path) for path in files_of((b, f"{tmp_path}/**/*.txt"), "k")] == [b, a]


def test_a_name_with_the_letters_of_a_glob_is_a_name_first(tmp_path):
    path = text(tmp_path / "[en] news?.txt", "x")
    assert [str(found) for found in files_of(path, "k")] == [path]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.conll", "corpora.en.train: expected the file {}/none.conll, found none"),
        ("*.conll", "corpora.en.train: expected files that match {}/*.conll, found none"),
        ("", "corpora.en.train: expected a file, found the folder {}; say {}/*"),
    ],
)
def test_what_names_no_file_is_refused(tmp_path, pattern, message):
    found = refused({"en": {"train": f"{tmp_path}/{pattern}"}}, tmp_path)
    assert found == message.format(tmp_path, tmp_path)


def test_a_file_outside_the_folder_that_dvc_watches_is_refused(tmp_path):
    path = conll(tmp_path / "elsewhere" / "train.conll", *LABELLED)
    found = refused({"en": {"train": path}}, tmp_path / "raw")
    assert "(prepare.raw), the folder whose changes rerun `prepare`; found " + path in found


def test_a_link_in_the_folder_may_point_anywhere(tmp_path):
    path = conll(tmp_path / "elsewhere" / "train.conll", *LABELLED)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train.conll").symlink_to(path)
    named = corpora(en={"train": f"{tmp_path}/raw/train.conll"})
    assert len(read_corpora(named, f"{tmp_path}/raw")) == 1


@pytest.mark.parametrize("content", ["", "\n\n \n"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "train.conll"
    path.write_text(content)
    assert f"{path}: expected sentences, found" in refused({"en": {"train": str(path)}}, tmp_path)


def test_labelled_splits_need_tags(tmp_path):
    path = text(tmp_path / "train.txt", "Ada ran home.", "She was late, though.")
    found = refused({"en": {"train": path}}, tmp_path)
    assert f"{path}:1: expected a tag for each word, found none; say which column in" in found


def test_a_corpus_needs_a_split_and_params_a_corpus(tmp_path):
    assert refused({"en": {}}, tmp_path).startswith("corpora.en: expected one of train, dev, test")
    assert refused({}, tmp_path) == "corpora: expected at least one corpus, found none"


def test_a_corpus_needs_the_name_of_a_folder(tmp_path):
    assert "found '../en'" in refused({"../en": {"train": "x"}}, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trian": "x"}, "en.trian: unknown key"),
        ({"train": 3}, "en.train: "),
        ({"format": {"kind": "xml"}}, "en.format.kind: expected one of"),
        ({"scheme": "iob9"}, "en.scheme: "),
        ({"max_transfer": 0}, "en.max_transfer: "),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(InputError) as error:
        parse(dict[str, Corpus], {"en": settings}, "params.yaml: corpora")
    assert message in str(error.value)


def test_scheme_and_outside_are_found_over_all_labelled_splits(tmp_path):
    # Alone, dev would pass for IOB2.
    splits = {
        "train": conll(tmp_path / "train.conll", "Ada/S-PER saw/O New/B-LOC York/E-LOC"),
        "dev": conll(tmp_path / "dev.conll", "To/O Kim/O Ada/B-PER Lovelace/E-PER"),
    }
    (reading,) = read_corpora(corpora(en=splits), str(tmp_path))
    assert reading.detected is not None
    assert reading.detected[:2] == ("bioes", "O")


def test_scheme_and_outside_may_be_told(tmp_path):
    train = conll(tmp_path / "train.conll", "Ada/PER ran/nil", "To/nil Oslo/LOC")
    named = corpora(en={"train": train, "outside": "nil"}, no={"train": train, "scheme": "flat"})
    detected = [reading.detected for reading in read_corpora(named, str(tmp_path))]
    assert [found and found[:2] for found in detected] == [("raw", "nil"), ("flat", "O")]


def test_a_folder_stands_for_its_data_files(tmp_path):
    for name in ("b.conll", "a.tsv", "LICENSE.txt", "README.txt", "notes.md"):
        text(tmp_path / "deep" / name, "x")
    assert [path.name for path in data_files(tmp_path)] == ["a.tsv", "b.conll"]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"none: expected files of \.conll"):
        data_files(tmp_path / "none")
