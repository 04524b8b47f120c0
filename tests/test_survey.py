"""`limbeck check`: what it counts, as tables and as JSON, and what it does with what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from raw import REASON, SHARED, conll, corpora, prepare, text

from pipeline.errors import InputError
from pipeline.raw.census import census, is_invisible
from pipeline.raw.detection import Detected, detect
from pipeline.raw.formats import guess
from pipeline.raw.rows import rows_of
from pipeline.raw.sentences import Sentence
from pipeline.raw.survey import overlaps
from stages.check import run_files, run_parameters

ROOT = Path(__file__).parents[1]
FOLDERS = [path for path in sorted(SHARED.glob("*")) if path.is_dir()]
NOTHING_TOLD = {"format": {}, "scheme": None, "outside": None}


def rows(*sentences, source="raw.conll"):
    """Rows of sentences such as `Ada/B-PER ran/O`, one a line."""
    split = [[word.rpartition("/")[::2] for word in sentence.split()] for sentence in sentences]
    made = [
        Sentence([w for w, _ in s], [t for _, t in s], source, [number] * len(s))
        for number, s in enumerate(split, start=1)
    ]
    return list(rows_of(made, Detected("iob2", "O", "")))


def test_a_census_counts_sentences_words_spans_and_copies():
    found = census(rows("Ada/B-PER Kim/I-PER ran/O", "Oslo/B-LOC", "AdaKim/O ran/O"))
    assert (found.sentences, found.words, found.duplicates) == (3, 6, 1)
    assert dict(found.labels) == {"LOC": 1, "PER": 1}
    assert (found.longest, found.longest_at) == (3, "raw.conll:1")
    assert {name: n for name, n in found.lengths.items() if n} == {"1": 1, "2-5": 2}


def test_lengths_fall_between_the_bounds():
    found = census(rows(*(" ".join(["w/O"] * n) for n in (1, 2, 5, 6, 200, 201, 5000))))
    assert list(found.lengths.items()) == [
        ("1", 1), ("2-5", 2), ("6-10", 1), ("11-20", 0), ("21-50", 0), ("51-100", 0),
        ("101-200", 1), ("201+", 2),
    ]  # fmt: skip


def test_faults_are_counted_by_kind_with_the_first_places():
    found = census(rows(*["Ada/I-PER ran/O"] * 5, "Ada/B-PER Kim/I-LOC"))
    assert [(kind, at.count) for kind, at in found.invalid.items()] == [
        ("I- without B-", 5),
        ("label changes inside an entity", 1),
    ]
    assert found.invalid["I- without B-"].first == ("raw.conll:1", "raw.conll:2", "raw.conll:3")


@pytest.mark.parametrize("word", ["", " ", "\ufeff", "\u200b", "\u00ad", "\ufe0f", "\u200d\x96"])
def test_words_that_nobody_sees(word):
    assert is_invisible(word)


@pytest.mark.parametrize("word", ["a", "-", "\ufffd", "\ue000", "e\u0301", "\u00adLinander", "👍"])
def test_words_that_are_seen(word):
    assert not is_invisible(word)


def test_overlaps_count_the_later_text_once_for_each_earlier_one():
    texts = {"a": rows("x/O", "x/O", "y/O"), "b": rows("x/O", "z/O"), "c": rows("x/O", "x/O")}
    assert [(o.first, o.second, o.sentences) for o in overlaps(texts)] == [
        ("a", "b", 1),
        ("a", "c", 2),
        ("b", "c", 2),
    ]


def checked(capsys, *paths, **told):
    """What the JSON says of some files."""
    run_files([Path(path) for path in paths], **(NOTHING_TOLD | told), json=True)
    return json.loads(capsys.readouterr().out)


def test_json_has_the_guess_and_the_counts(tmp_path, capsys):
    path = conll(tmp_path / "x.conll", "Ada/B-PER Kim/I-PER ran/O", "no/O one/I-LOC")
    (file,) = checked(capsys, path)["files"]
    assert file["file"]["format"] | {"kind": "conll", "word": 0, "tag": 1} == file["file"]["format"]
    assert (file["tagging"]["scheme"], file["tagging"]["outside"]) == ("iob2", "O")
    assert file["text"]["labels"] == {"LOC": 1, "PER": 1}
    assert file["text"]["invalid"] == {"I- without B-": {"count": 1, "first": [f"{path}:6"]}}


def test_what_is_told_is_not_guessed(tmp_path, capsys):
    path = conll(tmp_path / "x.conll", "Ada/NNP/PER ran/VBD/nil", "Oslo/NNP/LOC is/VBZ/nil")
    (file,) = checked(capsys, path, format={"tag": 1}, scheme="flat")["files"]
    assert file["tagging"] == {"scheme": "flat", "outside": "O", "why": "as told"}
    assert set(file["text"]["labels"]) == {"NNP", "VBD", "VBZ"}
    (file,) = checked(capsys, path, format={"kind": "text"})["files"]
    assert file["tagging"] is None
    (file,) = checked(capsys, path, outside="nil")["files"]
    assert file["text"]["labels"] == {"LOC": 1, "PER": 1}
    with pytest.raises(InputError, match=r"format\.colour: unknown key"):
        checked(capsys, path, format={"colour": "red"})
    capsys.readouterr()


def test_files_that_are_refused_do_not_hide_the_others(tmp_path, capsys):
    good = conll(tmp_path / "good.conll", "Ada/B-PER ran/O")
    bad = tmp_path / "bad.conll"
    bad.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError) as error:
        run_files([bad, Path(good)], **NOTHING_TOLD, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert [file["file"]["path"] for file in printed["files"]] == [good]
    assert printed["refused"] == {str(bad): str(error.value)}
    with pytest.raises(InputError):
        run_files([bad, Path(good)], **NOTHING_TOLD, json=False)
    assert "good.conll" in capsys.readouterr().out


def test_tables_of_files_are_whole_where_no_terminal_says_how_wide(tmp_path, capsys):
    path = conll(tmp_path / "[red]x.conll", "Ada/B-PER ran/O", "\u200b/O so/I-LOC", "Ada/O ran/O")
    run_files([Path(path)], **NOTHING_TOLD, json=False)
    printed = capsys.readouterr().out
    for words in ("[red]x.conll", "iob2", "LOC 1, PER 1", "I- without B-", "visible character"):
        assert words in printed.replace("\n", "")


@pytest.fixture
def english(tmp_path):
    return {
        "train": conll(tmp_path / "train.conll", *(f"Ada/B-PER w{n}/O" for n in range(20))),
        "dev": conll(tmp_path / "dev.conll", "Kim/B-PER ran/O", "Ada/B-PER w3/O"),
        "test": conll(tmp_path / "test.conll", "Lee/B-PER ran/O"),
        "transfer": text(tmp_path / "transfer.txt", "Kim ran", "Something else happened."),
        "teachers": ["en"],
    }


def test_parameters_are_checked_without_writing_anything(tmp_path, english, capsys):
    before = sorted(tmp_path.rglob("*"))
    run_parameters(corpora(en=english), prepare(tmp_path))
    printed = capsys.readouterr().out
    for words in ("en/train", "Sentences that two texts share", "loses 1 sentences", "Teachers"):
        assert words in printed
    assert sorted(tmp_path.rglob("*")) == before


def test_parameters_that_prepare_refuses_are_shown_and_refused(tmp_path, english, capsys):
    conll(tmp_path / "test.conll", "Oslo/B-LOC ran/I-PER")
    with pytest.raises(InputError, match="found label changes inside an entity, 1 in all"):
        run_parameters(corpora(en=english), prepare(tmp_path, invalid="error"))
    printed = capsys.readouterr().out
    assert "Labels in no train split" in printed
    assert "Invalid tags" in printed


CHECK = (
    "import sys, pathlib, stages.check as check;"
    "check.run_files([pathlib.Path(sys.argv[1])], {}, None, None, json=True)"
)


@pytest.mark.skipif(not SHARED.exists(), reason=REASON)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_published_corpus_is_read(folder):
    # In a process of its own: types checked at each call make reading ten times slower.
    command = [sys.executable, "-W", "error", "-c", CHECK, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.stderr == b""
    found = json.loads(done.stdout)
    assert found["refused"] == {}
    unlabelled = [each["file"]["path"] for each in found["files"] if not each["tagging"]]
    assert all("unlabelled" in path for path in unlabelled)
    assert all(each["text"]["sentences"] > 100 for each in found["files"])


@pytest.mark.skipif(not SHARED.exists(), reason=REASON)
@pytest.mark.parametrize("split", ["devel", "test"])
def test_one_corpus_in_two_schemes_has_the_same_spans(split):
    spans = []
    for scheme in ("iob", "iobes"):
        path = str(SHARED / f"ner_en_ncbi_disease_{scheme}" / f"{split}.tsv")
        sentences = list(guess(path).format.read(path))
        detected = detect(s.tags for s in sentences)
        assert detected.scheme == {"iob": "iob2", "iobes": "bioes"}[scheme]
        spans.append([(row.words, row.spans) for row in rows_of(sentences, detected)])
    assert spans[0] == spans[1]
    assert sum(len(found) for _, found in spans[0]) > 700
