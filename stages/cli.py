"""The command line: one command a stage, each of which dvc.yaml calls as a person would.

Modules load when a command runs, so `--help` never waits for torch.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from pipeline.errors import InputError
from pipeline.running.lifeline import die_with_parent
from pipeline.running.progress import show_log
from stages.commands import (
    PARAMS,
    Figures,
    File,
    Made,
    apply,
    check,
    params_in,
    predict,
    study,
    table,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Distil a large sequence labeller into a small, fast one. `dvc repro` runs every stage; "
    "dvc.yaml holds the command of each.",
)

Out = Annotated[Path, typer.Option(help="What is written: whole, or not at all.")]


@app.command()
def prepare(out: Out, lessons: Out, params: File = PARAMS) -> None:
    """Turn raw corpora of any format into tables with one tag set."""
    from stages import prepare as stage

    read = params_in(params)
    stage.run(read.corpora, read.prepare, out, lessons)


@app.command("train_teacher")
def train_teacher(
    name: Annotated[str, typer.Argument(help="A key of section teachers.")],
    corpora: Made,
    lesson: Made,
    out: Out,
    params: File = PARAMS,
) -> None:
    """Train one teacher on the corpora that name it."""
    from stages import train_teacher as stage

    stage.run(lambda: _entry(params_in(params).teachers, name, "teachers"), corpora, lesson, out)


@app.command()
def score(
    teacher: Made,
    corpora: Made,
    lesson: Made,
    out: Out,
    batch_words: Annotated[
        int, typer.Option(help="Padded words (or pieces) a batch; bounds memory.")
    ] = 2048,
    params: File = PARAMS,
) -> None:
    """Write a teacher's emissions for every word that it is to label."""
    from stages import score as stage

    stage.run(lambda: params_in(params).score, teacher, corpora, lesson, out, batch_words)


@app.command()
def extract(teacher: Made, emissions: Made, out: Out, params: File = PARAMS) -> None:
    """Write k best paths and marginals from emissions; no teacher runs."""
    from stages import extract as stage

    stage.run(lambda: params_in(params).extract, teacher, emissions, out)


@app.command()
def ensemble(
    name: Annotated[str, typer.Argument(help="A key of section ensembles.")],
    teachers: Made,
    emissions: Made,
    lessons: Made,
    out: Out,
    params: File = PARAMS,
) -> None:
    """Make several teachers one, from what they said; no teacher runs."""
    from stages import ensemble as stage

    def read() -> Any:
        chosen = params_in(params)
        return _entry(chosen.ensembles, name, "ensembles"), chosen.extract

    stage.run(read, teachers, emissions, lessons, out)


@app.command()
def distill(
    recipe: Annotated[str, typer.Argument(help="A key of section recipes.")],
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")],
    corpora: Made,
    lessons: Made,
    emissions: Made,
    targets: Made,
    teachers: Made,
    ensembles: Made,
    out: Out,
    params: File = PARAMS,
) -> None:
    """Train the student of one recipe with one seed."""
    from stages import distill as stage

    def read() -> Any:
        chosen = params_in(params)
        settings = _entry(chosen.recipes, recipe, "recipes")
        return settings, settings.training(chosen.distill, seed)

    stage.run(read, corpora, lessons, emissions, targets, teachers, ensembles, out)


@app.command("evaluate_teacher")
def evaluate_teacher(teacher: Made, emissions: Made, corpora: Made, lesson: Made, out: Out) -> None:
    """Count what a teacher gets right on its corpora's test splits, from stored emissions."""
    from stages import evaluate_teacher as stage

    stage.run(teacher, emissions, corpora, lesson, out)


@app.command()
def evaluate(student: Made, corpora: Made, out: Out) -> None:
    """Count what a student gets right on every test split."""
    from stages import evaluate as stage

    stage.run(student, corpora, out)


@app.command()
def compare(
    corpora: Made,
    students: Made,
    evaluations: Made,
    metrics: Out,
    plots: Out,
    report: Out,
    params: File = PARAMS,
) -> None:
    """Compare everything that the grid names: summary, plots and a report."""
    from pipeline.config import plain
    from stages import compare as stage

    chosen = params_in(params)
    grid = chosen.grid
    shown = {
        "extract": plain(chosen.extract),
        "distill": plain(chosen.distill),
        "recipes": {name: plain(chosen.recipes[name]) for name in grid.recipes},
    }
    lineup = stage.lineup_of(grid, chosen.corpora, chosen.ensembles)
    stage.run(
        lineup, chosen.evaluate, shown, corpora, students, evaluations, metrics, plots, report
    )


@app.command()
def compress(
    recipe: Annotated[str, typer.Argument(help="A key of section recipes.")],
    variant: Annotated[str, typer.Argument(help="A key of section variants.")],
    student: Made,
    corpora: Made,
    teachers: Annotated[Path, typer.Option(help="Evaluations of teachers.")],
    out: Out,
    params: File = PARAMS,
) -> None:
    """Write a student that runs without PyTorch, in one variant, and measure what that loses."""
    from stages import compress as stage

    def read() -> stage.Told:
        chosen = params_in(params)
        return stage.told(
            chosen,
            _entry(chosen.recipes, recipe, "recipes"),
            _entry(chosen.variants, variant, "variants"),
        )

    stage.run(read, variant, student, corpora, teachers, out)


@app.command()
def export(
    recipe: Annotated[str, typer.Argument(help="A key of section recipes.")],
    variant: Annotated[Path, typer.Option(help="The folder that stage compress wrote.")],
    out: Out,
    speed: Figures = None,
    params: File = PARAMS,
) -> None:
    """Publish the variant of a student that is to be used, unless it loses too much."""
    from stages import export as stage

    stage.run(recipe, variant, params_in(params).export.max_loss, speed, out)


@app.command()
def speed(
    corpora: Made,
    teachers: Made,
    students: Made,
    evaluations: Made,
    out: Out,
    report: Out,
    frontier: Out,
    exported: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="A folder with exported students, to be timed too."),
    ] = None,
    params: File = PARAMS,
) -> None:
    """Time teachers, a student of each recipe and exported students on this machine."""
    from stages import speed as stage

    chosen = params_in(params)
    lineup = stage.Lineup(chosen.grid.teachers, chosen.grid.recipes, chosen.grid.seeds)
    read = (corpora, teachers, students, evaluations, exported)
    stage.run(chosen.speed, lineup, *read, out, report, frontier)


for command in (table, check, predict, apply, study):
    app.command()(command)


def main() -> None:
    """Run a command. Exit status: 0 done, 2 the user can mend it, 1 a fault of limbeck."""
    _run_this_copy()
    die_with_parent()
    show_log()
    try:
        app(prog_name="limbeck")
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


def _entry(section: dict[str, Any], name: str, key: str) -> Any:
    if name not in section:
        raise InputError(f"{key}: expected one of {', '.join(section)}, found {name}")
    return section[name]


if __name__ == "__main__":
    main()
