"""Sentences as arrays of words: numbers in a vocabulary, shapes, spellings. Numpy alone.

An exported student reads text with this very module, where neither torch nor pydantic is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.reading.lexicon import GRAMS, Lexicon, Spelling, characters, grams
from pipeline.reading.stored import (
    read_json,
    read_reader,
    read_tokenizer,
    write_json,
    write_tokenizer,
)

Sentences: TypeAlias = Sequence[Sequence[str]]
Arrays: TypeAlias = dict[str, np.ndarray]


SPELLING = 20
"""Characters of a word that are read; the longer rest is cut."""

ROOM = 50_000
"""Words whose features are remembered beside those of the vocabulary, each in two casings."""


PIECES = 12
"""Pieces of a word that are read."""


@dataclass(frozen=True)
class PieceTable:
    """A tokenizer that spells words in pieces: piece p counts as p + 1, for 0 is padding."""

    tokenizer: Any
    """A `tokenizers.Tokenizer`."""
    unknown: int
    """The piece of a word that has none."""

    def __call__(self, word: str) -> list[int]:
        """The first pieces of a word."""
        found = self.tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids
        return [1 + piece for piece in found[:PIECES] or [self.unknown]]

    def __len__(self) -> int:
        """One more than the largest piece."""
        return 1 + max(self.tokenizer.get_vocab().values())


class WordReader:
    """Sentences as arrays, every distinct word of a batch once; word 0 is padding, word 1 unknown.

    `vocabulary` holds lower-cased words, `width` characters of a word are read, its n-grams fall
    into so many buckets `grams` (0: none are read), and `pieces` spells it in pieces. The features
    of some `room` words are remembered beside those of the vocabulary.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        width: int = SPELLING,
        grams: int = 0,
        pieces: PieceTable | None = None,
        room: int = ROOM,
    ) -> None:
        self.vocabulary, self.width, self.grams = list(vocabulary), width, grams
        self.pieces = pieces
        numbers = {word: number for number, word in enumerate(self.vocabulary, start=2)}
        ways = _spellings(width, grams, pieces)
        self._lexicon = Lexicon(numbers, 1, ways, room + 2 * len(numbers))

    def __call__(self, sentences: Sentences) -> Arrays:
        """`word`, `shape` [distinct], `character` and, where they are read, `gram` and `piece`
        [distinct, longest]; `place` [batch, words] says which stands where; `lengths` [batch]."""
        lengths = np.array([len(words) for words in sentences], dtype=np.int64)
        flat = list(chain.from_iterable(sentences))
        places = {word: place for place, word in enumerate(dict.fromkeys(flat))}
        place = np.zeros((len(lengths), lengths.max(initial=0)), dtype=np.int64)
        place[np.arange(place.shape[1]) < lengths[:, None]] = [places[word] for word in flat]
        return {**self._lexicon(list(places)), "place": place, "lengths": lengths}

    def sizes(self, sentences: Sentences) -> list[int]:
        """Words of each sentence."""
        return [len(words) for words in sentences]

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once: none."""
        return 0

    def save(self, folder: Path) -> None:
        """Write `reader.json`, `vocabulary.json`, most frequent word first, and `tokenizer.json`
        where pieces are read."""
        unknown = None if self.pieces is None else self.pieces.unknown
        how = {"kind": "words", "width": self.width, "grams": self.grams, "unknown_piece": unknown}
        write_json(folder / "reader.json", how)
        write_json(folder / "vocabulary.json", self.vocabulary)
        if self.pieces is not None:
            write_tokenizer(folder / "tokenizer.json", self.pieces.tokenizer)

    @classmethod
    def load(cls, folder: Path) -> "WordReader":
        """What `save` wrote; InputError where a file is missing or damaged."""
        vocabulary = read_json(folder / "vocabulary.json", "the words that the tagger knows")
        stored = read_reader(folder, "words", ["width", "grams", "unknown_piece"])
        unknown, pieces = stored.pop("unknown_piece"), None
        if unknown is not None:
            pieces = PieceTable(read_tokenizer(folder / "tokenizer.json"), unknown)
        return cls(vocabulary, pieces=pieces, **stored)


def _spellings(width: int, buckets: int, pieces: PieceTable | None) -> dict[str, Spelling]:
    ways = {"character": Spelling(lambda word: characters(word, width), width)}
    if buckets:
        most = sum(width + 2 - n + 1 for n in GRAMS)
        ways["gram"] = Spelling(lambda word: grams(word, width, buckets), most)
    if pieces is not None:
        ways["piece"] = Spelling(pieces, PIECES)
    return ways
