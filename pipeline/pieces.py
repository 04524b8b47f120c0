"""Words as the pieces of a tokenizer, each looked up once, and windows over long sentences."""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from pipeline.words import shape


class Window(NamedTuple):
    """Words `first` to `end` (exclusive) are read; those from `own` to `own_end` take it."""

    first: int
    end: int
    own: int
    own_end: int


def windows(pieces: Sequence[int], room: int, overlap: int) -> list[Window]:
    """Windows over words with so many pieces each, every word in exactly one window's own part.

    A sentence that fits is one window. Others move on by `room - overlap` pieces; a word in two
    windows belongs to the one in which it stands further from the border. Borders depend on
    lengths alone, never on tags. A word of more than `room` pieces is cut by the caller.
    """
    spans, first = [], 0
    while True:
        end = _fill(pieces, first, room)
        spans.append((first, end))
        if end == len(pieces):
            break
        first = max(first + 1, _back(pieces, end, overlap))
    borders = [0, *(_middle(left, right) for left, right in pairwise(spans)), len(pieces)]
    owned = zip(spans, pairwise(borders), strict=True)
    return [Window(first, end, own, own_end) for (first, end), (own, own_end) in owned]


def _fill(pieces: Sequence[int], first: int, room: int) -> int:
    used, end = 0, first
    while end < len(pieces) and (used + pieces[end] <= room or end == first):
        used += pieces[end]
        end += 1
    return end


def _back(pieces: Sequence[int], end: int, overlap: int) -> int:
    used, first = 0, end
    while first > 0 and used + pieces[first - 1] <= overlap:
        first -= 1
        used += pieces[first]
    return first


def _middle(left: tuple[int, int], right: tuple[int, int]) -> int:
    return (right[0] + left[1]) // 2


class Pieces:
    """The words met so far: `shapes` [words], and the pieces of word n in
    `pieces`[`borders`[n] : `borders`[n + 1]], at most `room` of them.
    """

    def __init__(self, tokenizer: Any, room: int) -> None:
        self._tokenizer, self._room = tokenizer, room
        self._places: dict[str, int] = {}
        self.pieces, self.borders, self.shapes = (np.zeros(size, np.int64) for size in (0, 1, 0))

    def numbers(self, sentences: Sequence[Sequence[str]]) -> np.ndarray:
        """Which word each is, one sentence after the other; the tokenizer is asked of new ones."""
        words = list(chain.from_iterable(sentences))
        new = {*words} - self._places.keys()
        if new:
            self._learn(sorted(new))
        return np.fromiter(map(self._places.__getitem__, words), np.int64, len(words))

    def counts(self, numbers: np.ndarray) -> np.ndarray:
        """How many pieces each of these words has."""
        return self.borders[numbers + 1] - self.borders[numbers]

    def _learn(self, words: list[str]) -> None:
        """A word without any piece reads as unknown."""
        unknown = [self._tokenizer.unk_token_id]
        encoded = self._tokenizer(
            [[word] for word in words], is_split_into_words=True, add_special_tokens=False
        )["input_ids"]
        # A word longer than a whole window is cut: its first pieces stand for it.
        spelled = [pieces[: self._room] or unknown for pieces in encoded]
        self._places |= {word: len(self._places) + n for n, word in enumerate(words)}
        sizes = np.array([*map(len, spelled)])
        self.borders = np.concatenate([self.borders, self.borders[-1] + sizes.cumsum()])
        self.pieces = np.concatenate([self.pieces, np.array([*chain.from_iterable(spelled)])])
        self.shapes = np.concatenate([self.shapes, np.array([*map(shape, words)])])


def ranges(first: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All numbers from first[n] to end[n], one range after the other, and of which n each is."""
    sizes = end - first
    which = np.repeat(np.arange(len(sizes)), sizes)
    return which, np.arange(len(which)) + (first - (sizes.cumsum() - sizes))[which]
