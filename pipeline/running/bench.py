"""Where a long stage works: it resumes after a kill, runs once at a time, publishes when it may.

DVC deletes outs before a command and hashes inputs after it. So `produce` keeps what resumes a run
elsewhere, and refuses to publish where an input, the code or a parameter changed meanwhile: DVC
would file the result under the wrong name. A second run of the same work waits and adopts.

    <DVC_ROOT>/.work/<out>/<fingerprint>/kept/   what the body needs to resume
    <DVC_ROOT>/.work/<out>/<fingerprint>/done/   what it made, until that is published
    <DVC_ROOT>/.locks/<fingerprint>              held while it runs; then says where the result is

DVC runs one stage after the other. Where AHEAD is set, a stage stops short of publishing; run by
DVC later, it finds the work done. So stages that do not need each other may run side by side.
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pipeline.errors import InputError
from pipeline.running.artifacts import space_for, try_lock, writing
from pipeline.running.lifeline import die_with_parent, unwinding
from pipeline.running.progress import log
from pipeline.running.snapshots import Snapshot, digest_of, name_of, require

AHEAD = "LIMBECK_AHEAD"
"""The environment variable that leaves publishing to a later run of the same work."""

_INTERRUPTED_RUNS_KEPT = 3
# DVC moves a fresh result into its cache and links it back; whoever adopts it looks again.
_LOOKS_FOR_RESULT = 10


@dataclass(frozen=True)
class Bench:
    """Where the body of a long stage works.

    `kept` is a folder that survives kills: checkpoints go there, each inside `writing`. `out` does
    not exist yet: the body leaves the finished file or folder there. Both are on one file system,
    so what was gathered in `kept` may be renamed to `out`.
    """

    kept: Path
    out: Path


def produce(
    out: Path,
    *,
    inputs: Sequence[Path],
    code: Sequence[Path],
    params: Callable[[], object],
    body: Callable[[Bench], None],
) -> None:
    """Publishes at `out` what `body` makes of inputs, code and parameters; resumes if interrupted.

    `params` reads the stage's parameters anew: it is called at the start and before publishing.
    Raises InputError where an input is missing, where anything changed during the run (what was
    kept stays, for when the change is taken back), and where the disk is full.
    """
    die_with_parent()
    require(inputs)
    start = Snapshot.take([*inputs, *code], params(), {})
    fingerprint = start.fingerprint(out)
    root = Path(os.environ.get("DVC_ROOT", ""))
    folder = root / ".work" / _label(out) / fingerprint

    def check() -> None:
        start.compare(Snapshot.take([*inputs, *code], params(), start.files), out)

    with unwinding(), space_for(folder), _turn(root / ".locks" / fingerprint, out) as (note, late):
        if late and _adopt(note, out, check):
            return
        note.truncate(0)
        _forget_oldest(folder)
        if _make(out, folder, body, check):
            _write_note(note, out)


def _make(
    out: Path, folder: Path, body: Callable[[Bench], None], check: Callable[[], None]
) -> bool:
    """Whether the result is published; not where it is made ahead."""
    made, done = folder / "out", folder / "done"
    if done.exists():
        made = done
        log(f"{out}: was made ahead")
    else:
        _work(out, folder, body)
    check()
    if AHEAD in os.environ:
        made.rename(done)
        return False
    with writing(out) as partial:
        shutil.move(made / out.name, partial)  # a rename, unless .work is on another file system
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _work(out: Path, folder: Path, body: Callable[[Bench], None]) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)
    bench = Bench(kept=folder / "kept", out=folder / "out" / out.name)
    for place in (bench.kept, bench.out.parent):
        place.mkdir(parents=True, exist_ok=True)
    if any(bench.kept.iterdir()):
        log(f"{out}: resumes from {bench.kept}")
    body(bench)


def _forget_oldest(folder: Path) -> None:
    """Of interrupted runs for the same `out`, the newest few may be resumed; older ones go."""
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    runs = sorted(folder.parent.iterdir(), key=lambda run: run.stat().st_mtime, reverse=True)
    for run in runs[1 + _INTERRUPTED_RUNS_KEPT :]:
        with (folder.parents[2] / ".locks" / run.name).open("a+") as lock:
            if try_lock(lock):
                shutil.rmtree(run, ignore_errors=True)


def _label(out: Path) -> str:
    """`models/teachers/en` as one folder name, so that no working folder lies inside another."""
    return re.sub(r"[^\w.@]+", "-", name_of(out)).strip("-")


@contextmanager
def _turn(lock: Path, out: Path) -> Iterator[tuple[TextIO, bool]]:
    """Holds the lock; yields its file, open for a note, and whether another run held it before."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as note:
        late = not try_lock(note)
        if late:
            log(f"{out}: another run is at the same work; waiting for it")
            fcntl.flock(note, fcntl.LOCK_EX)
        yield note, late


def _write_note(note: TextIO, out: Path) -> None:
    """Says where the result lies, for runs that wait; they may work in another copy of the tree."""
    text = json.dumps({"out": str(out.absolute()), "digest": digest_of(out)})
    with suppress(OSError):  # the result is published: without a note, others make it themselves
        os.write(note.fileno(), text.encode())


def _adopt(note: TextIO, out: Path, check: Callable[[], None]) -> bool:
    """Whether the run before this one left a result, now at `out` too."""
    note.seek(0)
    text = note.read()
    if not text:
        return False  # it was killed or failed: carry on from what it kept
    check()
    result: dict[str, Any] = json.loads(text)
    for look in range(_LOOKS_FOR_RESULT):
        time.sleep(min(look, 1))
        with suppress(OSError, InputError, shutil.Error):
            if _copied(Path(result["out"]), result["digest"], out):
                log(f"{out}: adopted from {result['out']}")
                return True
    return False


def _copied(source: Path, digest: str, out: Path) -> bool:
    """Whether the source is what the digest says, and so is `out`: the same place, or a copy."""
    if digest_of(source) != digest:
        return False
    if source == out.absolute():
        return True
    with writing(out) as partial:
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, partial)
        if digest_of(partial) != digest:
            raise OSError(f"{source}: changed while it was copied")
    return True
