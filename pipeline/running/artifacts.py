"""What stages leave on disk: files and folders that appear whole or not at all."""

import ctypes
import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


@contextmanager
def writing(out: Path) -> Iterator[Path]:
    """Yields a path to write a file or folder to, which then replaces `out` in one step.

    A reader sees the former `out` or the new one, whole; after a failure still the former. Raises
    InputError where the disk is full, and where `out` is a device or a pipe. Give `torch.save` an
    open file: from a path it hides errno.
    """
    unusual = out.exists() and not (out.is_file() or out.is_dir())
    if unusual or out.absolute().parent == Path("/dev"):  # where even links are not for us
        raise InputError(
            f"{out}: expected the name of a file or folder, found a device or a pipe, which cannot "
            "appear whole; write to standard output and let the shell redirect it"
        )
    with space_for(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _nook_beside(out) as nook:
            yield nook / out.name
            _flush(nook / out.name)
            _put_in_place(nook / out.name, out)
            _flush_one(out.parent)


def made_by(stage: str, path: Path) -> Path:
    """`path`, to be used as an input. Raises InputError where it lacks, naming the stage to run."""
    if path.is_dir() and not any(path.iterdir()):
        found = "an empty folder"
    elif not path.exists():
        found = "nothing"
    else:
        return path
    raise InputError(
        f"{path}: expected what stage {stage} writes, found {found}; run `dvc repro {stage}` first"
    )


@contextmanager
def space_for(path: Path) -> Iterator[None]:
    """A full disk in this block becomes an InputError that names the path."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not _disk_was_full(error):
            raise
        raise InputError(
            f"{path}: the disk is full (or a quota is reached), so nothing was published: {error}. "
            "Free some space and run the same command again; a long stage resumes where it was"
        ) from error


def _disk_was_full(error: BaseException | None) -> bool:
    """Looks at causes too, and at the text: safetensors and shutil pass on no errno."""
    if error is None:
        return False
    texts = [os.strerror(code) for code in _FULL]
    full = getattr(error, "errno", None) in _FULL or any(text in str(error) for text in texts)
    return full or _disk_was_full(error.__cause__ or error.__context__)


def try_lock(file: IO[Any]) -> bool:
    """Whether this process now holds the lock of an open file; it goes when the file is closed."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def _nook_beside(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out`, gone at the end; those of killed writers are swept first."""
    for litter in out.parent.glob(f".{glob.escape(out.name)}.*.partial"):
        _sweep(litter)
    nook = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        with (nook / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield nook
    finally:
        shutil.rmtree(nook, ignore_errors=True)


def _sweep(litter: Path) -> None:
    with suppress(FileNotFoundError), (litter / ".lock").open("r+") as lock:
        if try_lock(lock):
            shutil.rmtree(litter, ignore_errors=True)


def _put_in_place(new: Path, out: Path) -> None:
    try:
        new.replace(out)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        _exchange(new, out)


def _exchange(new: Path, out: Path) -> None:
    """Swaps two names at once where the kernel can (Linux); else `out` is absent for an instant."""
    libc, here, swap = ctypes.CDLL(None), -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    names = os.fsencode(new), os.fsencode(out)
    if hasattr(libc, "renameat2") and not libc.renameat2(here, names[0], here, names[1], swap):
        return
    out.rename(new.parent / ".former")
    new.rename(out)


def _flush(path: Path) -> None:
    """Onto the disk, so that a power cut after the rename finds content behind the name."""
    for entry in (*path.rglob("*"), path):
        _flush_one(entry)


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
