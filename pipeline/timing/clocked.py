"""A process with one tagger in it, told from outside what to tag and asked how long that took."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.errors import InputError

_ROOT = Path(__file__).parents[1]


class Clocked:
    """Speaks to `stopwatch.serve`; to be used in a `with`, at whose end the process ends."""

    def __init__(self, name: str, *command: str) -> None:
        """Start `command`; `name` stands in messages."""
        self.name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,  # where Python finds this very code
            encoding="utf-8",
        )

    def load(self, order: Mapping[str, Any]) -> None:
        """Begin to load a tagger; what is asked next waits until it is there."""
        self._send({"load": dict(order)})

    def parameters(self) -> int | None:
        """How many weights the tagger has whose loading was begun; None where nobody knows."""
        return self._receive()["parameters"]

    def use(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        self._ask({"threads": threads})

    def time(self, calls: Sequence[Sequence[Sequence[str]]], seconds: float) -> list[Any]:
        """Seconds of each call, by the clock on the wall and of computing; as many as time is for.

        At least one call where there is any.
        """
        return self._ask({"tag": calls, "seconds": seconds})["times"] if calls else []

    def peak_memory(self) -> int:
        """The most bytes that the process held at once."""
        return self._ask({"memory": True})["bytes"]

    def __enter__(self) -> "Clocked":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if kind is not None:
            self._process.kill()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        self._send(order)
        return self._receive()

    def _send(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            self._fail()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail()
        reply = json.loads(line)
        if "error" in reply:
            raise InputError(reply["error"])
        return reply

    def _fail(self) -> None:
        status = self._process.wait()
        if status < 0:  # by a signal: the kernel's, for want of memory, or a person's
            raise InputError(
                f"{self.name}: expected a process that times it, found it killed by signal "
                f"{-status}; with too little memory, leave taggers out of the grid or set "
                "speed.reference to null"
            )
        raise RuntimeError(f"{self.name}: the process that times it ended with status {status}")
