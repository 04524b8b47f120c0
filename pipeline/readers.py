"""The reader in a tagger's folder, of words or of pieces: what turns sentences into arrays."""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.pieces import PieceReader
from pipeline.words import Reader, WordReader, read_json

_READERS = {"words": WordReader, "pieces": PieceReader}


def load_reader(folder: Path) -> Reader:
    """What an encoder's `save` left of its reader; InputError where it is missing or damaged."""
    path = folder / "reader.json"
    stored = read_json(path, "how the tagger reads words")
    kind = stored.get("kind") if isinstance(stored, dict) else None
    if kind not in _READERS:
        raise InputError(f"{path}: expected a kind, one of {', '.join(_READERS)}, found {kind!r}")
    return _READERS[kind].load(folder)
