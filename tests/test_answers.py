"""Predictions as written: what is written can be read again, by this project too."""

import io
import json
import tempfile

import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.prediction.answers import WRITERS, as_columns, record_of
from pipeline.predictor import Alternative, PredictedSpan, Prediction
from pipeline.raw.columns import Conll
from pipeline.raw.records import ParquetTable
from pipeline.raw.segments import sentences_of
from pipeline.raw.untagged import READERS, Untagged

TAGS = ("O", "B-LOC", "I-LOC", "E-LOC", "S-LOC")


def answer(text="In New York.", k=2, **changes):
    sentence = sentences_of(text)[0]._replace(start=7)
    tags = ["O", "B-LOC", "E-LOC", "O"][: len(sentence.words)]
    alternatives = [Alternative(tags, 0.75), Alternative(["O"] * len(tags), 0.1234567)][:k]
    asked = {"sentence": sentence, "source": "a.txt", "line": 3, "of_text": True, **changes}
    found = Prediction(tags, [PredictedSpan(1, 3, "LOC", 0.987654321)], alternatives)
    return Untagged(**asked), found


def written(target: str, *answers) -> bytes:
    with tempfile.TemporaryFile() as file:
        writer = WRITERS[target](file, TAGS, "bioes")
        for each in answers:
            writer.write([each])
        writer.close()
        file.seek(0)
        return file.read()


def test_offsets_of_spans_count_in_the_text_of_the_sentence():
    record = record_of(answer())
    (span,) = record["spans"]
    assert span == {
        "start": 3,
        "end": 11,
        "label": "LOC",
        "confidence": 0.987654,
        "text": "New York",
        "words": [1, 3],
    }
    assert record["text"][3:11] == "New York"
    assert (record["source"], record["line"], record["start"]) == ("a.txt", 3, 7)
    assert [each["probability"] for each in record["alternatives"]] == [0.75, 0.123457]


def test_what_was_not_asked_for_is_not_written():
    record = record_of(answer(k=0, of_text=False))
    assert "alternatives" not in record
    assert "start" not in record


def test_json_lines_are_objects_that_can_be_read_again(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(written("jsonl", answer("İn \u2028 “New”"), answer()))
    records = [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]
    assert records[1] == record_of(answer())
    again = [each.sentence.words for each in READERS["jsonl"](str(path), "")]
    assert again == [each["words"] for each in records]


def test_columns_are_those_of_a_corpus(tmp_path):
    path = tmp_path / "out.conll"
    path.write_bytes(written("conll", answer(k=0), answer(k=0)))
    assert path.read_text().splitlines()[:3] == ["# text = In New York.", "In\tO", "New\tB-LOC"]
    found = [*Conll().read(str(path))]
    assert [each.words for each in found] == [["In", "New", "York", "."]] * 2
    assert found[0].tags == ["O", "B-LOC", "E-LOC", "O"]


def test_comments_stay_above_their_words():
    asked, predicted = answer(of_text=False, comments=("# id = 1", "# text = In New York ."))
    assert as_columns((asked, predicted)).startswith("# id = 1\n# text = In New York .\nIn\tO\n")


@pytest.mark.parametrize("word", ["a\tb", "a\nb", "a\u2028b", "a\r"])
def test_a_word_that_columns_cannot_hold_is_refused(word):
    asked, predicted = answer()
    changed = asked.sentence._replace(words=[word, *asked.sentence.words[1:]])
    asked, _ = answer(sentence=changed)
    with pytest.raises(InputError, match=r"a\.txt:3: expected words without tabs and line breaks"):
        as_columns((asked, predicted))


def test_tables_are_those_of_a_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.prediction.answers._ROW_GROUP", 2)
    path = tmp_path / "out.parquet"
    path.write_bytes(written("parquet", *[answer()] * 5))
    table = pq.read_table(path)
    assert pq.ParquetFile(path).num_row_groups == 3
    assert json.loads(table.schema.metadata[b"tags"]) == [*TAGS]
    assert table.schema.metadata[b"scheme"] == b"bioes"
    row, record = table.to_pylist()[4], record_of(answer())
    assert row == record
    assert next(iter(ParquetTable().read(str(path)))).tags == record["tags"]


@pytest.mark.parametrize("target", WRITERS)
def test_nothing_gives_an_empty_file_that_can_be_read(target, tmp_path):
    content = written(target)
    if target == "parquet":
        assert pq.read_table(io.BytesIO(content)).num_rows == 0
    else:
        assert content == b""


@pytest.mark.parametrize("target", WRITERS)
def test_equal_answers_give_equal_bytes(target):
    assert written(target, answer(k=0)) == written(target, answer(k=0))
