"""Checksums of an exported student, as `sha256sum --check` reads them, and its size in bytes."""

import hashlib
import zlib
from pathlib import Path

from pipeline.errors import InputError

_SUMS = "SHA256SUMS"
_NOT_NEEDED = {_SUMS, "README.md", "scores.json", "huggingface"}


def weigh(folder: Path) -> tuple[int, int]:
    """Bytes of the files that tagging needs: as they are, and each packed by deflate."""
    files = [path for path in _files(folder) if path.parts[0] not in _NOT_NEEDED]
    contents = [(folder / path).read_bytes() for path in files]
    return sum(map(len, contents)), sum(len(zlib.compress(content, 9)) for content in contents)


def seal(folder: Path) -> None:
    """Write the checksums of all files that are there."""
    lines = [f"{_digest(folder / path)}  {path.as_posix()}\n" for path in _files(folder)]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")


def verify(folder: Path) -> None:
    """Raises InputError unless the folder holds the files that its checksums name, unchanged."""
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(
            f"{folder / _SUMS}: expected the checksums of an exported student, found {error!r}; "
            "run the stage that writes this folder again"
        ) from None
    named = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    found = {path.as_posix(): _digest(folder / path) for path in _files(folder)}
    if differing := sorted(path for path, _ in named.items() ^ found.items()):
        raise InputError(
            f"{folder}: expected the files that {_SUMS} names, found others: "
            f"{', '.join(dict.fromkeys(differing))}; run the stage that writes this folder again"
        )


def _files(folder: Path) -> list[Path]:
    """All files below but the checksums, in order, relative to the folder."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != Path(_SUMS))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
