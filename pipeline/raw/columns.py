"""Formats with one word a line: CoNLL columns, CoNLL-U and CoNLL-U Plus."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pipeline.config import settings
from pipeline.errors import InputError
from pipeline.raw.sentences import Sentence, numbered_lines

Row = tuple[int, str]
"""A line and its number."""

_CONLLU = ["ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"]
_BOUNDARY = "-DOCSTART-"


@settings
class Conll:
    """Columns: one word a line, sentences apart by lines of white space alone.

    Columns count from 0, or from the end with -1. `auto`: tabs in lines that have one, runs of
    spaces in the others. Rows of -DOCSTART- end a sentence. A line that starts with `comment` is
    one only ahead of a sentence's words, and not if it looks like a row of the file, so that "#"
    may be a word. A tag that is missing is read as "", which the policy for invalid sequences
    takes up, or refused; a sentence without a single tag is always refused.
    """

    kind: Literal["conll"] = "conll"
    word: int = 0
    tag: int | None = -1  # None: unlabelled
    separator: Literal["auto", "tab", "spaces"] = "auto"
    comment: str | None = "# "
    untagged: Literal["mark", "error"] = "mark"

    def read(self, path: str) -> Iterator[Sentence]:
        """The sentences of a UTF-8 file."""
        seen: set[str] = set()
        for block in blocks(numbered_lines(path)):
            first = self._comments(block, seen)
            comments = tuple(line for _, line in block[:first])
            for rows in self._parts(block[first:]):
                sentence = self._sentence(path, rows, comments)
                seen.update(filter(None, sentence.tags or ()))
                comments = ()
                yield sentence

    def cells(self, line: str) -> list[str]:
        """The columns of a line; in rows with tabs a cell may be empty or hold spaces."""
        if self.separator == "tab" or (self.separator == "auto" and "\t" in line):
            return line.rstrip(" \t").split("\t")
        return re.split(r"[ \t]+", line.strip(" \t"))

    def _comments(self, block: list[Row], seen: set[str]) -> int:
        """How many lines at the head of a block are comments; `seen` are the file's tags so far."""
        last = block[-1][1]
        for index, (_, line) in enumerate(block):
            cells = self.cells(line)
            like_a_row = len(cells) == len(self.cells(last)) and ("\t" in line) == ("\t" in last)
            is_row = like_a_row and self._tag(cells) in seen
            if self.comment is None or not line.startswith(self.comment) or is_row:
                return index
        return len(block)

    def _parts(self, block: list[Row]) -> Iterator[list[Row]]:
        """A block's sentences: rows of -DOCSTART- part them."""
        rows: list[Row] = []
        for number, line in block:
            if self.cells(line)[0] != _BOUNDARY:
                rows.append((number, line))
            elif rows:
                yield rows
                rows = []
        if rows:
            yield rows

    def _sentence(self, path: str, rows: list[Row], comments: tuple[str, ...]) -> Sentence:
        words, tags = [], []
        for number, line in rows:
            cells = self.cells(line)
            place = _place(self.word, cells)
            if place is None or "\r" in line:
                raise InputError(_short(path, number, line, f"a word in column {self.word}"))
            words.append(cells[place])
            tags.append(self._tag(cells))
        self._check(path, rows, tags)
        lines = [number for number, _ in rows]
        return Sentence(words, None if self.tag is None else tags, path, lines, comments)

    def _tag(self, cells: list[str]) -> str:
        """The tag in a row, "" where the row ends before it."""
        place = None if self.tag is None else _place(self.tag, cells)
        return "" if place in (None, _place(self.word, cells)) else cells[place].strip()

    def _check(self, path: str, rows: list[Row], tags: list[str]) -> None:
        missing = [index for index, tag in enumerate(tags) if not tag]
        if self.tag is None or not missing:
            return
        if self.untagged == "error" or len(missing) == len(tags):
            number, line = rows[missing[0]]
            raise InputError(_short(path, number, line, f"a tag in column {self.tag}"))


@settings
class ConllU:
    """CoNLL-U, or CoNLL-U Plus where the first line names the columns.

    The tag is the column `field`, or what `key` is in it (`field: MISC, key: NER` of `NER=B-PER`;
    "O" where the key is missing). Ranges (`8-9`) and empty nodes (`8.1`) are no words.
    """

    kind: Literal["conllu"] = "conllu"
    field: str | None = "UPOS"  # None: unlabelled
    key: str | None = None

    def read(self, path: str) -> Iterator[Sentence]:
        """The sentences of a UTF-8 file."""
        columns = _CONLLU
        for block in blocks(numbered_lines(path)):
            columns = global_columns(block[0][1]) or columns
            rows = [row for row in block if not row[1].startswith("#")]
            words = [
                (n, cells) for n, cells in self._rows(path, rows, columns) if cells["ID"].isdigit()
            ]
            if words:
                tags = None if self.field is None else [self._tag(cells) for _, cells in words]
                forms = [cells["FORM"] for _, cells in words]
                comments = tuple(line for _, line in block if line.startswith("#"))
                yield Sentence(forms, tags, path, [n for n, _ in words], comments)

    def _rows(
        self, path: str, rows: list[Row], columns: list[str]
    ) -> Iterator[tuple[int, dict[str, str]]]:
        needed = {"ID", "FORM", *([self.field] if self.field else [])}
        if not needed <= set(columns):
            lacking = ", ".join(sorted(needed - set(columns)))
            raise InputError(f"{path}: expected a column {lacking}, found {', '.join(columns)}")
        for number, line in rows:
            cells = line.split("\t")
            if len(cells) != len(columns) or not re.fullmatch(r"\d+([-.]\d+)?", cells[0]):
                expected = f"a word's number and {len(columns)} columns apart by tabs"
                raise InputError(_short(path, number, line, expected))
            yield number, dict(zip(columns, cells, strict=True))

    def _tag(self, cells: dict[str, str]) -> str:
        value = cells[self.field] if self.field else ""
        if self.key is None:
            return value
        pairs = (pair.partition("=") for pair in value.split("|"))
        return next((tag for key, _, tag in pairs if key == self.key), "O")


def global_columns(line: str) -> list[str] | None:
    """The columns that the first line of a CoNLL-U Plus file names, None for other lines."""
    match = re.match(r"#\s*global\.columns\s*=(.*)", line)
    return match[1].split() if match else None


def blocks(lines: Iterable[Row]) -> Iterator[list[Row]]:
    r"""Lines that belong together: white space alone (also one tab) parts them.

    Except a line of spaces right above a row without a word: there a word that holds a line break
    was written as it is (" \n" TAB "O"), and the sentence goes on.
    """
    block: list[Row] = []
    undecided = False  # the line above was of spaces alone
    for number, line in lines:
        ends = not line.strip() or (undecided and not line.startswith("\t"))
        undecided = bool(block) and not undecided and bool(line) and not line.strip(" ")
        if ends and block and not undecided:
            yield block
            block = []
        if line.strip():
            block.append((number, line))
    if block:
        yield block


def _place(column: int, cells: list[str]) -> int | None:
    """A column's index from 0, None where the row has no such column."""
    index = column if column >= 0 else len(cells) + column
    return index if 0 <= index < len(cells) else None


def _short(path: str, number: int, line: str, expected: str) -> str:
    found = "a carriage return inside" if "\r" in line else f"{line[:80]!r}"
    return (
        f"{path}:{number}: expected {expected}, found {found}; "
        f"mend the line, or say in `format` which columns there are and what separates them"
    )
