"""How a long stage ends: with the DVC that started it, or in good order when it is asked to stop.

DVC starts a stage as `$SHELL -c command`. bash becomes that command where it is a single one; dash,
or any shell given two, stays between and lives on when DVC is killed. So the kernel's parent-death
signal watches the parent, and a thread the ancestors above it.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_SECONDS_BETWEEN_LOOKS = 0.5


@cache
def die_with_parent() -> None:
    """From now on this process is killed when the DVC that started it ends, in whatever way.

    A command typed by hand (no `DVC_STAGE` in the environment) is left alone, so `nohup` and `&`
    keep their meaning.
    """
    if "DVC_STAGE" not in os.environ:
        return
    ancestors = _ancestors()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The kernel reports no death before the call above. Adopted by init meanwhile: another session.
    if not _alive(ancestors) or os.getsid(ancestors[-1]) != os.getsid(0):
        _die()
    threading.Thread(target=_watch, args=(ancestors,), name="lifeline", daemon=True).start()


@contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the block, as Ctrl-C does; a second one kills at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    former = {number: signal.signal(number, _unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    """Raises SystemExit with the status that a shell reports for a process so ended."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def _watch(ancestors: list[int]) -> None:
    while _alive(ancestors):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    _die()


def _die() -> None:
    """SIGKILL, for no long call into a kernel can hold it up; what is published stays whole."""
    os.kill(os.getpid(), signal.SIGKILL)


def _ancestors() -> list[int]:
    """Process ids from the parent up to DVC: the first that was not itself started by a DVC."""
    ancestors = [os.getppid()]
    while _started_by_dvc(ancestors[-1]):
        ancestors.append(_parent(ancestors[-1]))
    return ancestors


def _alive(ancestors: list[int]) -> bool:
    """Whether each is still the parent of the one before: the child of the dead is adopted."""
    return os.getppid() == ancestors[0] and all(
        _parent(below) == above for below, above in pairwise(ancestors)
    )


def _parent(process: int) -> int:
    """The parent's id, from the field after the parenthesised name; 0 where there is none."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _started_by_dvc(process: int) -> bool:
    """Whether DVC_STAGE stood in its environment; False where that cannot be read (no /proc)."""
    try:
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(b"DVC_STAGE=") for variable in variables)
