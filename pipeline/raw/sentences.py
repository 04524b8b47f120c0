"""A sentence as a raw file has it, and how text files are read: UTF-8, by numbered lines."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.errors import InputError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"

STANDARD_INPUT = "standard input"
"""In the place of a path: what is piped in, which can be read once."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words, their tags as the file writes them (None: unlabelled), and where each one stands.

    `lines` has one number a word, from 1: lines of text, rows of tables. A word in a labelled
    sentence whose tag is missing has the tag "", which no scheme allows. `comments` are the lines
    of comment ahead of it, in formats that have them.
    """

    words: list[str]
    tags: list[str] | None
    source: str
    lines: Sequence[int]
    comments: tuple[str, ...] = ()

    def place(self, index: int) -> str:
        """`file:line` of a word."""
        return f"{self.source}:{self.lines[index]}"


def numbered_lines(path: str) -> Iterator[tuple[int, str]]:
    r"""The lines of a text file from 1, without their ends (\n or \r\n) and a first U+FEFF.

    Only \n ends a line: U+0085, U+2028 and others occur inside words. Raises InputError where the
    file cannot be opened or is not UTF-8.
    """
    for number, line in whole_lines(path):
        yield number, line.rstrip("\r\n")


def whole_lines(path: str) -> Iterator[tuple[int, str]]:
    """The same with their ends: together, every character of the file but a first U+FEFF."""
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            yield number, _decoded(raw, path, number)


def json_object(line: str, where: str) -> dict[str, Any]:
    """The JSON object on a line. Raises InputError, which begins with `where`."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        found = f"{error.msg} at character {error.pos + 1}"
        raise InputError(f"{where}: expected one JSON object a line: {found}") from None
    except RecursionError:
        raise InputError(f"{where}: expected one JSON object a line: nested too deep") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: expected one JSON object a line, found {line[:80]!r}")
    return record


def opened(path: str) -> AbstractContextManager[BinaryIO]:
    """The bytes of a file or of standard input; InputError where there is nothing to read."""
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise InputError(f"{path}: expected something to read, found it closed; name a file")
        return nullcontext(sys.stdin.buffer)
    try:
        return open(path, "rb")  # noqa: PTH123 - paths come as strings here
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read: {error.strerror}") from None


def _decoded(raw: bytes, path: str, number: int) -> str:
    if (number == 1 and raw.startswith(_UTF16)) or b"\0" in raw:
        raise InputError(_not_utf8(path, number, "UTF-16 or binary data", "utf-16"))
    if number == 1:
        raw = raw.removeprefix(_UTF8_MARK)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x} at position {error.start + 1}"
        raise InputError(_not_utf8(path, number, found, "latin1")) from None


def _not_utf8(path: str, number: int, found: str, likely: str) -> str:
    return (
        f"{path}:{number}: expected UTF-8, found {found}; convert the file, "
        f"for instance with `iconv -f {likely} -t utf-8`"
    )
