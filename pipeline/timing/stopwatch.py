"""A process that times one tagger: it loads it and tags on command, a line of JSON each way.

Needs Python alone, so that taggers of any environment are timed by the same code. Orders are
`{"load": …}`, whatever the loader understands, which is answered by `{"parameters": …}`;
`{"threads": 2}`; `{"tag": [sentences, …], "seconds": 1.5}`, answered by `{"times": [[by the clock
on the wall, computing], …]}` of the calls done; and `{"memory": true}`, answered by `{"bytes": …}`.
"""

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pipeline.errors import InputError

Sentences: TypeAlias = Sequence[Sequence[str]]
Order: TypeAlias = dict[str, Any]


@runtime_checkable
class Timed(Protocol):
    """A loaded tagger."""

    @property
    def parameters(self) -> int | None:
        """How many weights it has; None where nobody knows."""
        ...

    def threads(self, number: int, /) -> None:
        """Compute with so many threads from now on."""
        ...

    def tag(self, sentences: Sentences) -> object:
        """Words to tags: reading words, the network and decoding, all of it."""
        ...


def serve(load: Callable[[Any], Timed]) -> None:
    """Answer the orders of standard input until it ends; what a user can mend, as an `error`."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What a library prints is no reply.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tagger: Timed | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "load" in order:
                tagger = load(order["load"])
            reply = _answer(tagger, order)
        except InputError as error:
            reply = {"error": str(error)}
        print(json.dumps(reply), file=replies, flush=True)


def _answer(tagger: Timed | None, order: Order) -> dict[str, Any]:
    if tagger is None:
        raise ValueError("expected an order to load a tagger first")
    if "load" in order:
        return {"parameters": tagger.parameters}
    if "threads" in order:
        tagger.threads(order["threads"])
        return {}
    if "memory" in order:
        return {"bytes": peak_memory()}
    return {"times": _times(tagger, order["tag"], order["seconds"])}


def _times(tagger: Timed, calls: Sequence[Sentences], most: float) -> list[tuple[float, float]]:
    """Seconds of one call after the other, by both clocks, until `most` seconds have gone by."""
    times: list[tuple[float, float]] = []
    for sentences in calls:
        if sum(wall for wall, _ in times) >= most:
            break
        wall, computing = time.perf_counter(), time.process_time()
        tagger.tag(sentences)
        computing = time.process_time() - computing
        times.append((time.perf_counter() - wall, computing))
    return times


def peak_memory() -> int:
    """The most bytes of memory that this process ever held at once, Python and libraries included.

    Linux tells it of the program alone; what `getrusage` says counts the process that started it.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
