"""Whether what a result depends on stands still: content hashes of files, and parameters."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.config import plain
from pipeline.errors import InputError


class _Seen(NamedTuple):
    """A file's stat and digest: while the stat stays, it need not be read again."""

    stat: tuple[int, ...]
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """Content of all that a result depends on: digests by name, and the parameters as JSON."""

    files: dict[str, _Seen]
    params: str

    @classmethod
    def take(cls, paths: Sequence[Path], params: object, known: Mapping[str, _Seen]) -> "Snapshot":
        """Reads files and folders; those whose stat is as in `known` are not read again."""
        names = {name_of(file): file for path in paths for file in _files_of(path)}
        files = {name: _see(names[name], known.get(name)) for name in sorted(names)}
        return cls(files, json.dumps(plain(params), sort_keys=True))

    def fingerprint(self, out: Path) -> str:
        """80 bits that stand for this work and no other, wherever the project lies."""
        digests = {name: seen.digest for name, seen in self.files.items()}
        whole = json.dumps([name_of(out), digests, self.params])
        return hashlib.sha256(whole.encode()).hexdigest()[:20]

    def compare(self, now: "Snapshot", out: Path) -> None:
        """Raises InputError that names what is not as it was."""
        names = self.files.keys() | now.files.keys()
        changed = sorted(n for n in names if _digest(self, n) != _digest(now, n))
        changed += ["the parameters"] * (self.params != now.params)
        if changed:
            raise InputError(
                f"{out}: not published, for these changed while it was made: {', '.join(changed)}. "
                "Take the change back and run again to finish from here, or just run again to "
                "start over with the change"
            )


def _digest(snapshot: Snapshot, name: str) -> str | None:
    seen = snapshot.files.get(name)
    return seen and seen.digest


def _see(file: Path, known: _Seen | None) -> _Seen:
    try:
        status = file.stat()
        # A file touched this very second could change again under the same time stamp.
        settled = time.time_ns() - status.st_ctime_ns > 1e9
        stat = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if known and known.stat == stat:
            return known
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return _Seen(stat if settled else (), digest)
    except OSError as error:
        raise InputError(f"{file}: expected a file to read, found: {error.strerror}") from None


def require(inputs: Sequence[Path]) -> None:
    """Raises InputError that names the inputs that are not there."""
    missing = [str(path) for path in inputs if not path.exists()]
    if missing:
        raise InputError(
            f"{', '.join(missing)}: expected an input of this stage, found nothing; "
            "`dvc repro` makes what is missing"
        )


def _files_of(path: Path) -> list[Path]:
    """The file itself, or all files below the folder but those still being written."""
    if not path.is_dir():
        return [path] if path.exists() else []
    names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    return [path / name for name in names if ".partial/" not in name]


def name_of(path: Path) -> str:
    """Relative to the working directory where it can be, so that a copy of the project agrees."""
    whole = path.absolute()
    return (whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole).as_posix()


def digest_of(out: Path) -> str:
    """Content and names of a file or folder, wherever it lies."""
    files = sorted(_files_of(out))
    digests = [(file.relative_to(out).as_posix(), _see(file, None).digest) for file in files]
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()
