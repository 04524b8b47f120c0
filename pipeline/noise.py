"""Noise: words as people mistype them, machines misread them, and speech recognisers write them.

A word never vanishes: sentences keep their length, and tags their places. A word of which nothing
is left is the empty one, which every reader takes for unknown. To add a noise, write a settings
class with a `kind`, a `share` and `__call__`, and put its name in `Noise`; the contract tests then
run over it.
"""

import random
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from pipeline.config import settings

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Edit: TypeAlias = Literal["swap", "delete", "double", "neighbour"]
Words: TypeAlias = Sequence[str]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Letters of a keyboard; each stands between the two above it."""


@settings
class WordDrop:
    """Words replaced by the unknown word.

    Source: Liu, Shen and Lapata 2021, whose released command drops 0.1 of a student's words.
    """

    kind: Literal["drop"] = "drop"
    share: Share = 0.1
    """Of words."""

    def __call__(self, words: Words, chance: random.Random) -> list[str]:
        """The same words, some of them empty."""
        return ["" if chance.random() < self.share else word for word in words]


@settings
class Typos:
    """Words with one slip of the fingers."""

    kind: Literal["typos"] = "typos"
    share: Share = 0.1
    """Of words."""
    edits: Annotated[tuple[Edit, ...], Field(min_length=1)] = (
        "swap",
        "delete",
        "double",
        "neighbour",
    )

    def __call__(self, words: Words, chance: random.Random) -> list[str]:
        """The same words, some with two characters swapped, one less, one twice or a wrong one."""
        return [
            self._slip(word, chance) if chance.random() < self.share else word for word in words
        ]

    def _slip(self, word: str, chance: random.Random) -> str:
        possible = [found for edit in self.edits if (found := [*_EDITS[edit](word)])]
        return chance.choice(chance.choice(possible)) if possible else word


@settings
class LowerCase:
    """Whole sentences in lower case."""

    kind: Literal["lower"] = "lower"
    share: Share = 0.5
    """Of sentences."""

    def __call__(self, words: Words, chance: random.Random) -> list[str]:
        """The same words, or all of them in lower case."""
        return [word.lower() for word in words] if chance.random() < self.share else [*words]


@settings
class Misread:
    """Words with one confusion of optical character recognition, where a word has room for one."""

    kind: Literal["ocr"] = "ocr"
    share: Share = 0.1
    """Of words."""

    def __call__(self, words: Words, chance: random.Random) -> list[str]:
        """The same words, some of them with characters that look alike in place of their own."""
        return [_misread(word, chance) if chance.random() < self.share else word for word in words]


@settings
class Misheard:
    """Whole sentences as speech recognisers write them: in lower case, without punctuation.

    Punctuation at a word's ends goes, that within stays (`don't`, `3.5`); a word of nothing else
    becomes the empty one. Numbers stay as they are: spelt out they would be several words.
    Source: the erroneous transcripts of students in knowledge distillation for cascade speech
    translation (2021), of which we have read the abstract.
    """

    kind: Literal["asr"] = "asr"
    share: Share = 0.5
    """Of sentences."""

    def __call__(self, words: Words, chance: random.Random) -> list[str]:
        """The same words, or all of them as they are heard."""
        return [*map(_heard, words)] if chance.random() < self.share else [*words]


Noise: TypeAlias = Annotated[
    WordDrop | Typos | LowerCase | Misread | Misheard, Field(discriminator="kind")
]


def noisy(
    sentences: Sequence[Words], noises: Sequence[Noise], chance: random.Random
) -> list[list[str]]:
    """Sentences after all noises, one after the other."""
    found = [[*words] for words in sentences]
    for noise in noises:
        found = [noise(words, chance) for words in found]
    return found


def _swaps(word: str) -> Iterator[str]:
    for n, (one, other) in enumerate(pairwise(word)):
        if one != other:
            yield f"{word[:n]}{other}{one}{word[n + 2 :]}"


def _deletions(word: str) -> Iterator[str]:
    return (word[:n] + word[n + 1 :] for n in range(len(word)) if len(word) > 1)


def _doubles(word: str) -> Iterator[str]:
    return (word[: n + 1] + word[n:] for n in range(len(word)))


def _neighbours(word: str) -> Iterator[str]:
    for n, letter in enumerate(word):
        for key in _KEYS.get(letter.lower(), ""):
            yield word[:n] + (key if letter.islower() else key.upper()) + word[n + 1 :]


_EDITS = {"swap": _swaps, "delete": _deletions, "double": _doubles, "neighbour": _neighbours}


def _keys() -> dict[str, str]:
    places = {key: (row, n) for row, keys in enumerate(_ROWS) for n, key in enumerate(keys)}
    near = ((0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0))
    at = {place: key for key, place in places.items()}
    return {
        key: "".join(at[found] for down, along in near if (found := (row + down, n + along)) in at)
        for key, (row, n) in places.items()
    }


_KEYS = _keys()
_ALIKE = (
    *(("0", "O"), ("0", "o"), ("1", "l"), ("1", "I"), ("l", "I"), ("5", "S"), ("8", "B")),
    *(("2", "Z"), ("6", "G"), ("c", "e"), ("h", "b"), ("rn", "m"), ("cl", "d"), ("vv", "w")),
)


def _misread(word: str, chance: random.Random) -> str:
    found = [
        word[:n] + wrong + word[n + len(right) :]
        for pair in _ALIKE
        for right, wrong in (pair, pair[::-1])
        for n in range(len(word))
        if word.startswith(right, n)
    ]
    return chance.choice(found) if found else word


def _heard(word: str) -> str:
    marks = "".join({mark for mark in word if unicodedata.category(mark).startswith("P")})
    return word.strip(marks).lower() if marks else word.lower()
