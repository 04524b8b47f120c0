"""The reader in a tagger's folder, of words or of pieces: what turns sentences into arrays."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from pipeline.errors import InputError
from pipeline.reading.pieces import PieceReader
from pipeline.reading.stored import read_json
from pipeline.reading.words import Arrays, Sentences, WordReader


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


_READERS = {"words": WordReader, "pieces": PieceReader}


def load_reader(folder: Path) -> Reader:
    """What an encoder's `save` left of its reader; InputError where it is missing or damaged."""
    path = folder / "reader.json"
    stored = read_json(path, "how the tagger reads words")
    kind = stored.get("kind") if isinstance(stored, dict) else None
    if kind not in _READERS:
        raise InputError(f"{path}: expected a kind, one of {', '.join(_READERS)}, found {kind!r}")
    return _READERS[kind].load(folder)
