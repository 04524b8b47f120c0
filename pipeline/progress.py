"""How far a long stage is: a bar on a terminal, else a plain line now and then; never on stdout.

The `limbeck` logger is silent until `show_log` gives it somewhere to write, so the library and its
tests print nothing.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeRemainingColumn as TimeRemaining
from rich.text import Text

_LOGGER = logging.getLogger("limbeck")
_CONSOLE = Console(stderr=True)
_SECONDS_BETWEEN_LINES = 10.0

Advance = Callable[[int], None]


def log(message: str) -> None:
    """One line for whoever watches the run."""
    _LOGGER.info(message)


def show_log() -> None:
    """Lets log lines and progress through to standard error; for the command line, once."""
    _LOGGER.handlers = [_Lines()]
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


@contextmanager
def progress(total: int, what: str, unit: str) -> Iterator[Advance]:
    """Yields a function to call with the number of items done since its last call.

    `progress(4000, "scoring en", "sentences")` says `scoring en: 1200/4000 sentences, 310/s`.
    """
    if _CONSOLE.is_terminal and _LOGGER.isEnabledFor(logging.INFO):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(unit),
        )
        with Progress(*columns, TimeRemaining(), console=_CONSOLE) as bar:
            task = bar.add_task(what, total=total)
            yield lambda items: bar.advance(task, items)
    else:
        lines = _ThrottledLines(total, what, unit)
        yield lines.advance
        lines.say()


class _Lines(logging.Handler):
    """Writes beside a live bar without tearing it."""

    def emit(self, record: logging.LogRecord) -> None:
        _CONSOLE.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


class _Speed(ProgressColumn):
    """Items a second over the last half minute."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed or 0.0
        return Text(f"{self.unit}, {speed:,.0f}/s")


class _ThrottledLines:
    """The same for a log file: a line every ten seconds, and one at the end."""

    def __init__(self, total: int, what: str, unit: str) -> None:
        self.total, self.what, self.unit = total, what, unit
        self.done, self.begun = 0, time.monotonic()
        self.said = self.begun

    def advance(self, items: int) -> None:
        self.done += items
        if time.monotonic() - self.said >= _SECONDS_BETWEEN_LINES:
            self.say()

    def say(self) -> None:
        self.said = time.monotonic()
        speed = self.done / max(self.said - self.begun, 1e-9)
        log(f"{self.what}: {self.done}/{self.total} {self.unit}, {speed:,.0f}/s")
