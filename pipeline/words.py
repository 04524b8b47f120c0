"""What a word looks like: its shape and its characters, the features that need no vocabulary."""

import unicodedata
from collections.abc import Sequence

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


def shapes_of(words: Sequence[str]) -> np.ndarray:
    """Shape indices of many words, [words] int64."""
    return np.fromiter((shape(word) for word in words), dtype=np.int64, count=len(words))
