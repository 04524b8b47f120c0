"""The command line: one command a stage, each of which dvc.yaml calls as a person would.

Modules load when a command runs, so `--help` never waits for torch.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import InputError
from pipeline.lifeline import die_with_parent
from pipeline.progress import show_log

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Distil a large sequence labeller into a small, fast one. `dvc repro` runs every stage; "
    "dvc.yaml holds the command of each.",
)

Folder = Annotated[Path, typer.Option(help="A folder that an earlier stage wrote.")]
Out = Annotated[Path, typer.Option(help="What is written: whole, or not at all.")]
File = Annotated[Path, typer.Option(help="The parameters.")]
PARAMS = Path("params.yaml")


@app.command()
def prepare(out: Out, lessons: Out, params: File = PARAMS) -> None:
    """Turn raw corpora of any format into tables with one tag set."""
    from stages import prepare as stage

    read = _params(params)
    stage.run(read.corpora, read.prepare, out, lessons)


@app.command("train_teacher")
def train_teacher(
    name: str, corpora: Folder, lesson: Folder, out: Out, params: File = PARAMS
) -> None:
    """Train one teacher on the corpora that name it."""
    from stages import train_teacher as stage

    stage.run(lambda: _entry(_params(params).teachers, name, "teachers"), corpora, lesson, out)


@app.command()
def score(
    teacher: Folder,
    corpora: Folder,
    lesson: Folder,
    out: Out,
    batch_words: Annotated[int, typer.Option(help="Padded words a batch; bounds memory.")] = 2048,
    params: File = PARAMS,
) -> None:
    """Write a teacher's emissions for every word that it is to label."""
    from stages import score as stage

    stage.run(lambda: _params(params).score, teacher, corpora, lesson, out, batch_words)


@app.command()
def extract(teacher: Folder, emissions: Folder, out: Out, params: File = PARAMS) -> None:
    """Write k best paths and marginals from emissions; no teacher runs."""
    from stages import extract as stage

    stage.run(lambda: _params(params).extract, teacher, emissions, out)


@app.command()
def distill(
    recipe: str,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")],
    corpora: Folder,
    lessons: Folder,
    targets: Folder,
    out: Out,
    params: File = PARAMS,
) -> None:
    """Train the student of one recipe with one seed."""
    from stages import distill as stage

    def read() -> Any:
        chosen = _params(params)
        settings = _entry(chosen.recipes, recipe, "recipes")
        return settings, settings.training(chosen.distill, seed)

    stage.run(read, corpora, lessons, targets, out)


def main() -> None:
    """Run a command. Exit status: 0 done, 2 the user can mend it, 1 a fault of limbeck."""
    _run_this_copy()
    die_with_parent()
    show_log()
    try:
        app()
    except InputError as error:
        print(f"limbeck: {error}", file=sys.stderr)
        sys.exit(2)


def _run_this_copy() -> None:
    """Run the code of the working directory, where that is a project of its own.

    `dvc exp run --temp` and `--queue` work in a copy, whose code they hash; the installed command
    would run the code of the original.
    """
    here = Path("stages/cli.py")
    if here.is_file() and not here.samefile(__file__):
        os.execv(sys.executable, [sys.executable, "-m", "stages.cli", *sys.argv[1:]])


def _params(path: Path) -> Any:
    from stages.params import read_params

    return read_params(path)


def _entry(section: dict[str, Any], name: str, key: str) -> Any:
    if name not in section:
        raise InputError(f"{key}: expected one of {', '.join(section)}, found {name}")
    return section[name]


if __name__ == "__main__":
    main()
