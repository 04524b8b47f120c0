"""Sentences as arrays of words: numbers in a vocabulary, shapes, characters. Numpy alone.

An exported student reads text with this very module, where neither torch nor pydantic is.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np

from pipeline.errors import InputError

Sentences: TypeAlias = Sequence[Sequence[str]]
Arrays: TypeAlias = dict[str, np.ndarray]

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

    number: np.ndarray
    """[words] int64"""
    shape: np.ndarray
    """[words] int64"""
    characters: np.ndarray
    """[words, longest] int32"""


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


@runtime_checkable
class Reader(Protocol):
    """Turns sentences into the arrays that a network reads; stored beside the network's weights."""

    def __call__(self, sentences: Sentences) -> Arrays:
        """Arrays of a batch by name; `lengths` [batch] counts words."""
        ...

    def sizes(self, sentences: Sentences) -> list[int]:
        """What each takes of a batch's budget: words, or pieces where pieces are read."""
        ...

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once and are read in windows."""
        ...

    def save(self, folder: Path) -> None:
        """Write `reader.json`, whose `kind` says which reader it is, and what belongs to it."""
        ...


SPELLING = 20
"""Characters of a word that are read; the longer rest is cut."""

ROOM = 50_000
"""Words whose features are remembered beside those of the vocabulary, each in two casings."""


class WordReader:
    """Sentences as arrays, every distinct word of a batch once; word 0 is padding, word 1 unknown.

    `vocabulary` holds lower-cased words, `width` characters of a word are read, and the features of
    some `room` words are remembered beside those of the vocabulary.
    """

    def __init__(
        self, vocabulary: Sequence[str], *, width: int = SPELLING, room: int = ROOM
    ) -> None:
        self.vocabulary, self.width = list(vocabulary), width
        numbers = {word: number for number, word in enumerate(self.vocabulary, start=2)}
        self._lexicon = Lexicon(numbers, 1, width, room + 2 * len(numbers))

    def __call__(self, sentences: Sentences) -> Arrays:
        """`word`, `shape` [distinct], `character` [distinct, longest]; `place` [batch, words] says
        which stands where; `lengths` [batch]."""
        lengths = np.array([len(words) for words in sentences], dtype=np.int64)
        flat = list(chain.from_iterable(sentences))
        places = {word: place for place, word in enumerate(dict.fromkeys(flat))}
        place = np.zeros((len(lengths), lengths.max(initial=0)), dtype=np.int64)
        place[np.arange(place.shape[1]) < lengths[:, None]] = [places[word] for word in flat]
        number, shape, characters = self._lexicon(list(places))
        arrays = {"word": number, "shape": shape, "character": characters}
        return {**arrays, "place": place, "lengths": lengths}

    def sizes(self, sentences: Sentences) -> list[int]:
        """Words of each sentence."""
        return [len(words) for words in sentences]

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once: none."""
        return 0

    def save(self, folder: Path) -> None:
        """Write `reader.json` and `vocabulary.json`, most frequent word first."""
        write_json(folder / "reader.json", {"kind": "words", "width": self.width})
        write_json(folder / "vocabulary.json", self.vocabulary)

    @classmethod
    def load(cls, folder: Path) -> "WordReader":
        """What `save` wrote; InputError where a file is missing or damaged."""
        vocabulary = read_json(folder / "vocabulary.json", "the words that the tagger knows")
        return cls(vocabulary, **read_reader(folder, "words", ["width"]))


def write_json(path: Path, value: Any) -> None:
    """Write JSON, a key or an item a line, keys sorted."""
    text = json.dumps(value, ensure_ascii=False, indent=0, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, what: str) -> Any:
    """Raises InputError where the file is missing or damaged; `what` says what it should hold."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected {what}, found no such file, or a damaged one ({error}); "
            "run the stage that writes this folder again"
        ) from None


def read_reader(folder: Path, kind: str, names: Sequence[str]) -> dict[str, Any]:
    """What `reader.json` says of a reader of that kind, by these names and no others.

    Raises InputError where the file is missing or damaged, or holds another kind.
    """
    path = folder / "reader.json"
    stored = read_json(path, "how the tagger reads words")
    if not isinstance(stored, dict) or {*stored} != {"kind", *names} or stored["kind"] != kind:
        raise InputError(
            f"{path}: expected kind {kind} with {', '.join(names)}, found {stored!r}; "
            "run the stage that writes this folder again"
        )
    return {name: stored[name] for name in names}
