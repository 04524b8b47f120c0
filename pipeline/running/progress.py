"""How far a long stage is: a bar on a terminal, else a plain line now and then, on standard error.

The `limbeck` logger is silent until `show_log`, so the library and its tests print nothing.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rich.progress as bars
from rich.console import Console
from rich.text import Text

_LOGGER = logging.getLogger("limbeck")
_CONSOLE = Console(stderr=True)
_SECONDS_BETWEEN_LINES = 10.0


def log(message: str) -> None:
    """One line for whoever watches the run."""
    _LOGGER.info(message)


def show_log() -> None:
    """Lets log lines and progress through; the command line calls it once."""
    _LOGGER.handlers = [_Lines()]
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


@contextmanager
def progress(
    total: int | None, what: str, unit: str, done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of items done since its last call.

    `progress(4000, "scoring en", "sentences")` says `scoring en: 1200/4000 sentences, 310/s`. What
    an earlier run had `done` counts, but not as speed. Nobody knows the total of a pipe: None.
    """
    if _CONSOLE.is_terminal and _LOGGER.isEnabledFor(logging.INFO):
        columns = (
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            _Speed(unit),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress("{task.description}", *columns, console=_CONSOLE) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda items: bar.advance(task, items)
    else:
        goal = f" {unit}" if total is None else f"/{total} {unit}"
        counter = _Counter(goal, what, done)
        yield counter.advance
        counter.say()


class _Lines(logging.Handler):
    """Writes beside a live bar without tearing it."""

    def emit(self, record: logging.LogRecord) -> None:
        _CONSOLE.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


class _Speed(bars.ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: bars.Task) -> Text:
        # Of what has no known end nothing is ever finished, and little of it gives no speed.
        mean = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{self.unit}, {_rate(task.finished_speed or task.speed or mean)}")


class _Counter:
    """The same for a log file: a line every ten seconds, and one at the end."""

    def __init__(self, goal: str, what: str, done: int) -> None:
        self.goal, self.what, self.done, self.before = goal, what, done, done
        self.begun = self.said = time.monotonic()

    def advance(self, items: int) -> None:
        self.done += items
        if time.monotonic() - self.said >= _SECONDS_BETWEEN_LINES:
            self.say()

    def say(self) -> None:
        self.said = time.monotonic()
        speed = (self.done - self.before) / max(self.said - self.begun, 1e-9)
        log(f"{self.what}: {self.done}{self.goal}, {_rate(speed)}")


def _rate(speed: float) -> str:
    """A number a second; what takes longer than a second, by the minute."""
    return f"{speed:,.0f}/s" if speed >= 1 or speed == 0 else f"{60 * speed:.1f} a minute"
