"""apply: an experiment's sections into params.yaml, which stays as it is if the result is wrong."""

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import InputError
from pipeline.overlay import overlaid
from pipeline.running.artifacts import writing
from pipeline.running.progress import log


def run(experiment: Path, params: Path, check: Callable[[Path], object]) -> None:
    """Rewrite `params` with `experiment` laid over it, once `check` accepts the result."""
    text = overlaid(params, experiment)
    with writing(params) as path:
        path.write_text(text, encoding="utf-8")
        _checked(path, f"{experiment} over {params}", check)
    log(f"{params} now holds {experiment}; `dvc repro` runs it, `git checkout {params}` undoes it")


def _checked(path: Path, name: str, check: Callable[[Path], object]) -> None:
    """Checks a file that has no place yet: a message names what it was made of."""
    try:
        check(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from None
