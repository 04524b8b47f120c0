"""Words as the pieces of a tokenizer, each looked up once, and windows over long sentences.

An exported student reads text with this very module: it needs numpy and the library `tokenizers`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from pipeline.reading.lexicon import shape
from pipeline.reading.stored import read_reader, read_tokenizer, write_json, write_tokenizer
from pipeline.reading.words import Arrays, Sentences

Pooling: TypeAlias = Literal["first", "mean"]
"""A word's vector: that of its first piece, or the mean over its pieces."""


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

    def __init__(self, tokenizer: Any, room: int, unknown: int) -> None:
        self._tokenizer, self._room, self._unknown = tokenizer, room, unknown
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
        encoded = self._tokenizer.encode_batch(
            [[word] for word in words], is_pretokenized=True, add_special_tokens=False
        )
        # A word longer than a whole window is cut: its first pieces stand for it.
        spelled = [found.ids[: self._room] or [self._unknown] for found in encoded]
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


@dataclass(frozen=True)
class Reading:
    """How words become rows of pieces: what `reader.json` says of a piece reader."""

    before: tuple[int, ...]
    """What the tokenizer puts before a text, such as [CLS], and `after` it, such as [SEP]."""
    after: tuple[int, ...]
    unknown: int
    """The piece of a word that has none."""
    window: int
    """Pieces in a row at most, those before and after the text among them."""
    overlap: int
    pooling: Pooling


class PieceReader:
    """Sentences as windows of pieces, one a row, from a `tokenizers.Tokenizer` alone."""

    def __init__(self, tokenizer: Any, reading: Reading) -> None:
        self.tokenizer, self._how = tokenizer, reading
        self._room = reading.window - len(reading.before) - len(reading.after)
        # Half a window: with more, a long sentence would be read many times over.
        self._overlap = min(reading.overlap, self._room // 2)
        self._pieces = Pieces(tokenizer, self._room, reading.unknown)

    def __call__(self, sentences: Sentences) -> Arrays:
        """Windows of all sentences as rows.

        `pieces`, `attend`, `shape` [rows, pieces]; `word` [rows, pieces] numbers the word of the
        padded batch that a piece counts for (0: none); `lengths` [batch] counts words, and `mask`
        [batch, words] is True at them.
        """
        known, numbers = self._pieces, self._pieces.numbers(sentences)
        before, after = self._how.before, self._how.after
        lengths = np.array([len(words) for words in sentences], dtype=np.int64)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        first, end, own, own_end = self._windows(known.counts(numbers), lengths)
        # Every word of every window, then every piece of those.
        row, word = ranges(first, end)
        counts_for = 1 + np.flatnonzero(mask)[word]
        counts_for[(word < own[row]) | (word >= own_end[row])] = 0
        which, place = ranges(known.borders[numbers[word]], known.borders[numbers[word] + 1])
        row = row[which]
        sizes = np.bincount(row, minlength=len(first))
        column = len(before) + np.arange(len(row)) - (sizes.cumsum() - sizes)[row]
        whole = len(before) + sizes + len(after)
        pieces, shape, counted = np.zeros((3, len(first), whole.max(initial=0)), dtype=np.int64)
        pieces[row, column] = known.pieces[place]
        pieces[:, : len(before)] = before
        for n, piece in enumerate(reversed(after), start=1):
            pieces[np.arange(len(first)), whole - n] = piece
        shape[row, column] = 1 + known.shapes[numbers[word]][which]
        if self._how.pooling == "first":
            is_first = np.diff(which, prepend=-1) > 0
            row, column, which = row[is_first], column[is_first], which[is_first]
        counted[row, column] = counts_for[which]
        attend = np.arange(whole.max(initial=0)) < whole[:, None]
        arrays = {"pieces": pieces, "attend": attend, "shape": shape, "word": counted}
        return {**arrays, "lengths": lengths, "mask": mask}

    def sizes(self, sentences: Sentences) -> list[int]:
        """Pieces of each sentence: one long address may have more than the words around it."""
        pieces = self._pieces.counts(self._pieces.numbers(sentences))
        return _sums(pieces, np.array([len(words) for words in sentences], dtype=np.int64)).tolist()

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are longer than one window."""
        return sum(size > self._room for size in self.sizes(sentences))

    def save(self, folder: Path) -> None:
        """Write `reader.json` and `tokenizer.json`."""
        write_json(folder / "reader.json", {"kind": "pieces", **asdict(self._how)})
        write_tokenizer(folder / "tokenizer.json", self.tokenizer)

    @classmethod
    def load(cls, folder: Path) -> "PieceReader":
        """What `save` wrote; InputError where a file is missing or damaged."""
        stored = read_reader(folder, "pieces", [field.name for field in fields(Reading)])
        before, after = tuple(stored.pop("before")), tuple(stored.pop("after"))
        reading = Reading(before=before, after=after, **stored)
        return cls(read_tokenizer(folder / "tokenizer.json"), reading)

    def _windows(self, pieces: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """`Window`s [4, rows] over the words of all sentences, which have so many pieces each."""
        borders = [0, *lengths.cumsum().tolist()]
        rows = []
        for (first, end), size in zip(pairwise(borders), _sums(pieces, lengths), strict=True):
            if size <= self._room:
                rows.append((first, end, first, end))
            else:
                found = windows(pieces[first:end].tolist(), self._room, self._overlap)
                rows += [tuple(first + place for place in window) for window in found]
        return np.array(rows, dtype=np.int64).reshape(-1, 4).T


def _sums(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Σ of consecutive runs of so many values."""
    totals, ends = np.concatenate([[0], values.cumsum()]), lengths.cumsum()
    return totals[ends] - totals[ends - lengths]
