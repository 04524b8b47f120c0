"""What a word looks like: its shape and its characters, the features that need no vocabulary."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

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


def characters(word: str, width: int) -> np.ndarray:
    """Character identities of one word, [width] int64: the first ones, an end marker, padding.

    A code point maps to itself below the table's size and is folded into it above, so that every
    script has characters and no vocabulary has to be stored.
    """
    row = np.zeros(width, dtype=np.int64)
    codes = [_character(ord(character)) for character in word[: width - 1]]
    row[: len(codes)] = codes
    row[len(codes)] = 1
    return row


def _character(code: int) -> int:
    # 2 and above: 0 and 1 are taken; a prime modulus spreads the blocks of one script.
    return code if 2 <= code < CHARACTERS else 2 + code % 509


class Features(NamedTuple):
    """Of some words: their numbers in a vocabulary, their shapes, their characters."""

    number: Int[np.ndarray, " words"]
    shape: Int[np.ndarray, " words"]
    characters: Int[np.ndarray, "words longest"]


class Lexicon:
    """Features of words, worked out once for each.

    `numbers` holds lower-cased words, `unknown` is the number of all others, and `width` characters
    of a word are read. At most `room` words are remembered, some 300 bytes each, and then all of
    them forgotten: memory does not grow with the text.
    """

    def __init__(self, numbers: Mapping[str, int], unknown: int, width: int, room: int) -> None:
        self._numbers, self._unknown, self._room = numbers, unknown, room
        self._rows: dict[str, int] = {}
        self._table = np.zeros((0, 3 + width), dtype=np.int32)  # number, shape, length, characters

    def __call__(self, words: Sequence[str]) -> Features:
        """Features of words, as many characters as the longest has."""
        if len(self._rows) > self._room:
            self._rows.clear()
        for word in words:
            if word not in self._rows:
                self._learn(word)
        table = self._table[[self._rows[word] for word in words]]
        longest = table[:, 2].max(initial=0)
        number, shape = np.ascontiguousarray(table[:, :2].T, dtype=np.int64)
        return Features(number, shape, table[:, 3 : 3 + longest])

    def __len__(self) -> int:
        """Words remembered."""
        return len(self._rows)

    def _learn(self, word: str) -> None:
        row, width = len(self._rows), self._table.shape[1] - 3
        if row == len(self._table):
            more = np.zeros((max(1024, row), 3 + width), dtype=np.int32)
            self._table = np.concatenate([self._table, more])
        number = self._numbers.get(word.lower(), self._unknown)
        spelled = characters(word, width)
        self._table[row] = [number, shape(word), np.count_nonzero(spelled), *spelled]
        self._rows[word] = row
