"""The formats of raw corpora: their union, and a guess at a file's format from what it holds.

To add a format, write its settings class, with `kind` and `read(path)`, beside its kin in
`columns.py`, `records.py`, `plain.py` or `hub.py`, and put its name in the union below.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.errors import InputError
from pipeline.raw.columns import Conll, ConllU, blocks, global_columns
from pipeline.raw.detection import detect
from pipeline.raw.hub import Hub
from pipeline.raw.plain import PlainText
from pipeline.raw.records import JsonLines, ParquetTable
from pipeline.raw.sentences import Sentence, json_object, numbered_lines
from pipeline.raw.text import words_with_offsets

__all__ = [
    "Conll",
    "ConllU",
    "Format",
    "Guess",
    "Hub",
    "JsonLines",
    "ParquetTable",
    "PlainText",
    "Sentence",
    "guess",
    "words_with_offsets",
]

Format = Annotated[
    Conll | ConllU | JsonLines | ParquetTable | PlainText | Hub, Field(discriminator="kind")
]

_WORDS = ("words", "tokens", "token", "forms")
_TAGS = ("tags", "ner_tags", "ner", "labels", "upos", "pos_tags", "pos")
_SPANS = ("spans", "entities", "label", "labels")

Table = list[list[list[str]]]
"""Sentences of rows of cells."""


class Guess(NamedTuple):
    """A format and what in the file speaks for it, in one line."""

    format: Format
    why: str


def guess(path: str, sample: int = 4000) -> Guess:
    """The format of a file by its first `sample` lines; its name counts for nothing.

    Raises InputError where the file cannot be read, is empty, or is of a kind that is known and
    not read, such as one JSON array.
    """
    if _starts_as_parquet(path):
        return guess_parquet(path)
    lines = list(islice(numbered_lines(path), sample))
    first = next((line.strip() for _, line in lines if line.strip()), None)
    if first is None:
        raise InputError(
            f"{path}: expected sentences, found an empty file; "
            "put its content there, or take it out of params.yaml"
        )
    if first.startswith("{"):
        return _guess_json(path, first)
    if first == "[" or first.startswith("[{"):
        advice = "write one object a line, for instance with `jq -c '.[]'`"
        raise InputError(f"{path}:1: expected JSON Lines, found a JSON array; {advice}")
    return _guess_lines(lines)


def _starts_as_parquet(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - paths come as strings here
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read: {error.strerror}") from None


def guess_parquet(path: str) -> Guess:
    """What the columns of a table are called; the usual names where it is none."""
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return Guess(ParquetTable(), "starts as Parquet does")  # reading it says what is wrong
    words, tags = _known(names, _WORDS) or "words", _known(names, _TAGS)
    why = f"Parquet with the columns {', '.join(names)}"
    return Guess(ParquetTable(words=words, tags=tags), why)


def _guess_json(path: str, first: str) -> Guess:
    try:
        record = json_object(first, f"{path}:1")
    except InputError as error:
        raise InputError(
            f"{error}; write it so, for instance with `jq -c .`, or say in `format` what it is"
        ) from None
    why = f"JSON objects with the keys {', '.join(record)}"
    words = _known(record, _WORDS)
    if words is None:
        spans = _known(record, _SPANS)
        return Guess(JsonLines(spans=spans), why)
    return Guess(JsonLines(words=words, tags=_known(record, _TAGS)), why)


def _known(names: Sequence[str] | dict[str, Any], known: Sequence[str]) -> str | None:
    return next((name for name in known if name in names), None)


def _guess_lines(lines: list[tuple[int, str]]) -> Guess:
    """Plain text, or a table of one word a row."""
    reader = Conll()
    rows: Table = []
    for block in blocks(lines):
        kept = [line for _, line in block if not line.startswith(("# ", "-DOCSTART-"))]
        rows += [[reader.cells(line) for line in kept]] if kept else []
    widths = Counter(len(cells) for sentence in rows for cells in sentence)
    if not widths:
        return _guess_text(lines)
    width, share = widths.most_common(1)[0][0], widths.most_common(1)[0][1] / widths.total()
    tabs = sum("\t" in line for _, line in lines) / widths.total()
    named = next((columns for _, line in lines[:1] if (columns := global_columns(line))), None)
    counter = _counter(rows, width)
    if named or (width == 10 and tabs > 0.5 and counter == 0):
        return _guess_conllu(rows, named)
    if tabs > 0.5 or share > 0.9:
        return _guess_columns(rows, width, counter, tabs) or _guess_text(lines)
    return _guess_text(lines)


def _guess_text(lines: list[tuple[int, str]]) -> Guess:
    """Plain text, cut into words already where punctuation stands alone nearly everywhere."""
    text = "\n".join(line for _, line in lines)
    alone, attached = (len(re.findall(rf"{before}[.,!?](?!\S)", text)) for before in (r"\s", r"\w"))
    why = f"text; no columns of tags; {alone} of {alone + attached} punctuation marks stand alone"
    cut_before = alone > max(20, 20 * attached)
    return Guess(PlainText(words="spaces" if cut_before else "rule"), why)


def _guess_conllu(rows: Table, named: list[str] | None) -> Guess:
    """CoNLL-U: a column of tags with prefixes in CoNLL-U Plus, else UPOS, else XPOS."""
    if named is None:
        upos = _column(rows, 3)
        field = "UPOS" if any(set(tags) - {"_"} for tags in upos) else "XPOS"
        return Guess(ConllU(field=field), f"10 columns that start with a number; tags in {field}")
    ranked = [name for place, name in enumerate(named) if _rank(_column(rows, place))[0] >= 3]
    field = ranked[-1] if ranked else ("UPOS" if "UPOS" in named else named[-1])
    return Guess(ConllU(field=field), f"names its columns {', '.join(named)}; tags in {field}")


def _guess_columns(rows: Table, width: int, counter: int | None, tabs: float) -> Guess | None:
    """Which columns hold words and tags; None where no column looks like tags."""
    places = [place for place in range(width) if place != counter]
    tag, others = _tag_column(rows, places)
    variety = {place: _variety(rows, place) for place in places}
    word = max((p for p in places if p != tag), key=lambda p: (variety[p], -p), default=None)
    if word is None:
        unlabelled = width == 1 and len(rows) > 1
        return Guess(Conll(tag=None), "one word a line, no tags") if unlabelled else None
    few = variety[tag] < min(0.2 * sum(map(len, rows)), variety[word])
    if not (few or tabs > 0.5 or _rank(_column(rows, tag))[0]):
        return None
    by = "tabs" if tabs > 0.9 else "spaces" if tabs < 0.1 else "tabs or spaces"
    scheme = detect(_column(rows, tag)).scheme
    why = f"{width} columns apart by {by}: words in {word}, tags in {tag} ({scheme})"
    return Guess(Conll(word=word, tag=tag), why + "".join(f"; tags also in {p}" for p in others))


def _tag_column(rows: Table, places: list[int]) -> tuple[int, list[int]]:
    """The column that looks most like tags, and others that look so too.

    The last of equals, as in CoNLL-2003, where chunks precede names; but the first of columns that
    mostly agree, as these are versions of one annotation (UNER) or the inside of nested ones.
    """
    columns = {place: _column(rows, place) for place in places}
    ranks = {place: _rank(column) for place, column in columns.items()}
    last = max(places, key=lambda place: (ranks[place], place))
    equals = [place for place in places if ranks[place] == ranks[last] and ranks[place][0]]
    same = (place for place in equals if _agreement(columns[place], columns[last]) > 0.9)
    first = next(same, last)
    return first, [place for place in places if ranks[place][0] >= 3 and place != first]


def _agreement(one: list[list[str]], other: list[list[str]]) -> float:
    """The share of words for which two columns have the same value."""
    sentences = zip(one, other, strict=True)
    same = [a == b for rows in sentences for a, b in zip(*rows, strict=False)]  # ragged rows
    return sum(same) / max(len(same), 1)


def _rank(tags: list[list[str]]) -> tuple[int, int]:
    """How much a column looks like tags, then how usual its outside tag is; flat columns are 0."""
    found = detect(tags)
    distinct = {tag for sentence in tags for tag in sentence}
    usual = {"O": 3, "0": 2}.get(found.outside, int(found.outside in distinct))
    if found.scheme in ("raw", "flat"):
        return int(found.scheme == "raw"), usual if found.scheme == "raw" else 0
    return (3 if distinct - {found.outside, ""} else 2), usual


def _column(rows: Table, place: int) -> list[list[str]]:
    return [[cells[place] for cells in sentence if place < len(cells)] for sentence in rows]


def _variety(rows: Table, place: int) -> int:
    """How many different values a column has."""
    return len({value for sentence in _column(rows, place) for value in sentence})


def _counter(rows: Table, width: int) -> int | None:
    """The column that counts the words of a sentence, None without one."""
    for place in range(min(width, 2)):
        values = [[v for v in column if v.isdigit()] for column in _column(rows, place)]
        steps = [int(b) - int(a) == 1 for column in values for a, b in pairwise(column)]
        starts = [column[0] in ("0", "1") for column in values if column]
        found = sum(map(len, values)) > 0.8 * sum(map(len, rows))
        if found and sum(starts) >= 0.8 * len(starts) and sum(steps) >= 0.8 * len(steps):
            return place
    return None
