"""Progress and log lines: silent in the library, plain in a file, a bar on a terminal."""

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console

from pipeline.running import progress as module
from pipeline.running.progress import log, progress, show_log


@pytest.fixture
def shown() -> Iterator[None]:
    logger = logging.getLogger("limbeck")
    former = logger.handlers, logger.level, logger.propagate
    show_log()
    yield
    logger.handlers, logger.propagate = former[0], former[2]
    logger.setLevel(former[1])


def work() -> None:
    with progress(40, "scoring [en]", "sentences", done=10) as advance:
        for _ in range(6):
            advance(5)


def test_the_library_is_silent(capsys):
    log("a line")
    work()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("shown")
def test_a_log_file_gets_plain_lines(capsys):
    log("wide: " + "x" * 200)
    work()
    output, errors = capsys.readouterr()
    assert output == ""
    first, last = errors.splitlines()
    assert first == "wide: " + "x" * 200
    assert last.startswith("scoring [en]: 40/40 sentences, ")
    assert last.endswith("/s")


@pytest.mark.usefixtures("shown")
def test_nobody_knows_the_total_of_a_pipe(capsys):
    with progress(None, "predicting", "sentences") as advance:
        advance(5)
    assert capsys.readouterr().err.startswith("predicting: 5 sentences, ")


@pytest.mark.usefixtures("shown")
def test_lines_come_now_and_then(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))  # four seconds from one look to the next
    monkeypatch.setattr("pipeline.running.progress.time.monotonic", lambda: next(clock))
    work()
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4
    assert lines[-1].startswith("scoring [en]: 40/40")


@pytest.mark.usefixtures("shown")
def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(module, "_CONSOLE", console)
    work()
    assert "40/40" in screen.getvalue()
    assert "sentences" in screen.getvalue()
