"""Words as the pieces of a tokenizer, each looked up once, and windows over long sentences.

An exported student reads text with this very module: it needs numpy and the library `tokenizers`.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from pipeline.reading.lexicon import shape
from pipeline.reading.stored import read_reader, read_tokenizer, write_json, write_tokenizer
from pipeline.reading.words import ROOM, Arrays, Sentences

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


class Spelled(NamedTuple):
    """Words one after the other: how many pieces each has, all of these, and each word's shape."""

    counts: np.ndarray
    pieces: np.ndarray
    shapes: np.ndarray


class Pieces:
    """Words as at most so many pieces; of words met before, up to some `room`, it remembers all."""

    def __init__(self, tokenizer: Any, most: int, unknown: int, room: int = ROOM) -> None:
        self._tokenizer, self._most, self._unknown, self._room = tokenizer, most, unknown, room
        self._known: dict[str, list[int]] = {}
        self._shapes: dict[str, int] = {}

    def __call__(self, words: Sequence[str]) -> Spelled:
        """What is known of these words."""
        spelled = self.of(words)
        return Spelled(
            np.fromiter(map(len, spelled), np.int64, len(words)),
            np.fromiter(chain.from_iterable(spelled), np.int64),
            np.fromiter(map(self._shapes.__getitem__, words), np.int64, len(words)),
        )

    def of(self, words: Sequence[str]) -> list[list[int]]:
        """The pieces of each; the tokenizer is asked of new words alone, of all of them at once."""
        if not self._known.keys() >= {*words}:
            self._learn(words)
        return [*map(self._known.__getitem__, words)]

    def __len__(self) -> int:
        """Words remembered."""
        return len(self._known)

    def _learn(self, words: Sequence[str]) -> None:
        """A word without any piece reads as unknown."""
        if len(self._known) > self._room:
            self._known.clear()
            self._shapes.clear()
        new = [*dict.fromkeys(word for word in words if word not in self._known)]
        encoded = self._tokenizer.encode(new, is_pretokenized=True, add_special_tokens=False)
        spelled: list[list[int]] = [[] for _ in new]
        for piece, word in zip(encoded.ids, encoded.word_ids, strict=True):
            spelled[word].append(piece)
        # A word longer than a whole window is cut: its first pieces stand for it.
        cut = (pieces[: self._most] or [self._unknown] for pieces in spelled)
        self._known |= zip(new, cut, strict=True)
        self._shapes |= zip(new, map(shape, new), strict=True)


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
        padded batch that a piece counts for (0: none); `first` [batch, words] says where among the
        places of all rows each word begins (0 at padding); `lengths` [batch] counts words, and
        `mask` [batch, words] is True at them.
        """
        before, after = len(self._how.before), len(self._how.after)
        lengths = np.array([*map(len, sentences)], dtype=np.int64)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        read, rows, own = self._rows(self._pieces([*chain.from_iterable(sentences)]), lengths)
        whole = before + _sums(read.counts, rows) + after
        column = np.arange(whole.max(initial=0))
        attend, inside = column < whole[:, None], column < whole[:, None] - after
        inside[:, :before] = False
        begins = np.flatnonzero(inside)[read.counts.cumsum() - read.counts][own]
        pieces, shape, counted = (np.zeros(inside.shape, dtype=np.int64) for _ in range(3))
        first = np.zeros(mask.shape, dtype=np.int64)
        pieces[:, :before] = self._how.before
        pieces[inside] = read.pieces
        for n, piece in enumerate(reversed(self._how.after), start=1):
            pieces[np.arange(len(rows)), whole - n] = piece
        shape[inside] = np.repeat(1 + read.shapes, read.counts)
        first[mask] = begins
        if self._how.pooling == "first":
            counted.ravel()[begins] = 1 + np.flatnonzero(mask)
        else:
            which = np.zeros_like(read.counts)
            which[own] = 1 + np.flatnonzero(mask)
            counted[inside] = np.repeat(which, read.counts)
        arrays = {"pieces": pieces, "attend": attend, "shape": shape, "word": counted}
        return {**arrays, "first": first, "lengths": lengths, "mask": mask}

    def of_every_piece(self) -> "PieceReader":
        """The same reader, whose `word` tells of every piece which word it is a piece of."""
        reader = copy(self)
        reader._how = replace(self._how, pooling="mean")
        return reader

    def sizes(self, sentences: Sentences) -> list[int]:
        """Pieces of each sentence: one long address may have more than the words around it."""
        counts = map(len, self._pieces.of([*chain.from_iterable(sentences)]))
        return [sum(islice(counts, len(words))) for words in sentences]

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

    def _rows(
        self, read: Spelled, lengths: np.ndarray
    ) -> tuple[Spelled, np.ndarray, slice | np.ndarray]:
        """The words of every window, how many each has, and which of them take its vectors."""
        if (_sums(read.counts, lengths) <= self._room).all():
            return read, lengths, slice(None)
        first, end, own, own_end = self._windows(read.counts, lengths)
        row, word = ranges(first, end)
        starts = read.counts.cumsum() - read.counts
        counts = read.counts[word]
        _, places = ranges(starts[word], starts[word] + counts)
        again = Spelled(counts, read.pieces[places], read.shapes[word])
        return again, end - first, np.flatnonzero((word >= own[row]) & (word < own_end[row]))

    def _windows(self, pieces: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """`Window`s [4, rows] over the words of all sentences, which have so many pieces each."""
        rows = []
        for first, end in pairwise([0, *lengths.cumsum().tolist()]):
            found = windows(pieces[first:end].tolist(), self._room, self._overlap)
            rows += [tuple(first + place for place in window) for window in found]
        return np.array(rows, dtype=np.int64).reshape(-1, 4).T


def _sums(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Σ of consecutive runs of so many values."""
    totals, ends = np.concatenate([[0], values.cumsum()]), lengths.cumsum()
    return totals[ends] - totals[ends - lengths]
