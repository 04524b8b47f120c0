"""What a word looks like: shape, characters, n-grams of characters; each word worked out once."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

import numpy as np

SHAPES = ("lower", "Capitalised", "UPPER", "miXed", "digits", "alpha1digit", "punctuation", "other")

CHARACTERS = 512
"""Character identities: 0 is padding, 1 the end marker, the rest is shared by code point."""


def shape(word: str) -> int:
    """Index into SHAPES: the casing and make-up of one word."""
    letters = [character for character in word if character.isalpha()]
    if not letters:
        return _without_letters(word)
    if any(character.isdigit() for character in word):
        return SHAPES.index("alpha1digit")
    if all(not character.isupper() for character in letters):
        return SHAPES.index("lower")
    if all(character.isupper() for character in letters) and len(letters) > 1:
        return SHAPES.index("UPPER")
    rest_is_low = not any(character.isupper() for character in letters[1:])
    return SHAPES.index("Capitalised" if letters[0].isupper() and rest_is_low else "miXed")


def _without_letters(word: str) -> int:
    if any(character.isdigit() for character in word):
        return SHAPES.index("digits")
    marks = bool(word) and all(unicodedata.category(character)[0] in "PS" for character in word)
    return SHAPES.index("punctuation" if marks else "other")


def characters(word: str, most: int) -> list[int]:
    """Character identities of one word, at most so many: the first ones, and an end marker.

    A code point maps to itself below the table's size and is folded into it above, so that every
    script has characters and no vocabulary has to be stored.
    """
    return [*(_character(ord(character)) for character in word[: most - 1]), 1]


def _character(code: int) -> int:
    # 2 and above: 0 and 1 are taken; a prime modulus spreads the blocks of one script.
    return code if 2 <= code < CHARACTERS else 2 + code % 509


def grams(word: str, most: int, buckets: int) -> list[int]:
    """Buckets, from 1, of the n-grams of 3 to 5 characters in a lower-cased word and its borders.

    Only the first `most` characters are read. Words that are spelled alike share most of them, so
    a word that was never seen is like those that were. Source: Bojanowski et al. 2017, §3.2.
    """
    marked = f"<{word.lower()}>"[: most + 2]
    found = [marked[i : i + n] for n in GRAMS for i in range(len(marked) - n + 1)]
    # CRC-32, for Python's own hash differs from process to process.
    return [1 + crc32(gram.encode("utf-8", "surrogatepass")) % buckets for gram in found]


GRAMS = (3, 4, 5)


class Spelling(NamedTuple):
    """One way to spell a word: as positive numbers, at most so many."""

    spell: Callable[[str], Sequence[int]]
    most: int


class Lexicon:
    """Features of words, worked out once for each.

    `numbers` holds lower-cased words and `unknown` is the number of all others; `spellings` are
    ways to spell a word, by name. At most `room` words are remembered, some 300 bytes each and
    more, and then all of them forgotten: memory does not grow with the text.
    """

    def __init__(
        self,
        numbers: Mapping[str, int],
        unknown: int,
        spellings: Mapping[str, Spelling],
        room: int,
    ) -> None:
        self._numbers, self._unknown, self._room = numbers, unknown, room
        self._spellings = dict(spellings)
        self._rows: dict[str, int] = {}
        # Columns: number and shape; then of each spelling its length and as many as it may have.
        starts = accumulate((1 + way.most for way in self._spellings.values()), initial=2)
        self._starts = dict(zip(self._spellings, starts, strict=False))
        columns = 2 + sum(1 + way.most for way in self._spellings.values())
        self._table = np.zeros((0, columns), dtype=np.int32)

    def __call__(self, words: Sequence[str]) -> dict[str, np.ndarray]:
        """`word`, `shape` [words] int64; each spelling [words, longest] int32, 0 after its end."""
        if len(self._rows) > self._room:
            self._rows.clear()
        for word in words:
            if word not in self._rows:
                self._learn(word)
        table = self._table[[self._rows[word] for word in words]]
        number, shape = np.ascontiguousarray(table[:, :2].T, dtype=np.int64)
        arrays = {"word": number, "shape": shape}
        for name, start in self._starts.items():
            longest = table[:, start].max(initial=0)
            arrays[name] = table[:, start + 1 : start + 1 + longest]
        return arrays

    def __len__(self) -> int:
        """Words remembered."""
        return len(self._rows)

    def _learn(self, word: str) -> None:
        row = len(self._rows)
        if row == len(self._table):
            more = np.zeros((max(1024, row), self._table.shape[1]), dtype=np.int32)
            self._table = np.concatenate([self._table, more])
        entry = self._table[row]
        entry[:] = 0
        entry[:2] = self._numbers.get(word.lower(), self._unknown), shape(word)
        for name, start in self._starts.items():
            spelled = self._spellings[name].spell(word)
            entry[start : start + 1 + len(spelled)] = len(spelled), *spelled
        self._rows[word] = row
