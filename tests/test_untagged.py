"""What is to be tagged: every format, with the text of each sentence and where it stands."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.raw import untagged
from pipeline.raw.sentences import STANDARD_INPUT
from pipeline.raw.untagged import READERS, Untagged, guessed

TEXT = "\ufeffDr. Ada lives. She works\r\nin New\r\nYork.\n\n  \nOne\u2028more. Last"


@pytest.fixture
def file(tmp_path):
    def write(content: str, name: str = "given.txt") -> str:
        (tmp_path / name).write_bytes(content.encode())
        return str(tmp_path / name)

    return write


def texts(found) -> list[str]:
    return [each.sentence.text for each in found]


def words(found) -> list[list[str]]:
    return [each.sentence.words for each in found]


def check(found: list[Untagged], text: str, line_of=lambda text, start: text.count("\n", 0, start)):
    """Offsets are those of the text; lines too."""
    for each in found:
        start, sentence = each.sentence.start, each.sentence
        there = text[start : start + len(sentence.text)]
        assert there.split() == sentence.text.split()
        assert len(there) == len(sentence.text)
        assert each.line == 1 + line_of(text, start)
        assert each.of_text
        for word, (first, end) in zip(sentence.words, sentence.borders, strict=True):
            assert sentence.text[first:end] == word


def test_lines_of_text_are_paragraphs(file):
    found = [*READERS["text"](file(TEXT), "")]
    wanted = ["Dr. Ada lives.", "She works", "in New", "York.", "One\u2028more.", "Last"]
    assert texts(found) == wanted
    check(found, TEXT[1:])


@pytest.mark.parametrize("longest", [1, 20, 1 << 16])
def test_wrapped_lines_are_joined(file, longest, monkeypatch):
    monkeypatch.setattr(untagged, "LONGEST", longest)
    found = [*READERS["wrapped"](file(TEXT), "")]
    check(found, TEXT[1:])
    assert " ".join(w for each in words(found) for w in each) == (
        "Dr. Ada lives . She works in New York . One more . Last".replace("Dr.", "Dr .")
    )
    if longest > 1:
        assert texts(found)[1] == "She works  in New  York."
        assert len(found) == 4


lines = st.lists(
    st.sampled_from(["Ada lives. ", "New", "  ", "\tin it.", "Yes! No", ""]), max_size=9
)


@given(lines, st.sampled_from(["text", "wrapped", "spaced"]), st.sampled_from([8, 1 << 16]))
def test_no_word_is_lost_and_offsets_hold(tmp_path_factory, drawn, kind, longest):
    text = "\n".join(drawn)
    path = tmp_path_factory.mktemp("text") / "given.txt"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(untagged, "LONGEST", longest)
        found = [*READERS[kind](str(path), "")]
    check(found, text)
    assert "".join("".join(each) for each in words(found)) == "".join(text.split())


def test_wrapped_text_is_held_no_longer_than_it_must(file, monkeypatch):
    """Sentences come while a paragraph without end is still read."""
    monkeypatch.setattr(untagged, "LONGEST", 100)
    read = 0

    def lines(path):
        nonlocal read
        for read in range(1, 10_000):
            yield read, "Ada lives in\n" if read % 2 else "London. Yes\n"

    monkeypatch.setattr(untagged, "whole_lines", lines)
    found = READERS["wrapped"]("endless", "")
    assert next(found).sentence.text == "Ada lives in London."
    assert read < 20


def test_text_that_was_cut_before_keeps_its_words(file):
    found = [*READERS["spaced"](file(" U.S. is  n't, here .\n\nTwo\n"), "")]
    assert words(found) == [["U.S.", "is", "n't,", "here", "."], ["Two"]]
    assert texts(found) == ["U.S. is  n't, here .", "Two"]
    assert [(each.sentence.start, each.line) for each in found] == [(1, 1), (23, 3)]


def test_records_have_words_or_text(file):
    records = [
        {"words": ["Ada", "ran"], "tags": ["O", "O"]},
        {"text": "Ada ran. She fell.", "spans": []},
        {"tokens": []},
        {"token": ["x y", ""]},
    ]
    path = file("\n".join(map(json.dumps, records)) + "\n\n")
    found = [*READERS["jsonl"](path, "")]
    assert words(found) == [
        ["Ada", "ran"],
        ["Ada", "ran", "."],
        ["She", "fell", "."],
        [],
        ["x y", ""],
    ]
    assert texts(found) == ["Ada ran", "Ada ran.", "She fell.", "", "x y "]
    assert [each.line for each in found] == [1, 2, 2, 3, 4]
    assert [each.sentence.start for each in found if each.of_text] == [0, 9]
    assert found[4].sentence.borders == [(0, 3), (4, 4)]
    named = file('{"mine": ["a"], "words": ["b"]}\n', "named.jsonl")
    assert words(READERS["jsonl"](named, "mine")) == [["a"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "2: expected one JSON object a line: "),
        ("[" * 100_000, "2: expected one JSON object a line: nested too deep"),
        ("[]", r"2: expected one JSON object a line, found '\[\]'"),
        ("{}", "2: expected the key `words` or `text`, found none; name the key"),
        ('{"a": 1, "text": 2}', "2: expected the key `words` or `text`, found a, text"),
        ('{"words": "a b"}', "2: expected words as a list of strings, found 'a b'"),
        ('{"words": ["a", null]}', "2: expected words as a list of strings"),
        ('{"text": "\\ud800"}', "2: expected Unicode, found half of a surrogate pair"),
    ],
)
def test_what_is_no_record_is_refused_by_file_and_line(file, line, message):
    path = file('{"text": "\\ud83d\\ude00 a"}\n' + line + "\n", "odd.jsonl")
    found = READERS["jsonl"](path, "")
    assert next(found).sentence.words == ["😀", "a"]
    with pytest.raises(InputError, match=f"odd.jsonl:{message}"):
        next(found)


def test_columns_keep_their_comments(file):
    path = file("# text = Ada's\n# id = 1\nAda\tX\n's\tY\n\nran Z\n")
    found = [*READERS["conll"](path, "")]
    assert words(found) == [["Ada", "'s"], ["ran"]]
    assert texts(found) == ["Ada's", "ran"]
    assert [each.comments for each in found] == [("# text = Ada's", "# id = 1"), ()]
    assert [each.line for each in found] == [3, 6]
    assert words(READERS["conll"](path, "1")) == [["X", "Y"], ["Z"]]
    with pytest.raises(
        InputError, match="--word: expected the number of a column, from 0, found 'x'"
    ):
        READERS["conll"](path, "x")


@pytest.mark.parametrize("word", ["-1", "1.5"])
def test_columns_are_counted_from_zero(file, word):
    with pytest.raises(InputError, match=f"from 0, found '{word}'"):
        READERS["conll"](file("a b\n"), word)


@pytest.mark.parametrize("name", ["text", "wrapped", "spaced"])
def test_running_text_has_no_columns_to_choose(file, name):
    with pytest.raises(InputError, match="--word 1: expected columns, records or a table"):
        next(READERS[name](file("Ada ran.\n"), "1"))


@pytest.mark.parametrize("text", ["", "\n", "\n\n \t\n"])
def test_of_nothing_there_is_nothing(file, text):
    assert [*guessed(file(text), "")] == []


def test_a_table_is_read_by_what_its_words_are_called(tmp_path):
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"tokens": [["Ada", "ran"]]}), path)
    assert words(READERS["parquet"](path, "")) == [["Ada", "ran"]]


def test_a_told_text_that_is_another_is_left(file):
    path = file("# text = Ada ran.\nAda\nran\n")
    assert texts(READERS["conll"](path, "")) == ["Ada ran"]


def test_trees_are_read(file):
    row = "\t".join(["{}", "{}", *"________"])
    tree = ["# text = Ada ran", row.format(1, "Ada"), row.format("1.1", "-"), row.format(2, "ran")]
    (found,) = READERS["conllu"](file("\n".join(tree) + "\n\n"), "")
    assert found.sentence.words == ["Ada", "ran"]
    assert found.comments == ("# text = Ada ran",)


def test_tables_are_read(tmp_path):
    path = str(tmp_path / "table.parquet")
    pq.write_table(pa.table({"words": [["Ada", "ran"], ["x"]], "tokens": [["y"], ["z"]]}), path)
    assert words(READERS["parquet"](path, "")) == [["Ada", "ran"], ["x"]]
    assert words(READERS["parquet"](path, "tokens")) == [["y"], ["z"]]
    assert words(guessed(path, "")) == [["Ada", "ran"], ["x"]]


def test_a_table_may_come_through_a_pipe(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"words": [["Ada", "ran"], ["x"]]}), path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    found = [*READERS["parquet"](STANDARD_INPUT, "")]
    assert words(found) == [["Ada", "ran"], ["x"]]
    assert {each.source for each in found} == {STANDARD_INPUT}
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"PAR1 and no more")))
    with pytest.raises(InputError, match=r"^standard input: "):
        next(READERS["parquet"](STANDARD_INPUT, ""))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            "This is text. It is.\nSo is this line.\n",
            ["This is text.", "It is.", "So is this line."],
        ),
        ("a\tO\nAda\tB-PER\n\n", ["a Ada"]),
        ("O\ta\nB-PER\tAda\nO\tb\n", ["a Ada b"]),
        ("one\nword\n\na\nline\n", ["one word", "a line"]),
        ("Cut n't before , it seems .\n" * 20, ["Cut n't before , it seems ."] * 20),
        ('{"tokens": ["a"], "ner_tags": ["O"]}\n', ["a"]),
        ('{"text": "Ada ran. Yes."}\n', ["Ada ran.", "Yes."]),
        ("", []),
    ],
)
def test_formats_are_guessed(file, content, wanted):
    assert texts(guessed(file(content), "")) == wanted


def test_a_pipe_is_not_read_twice(tmp_path):
    import os
    import threading

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: Path(pipe).write_text("Ada ran. Yes.\n"))
    writer.start()
    assert texts(guessed(str(pipe), "")) == ["Ada ran.", "Yes."]
    writer.join()


def test_what_is_not_utf8_is_refused_by_line(tmp_path):
    (tmp_path / "latin.txt").write_bytes("fine\nåäö\n".encode("latin1"))
    found = READERS["text"](str(tmp_path / "latin.txt"), "")
    assert next(found).sentence.text == "fine"
    with pytest.raises(InputError, match=r"latin\.txt:2: expected UTF-8"):
        next(found)
