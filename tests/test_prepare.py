"""The stage `prepare`: tables whole or not at all, in the same bytes, a lesson a teacher."""

import json
import logging

import pytest
from raw import REASON, SHARED, conll, corpora, prepare, text

from pipeline.corpus import read_split, split_path
from pipeline.errors import InputError
from pipeline.tags import spans_of, violations
from stages import prepare as stage


@pytest.fixture
def raw(tmp_path):
    """Two corpora: IOB2 with all splits, raw types without dev and with text."""
    folder = tmp_path / "raw"
    return {
        "en": {
            "train": conll(folder / "en.train", *(f"Ada/B-PER Kim/I-PER w{n}/O" for n in range(9))),
            "dev": conll(folder / "en.dev", "Lee/B-PER ran/O", "we/O ran/O"),
            "test": conll(folder / "en.test", "Bo/B-PER ran/O"),
            "teachers": ["en"],
        },
        "sv": {
            "train": conll(
                folder / "sv.train", *(f"i/0 New/LOC York/LOC v{n}/0 !/0" for n in range(30))
            ),
            "test": conll(folder / "sv.test", "i/0 Oslo/LOC"),
            "transfer": text(folder / "sv.txt", "i Oslo", "i går var det en annan dag.", "Lee ran"),
            "teachers": ["sv"],
        },
    }


def run(tmp_path, named, raw=None, **settings):
    out, lessons = tmp_path / "corpora", tmp_path / "lessons"
    stage.run(corpora(**named), prepare(raw or tmp_path / "raw", **settings), out, lessons)
    return out, lessons


NOISE = [{"kind": "typos", "share": 1.0}, {"kind": "drop", "share": 0.3}]


def loud(raw, tmp_path):
    """The corpora with a long test split in `en`, and one more with the same test and noise."""
    words = [f"Ada/B-PER Kim/I-PER w{n}/O" for n in range(30)]
    raw["en"]["test"] = conll(tmp_path / "raw" / "en.test", *words)
    return {**raw, "loud": {"test": raw["en"]["test"], "noise": NOISE}}


def test_noise_is_for_the_test_split_and_keeps_tags_in_place(tmp_path, raw):
    noisy = loud(raw, tmp_path)
    noisy["sv"]["noise"] = [{"kind": "lower", "share": 1.0}]
    quiet = {name: {**corpus, "noise": []} for name, corpus in noisy.items()}
    one, other = (run(tmp_path / name, named, raw=tmp_path / "raw")[0]
                  for name, named in (("one", quiet), ("other", noisy)))  # fmt: skip
    for path in one.rglob("*.parquet"):
        name = path.relative_to(one).as_posix()
        same = path.read_bytes() == (other / name).read_bytes()
        assert same == (name not in ("loud/test.parquet", "sv/test.parquet"))
    before, after = (read_split(folder / "loud/test.parquet") for folder in (one, other))
    assert after.tags == before.tags
    assert [*map(len, after.words)] == [*map(len, before.words)]
    dropped = sum(not word for row in after.words for word in row)
    assert 0.15 < dropped / 90 < 0.45
    assert all(row != kept for row, kept in zip(after.words, before.words, strict=True))


def test_noise_has_the_luck_of_the_seed_and_the_corpus(tmp_path, raw):
    two = loud(raw, tmp_path)
    two["louder"] = two["loud"]
    found = [run(tmp_path / name, two, raw=tmp_path / "raw", seed=seed)[0]
             for name, seed in (("a", 1), ("b", 1), ("c", 2))]  # fmt: skip
    a, b, c = (read_split(folder / "loud/test.parquet").words for folder in found)
    assert a == b != c
    assert a != read_split(found[0] / "louder/test.parquet").words


def test_noise_without_a_test_split_is_refused(tmp_path, raw):
    raw["loud"] = {"train": raw["sv"]["train"], "noise": NOISE}
    with pytest.raises(
        InputError, match=r"corpora\.loud\.noise: expected a test split, found none"
    ):
        run(tmp_path, raw)


def content(*folders):
    return {path: path.read_bytes() for f in folders for path in f.rglob("*") if path.is_file()}


def test_every_split_becomes_a_table_in_one_scheme(tmp_path, raw):
    out, _ = run(tmp_path, raw)
    found = {path.relative_to(out).as_posix(): read_split(path) for path in out.rglob("*.parquet")}
    assert sorted(found) == [
        "en/dev.parquet", "en/test.parquet", "en/train.parquet",
        "sv/dev.parquet", "sv/test.parquet", "sv/train.parquet", "sv/transfer.parquet",
    ]  # fmt: skip
    assert {split.scheme for split in found.values()} == {"bioes"}
    assert len({split.tag_set for split in found.values()}) == 1
    assert found["en/train.parquet"].tags[0] == ["B-PER", "E-PER", "O"]
    assert found["sv/test.parquet"].tags == [["O", "S-LOC"]]
    assert len(found["sv/train.parquet"]) + len(found["sv/dev.parquet"]) == 30
    assert found["sv/transfer.parquet"].tags is None
    assert found["sv/transfer.parquet"].words == [
        ["i", "går", "var", "det", "en", "annan", "dag", "."]
    ]
    assert found["sv/train.parquet"].sentence_ids == list(range(len(found["sv/train.parquet"])))


def test_the_same_input_gives_the_same_bytes(tmp_path, raw):
    first = content(*run(tmp_path, raw))
    assert content(*run(tmp_path, raw)) == first


def test_lessons_change_with_the_corpora_of_their_teacher_alone(tmp_path, raw):
    _, lessons = run(tmp_path, raw)
    learn, label = (
        json.loads((lessons / "sv" / f"{n}.json").read_text()) for n in ("learn", "label")
    )
    assert {name: sorted(splits) for name, splits in learn.items()} == {"sv": ["dev", "train"]}
    assert sorted(label["sv"]) == ["dev", "test", "train", "transfer"]
    before = content(lessons)
    conll(tmp_path / "raw" / "en.test", "Bo/B-PER sang/O")
    run(tmp_path, raw)
    after = content(lessons)
    assert {path for path in before if before[path] != after[path]} == {
        lessons / "en" / "label.json"
    }


def test_a_corpus_that_only_tests_is_no_lesson_to_learn(tmp_path, raw):
    more = {"test": conll(tmp_path / "raw" / "da.test", "Ida/B-PER løb/O"), "teachers": ["en"]}
    _, lessons = run(tmp_path, {**raw, "da": more})
    assert list(json.loads((lessons / "en" / "learn.json").read_text())) == ["en"]
    assert list(json.loads((lessons / "en" / "label.json").read_text())) == ["da", "en"]


def test_a_refusal_loses_nothing_that_was_there(tmp_path, raw):
    before = content(*run(tmp_path, raw))
    conll(tmp_path / "raw" / "en.test", "Bo/B-ORG ran/O")
    with pytest.raises(InputError, match=r"en\.test:1: expected labels that some train split has"):
        run(tmp_path, raw)
    assert content(tmp_path / "corpora", tmp_path / "lessons") == before


def test_a_removed_corpus_leaves_nothing_behind(tmp_path, raw):
    run(tmp_path, raw)
    del raw["en"]
    out, lessons = run(tmp_path, raw)
    names = sorted(path.name for path in (*out.iterdir(), *lessons.iterdir()))
    assert names == ["sv", "sv", "teachers.json"]
    assert json.loads((lessons / "teachers.json").read_text()) == {"sv": raw["sv"]["teachers"]}


def test_raw_files_that_change_meanwhile_are_noticed(tmp_path, raw, monkeypatch):
    def disturbed(*arguments):
        conll(tmp_path / "raw" / "en.test", "Bo/B-PER sang/O")
        return written(*arguments)

    written = stage._write_tables
    monkeypatch.setattr(stage, "_write_tables", disturbed)
    with pytest.raises(InputError, match=r"changed while it was made: .*en\.test"):
        run(tmp_path, raw)
    assert not (tmp_path / "corpora").exists()
    assert not (tmp_path / "lessons").exists()


def test_the_log_names_what_was_detected_and_what_is_done(tmp_path, raw, caplog):
    conll(tmp_path / "raw" / "en.dev", "Lee/I-PER ran/O", "we/O ran/O")
    with caplog.at_level(logging.INFO, logger="limbeck"):
        run(tmp_path, raw)
    for line in (
        "en.train: {kind: conll, word: 0, tag: 1",
        "en: scheme iob2 (outside is 'O'",
        "sv: scheme raw ('0' is",
        "en/dev: 1 x I- without B- (repair): ",
        "sv: no dev split; 10% of train held out as dev",
        "sv/transfer: 2 sentences of dev or test splits dropped",
        "one tag set for all, 9 tags: O B-LOC",
    ):
        assert line in caplog.text


@pytest.mark.skipif(not SHARED.exists(), reason=REASON)
def test_real_corpora_keep_their_spans_in_every_scheme(tmp_path):
    folder = SHARED / "ner_multi_uner" / "da"
    # The small split stands in for train: types checked at each call take their time.
    named = corpora(da={"train": str(folder / "test.iob2"), "dev": str(folder / "dev.iob2")})
    spans = []
    for scheme in ("iob2", "bioes"):
        out, lessons = tmp_path / scheme, tmp_path / "lessons"
        stage.run(named, prepare(folder, scheme=scheme), out, lessons)
        split = read_split(split_path(out, "da", "train"))
        assert not any(violations(tags, scheme) for tags in split.tags)
        spans.append([spans_of(tags, scheme) for tags in split.tags])
    assert spans[0] == spans[1]
    assert sum(map(len, spans[0])) > 300
