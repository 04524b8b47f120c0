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

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Distil a large sequence labeller into a small, fast one. `dvc repro` runs every stage; "
    "dvc.yaml holds the command of each.",
)

Made = Annotated[Path, typer.Option(help="What an earlier stage wrote: a file or a folder.")]
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
    name: Annotated[str, typer.Argument(help="A key of section teachers.")],
    corpora: Made,
    lesson: Made,
    out: Out,
    params: File = PARAMS,
) -> None:
    """Train one teacher on the corpora that name it."""
    from stages import train_teacher as stage

    stage.run(lambda: _entry(_params(params).teachers, name, "teachers"), corpora, lesson, out)


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

    stage.run(lambda: _params(params).score, teacher, corpora, lesson, out, batch_words)


@app.command()
def extract(teacher: Made, emissions: Made, out: Out, params: File = PARAMS) -> None:
    """Write k best paths and marginals from emissions; no teacher runs."""
    from stages import extract as stage

    stage.run(lambda: _params(params).extract, teacher, emissions, out)


@app.command()
def distill(
    recipe: Annotated[str, typer.Argument(help="A key of section recipes.")],
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")],
    corpora: Made,
    lessons: Made,
    targets: Made,
    teachers: Made,
    out: Out,
    params: File = PARAMS,
) -> None:
    """Train the student of one recipe with one seed."""
    from stages import distill as stage

    def read() -> Any:
        chosen = _params(params)
        settings = _entry(chosen.recipes, recipe, "recipes")
        return settings, settings.training(chosen.distill, seed)

    stage.run(read, corpora, lessons, targets, teachers, out)


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

    chosen = _params(params)
    grid = chosen.grid
    shown = {
        "extract": plain(chosen.extract),
        "distill": plain(chosen.distill),
        "recipes": {name: plain(chosen.recipes[name]) for name in grid.recipes},
    }
    labelled = {name: corpus.teachers for name, corpus in chosen.corpora.items()}
    lineup = stage.Lineup(grid.teachers, grid.recipes, grid.seeds, labelled)
    stage.run(
        lineup, chosen.evaluate, shown, corpora, students, evaluations, metrics, plots, report
    )


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

    chosen = _params(params)
    lineup = stage.Lineup(chosen.grid.teachers, chosen.grid.recipes, chosen.grid.seeds)
    read = (corpora, teachers, students, evaluations, exported)
    stage.run(chosen.speed, lineup, *read, out, report, frontier)


@app.command()
def table(
    summary: Made,
    report: Annotated[Path, typer.Option(help="The page that the last line names.")],
    speed: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="What stage speed wrote; without it, dashes."),
    ] = None,
) -> None:
    """Print the comparison as a table, and where the report lies."""
    from stages import table as stage

    stage.run(summary, speed, report)


@app.command()
def check(
    paths: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(help="Files or folders; none: the corpora of the parameters."),
    ] = None,
    kind: Annotated[str, typer.Option(help="conll, conllu, jsonl, parquet, text.")] = "",
    word: Annotated[str, typer.Option(help="Of words: a column's number, or a key's name.")] = "",
    tag: Annotated[str, typer.Option(help="Of tags: a column's number or name, or a key.")] = "",
    key: Annotated[str, typer.Option(help="In CoNLL-U: the key of the tag in its column.")] = "",
    separator: Annotated[str, typer.Option(help="auto, tab or spaces.")] = "",
    scheme: Annotated[str, typer.Option(help="iob1, iob2, bioes, bilou, bmes, raw, flat.")] = "",
    outside: Annotated[str, typer.Option(help="The tag of words in no span.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One object, for programs.")] = False,
    params: File = PARAMS,
) -> None:
    """Say what corpora hold and what is wrong with them, before anything is trained."""
    from stages import check as stage

    if not paths:
        chosen = _params(params)
        stage.run_parameters(chosen.corpora, chosen.prepare)
        return
    told = {"kind": kind, "word": word, "tag": tag, "key": key, "separator": separator}
    stage.run_files(
        paths,
        {name: _number(value) for name, value in told.items() if value},
        _scheme(scheme) if scheme else None,
        outside or None,
        json,
    )


@app.command()
def predict(
    model: Annotated[
        Path, typer.Argument(help="An exported student; or the folder of a student or teacher.")
    ],
    paths: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(help="Files; none, or -: standard input."),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="text, wrapped, spaced, conll, conllu, jsonl, parquet; without it a file's format "
            "is guessed, and standard input is text.",
        ),
    ] = "",
    target: Annotated[
        str, typer.Option("--to", help="jsonl, conll, parquet; without it as --out is named.")
    ] = "",
    out: Annotated[
        Path, typer.Option(help="A file, which appears when it is whole; -: standard output.")
    ] = Path("-"),
    k: Annotated[int, typer.Option(help="List the k best tag sequences of each sentence.")] = 0,
    word: Annotated[str, typer.Option(help="Of words: a column's number, or a key's name.")] = "",
    batch_words: Annotated[int, typer.Option(help="Padded words (or pieces) a batch.")] = 2048,
    threads: Annotated[int, typer.Option(help="Threads to compute with.")] = 1,
) -> None:
    """Find spans in text, columns, records or tables, with an exported student or any tagger."""
    from stages import predict as stage

    file = None if out == Path("-") else out
    wanted = stage.Wanted(source, target, file, word, k, batch_words, threads)
    stage.run(model, paths or [], wanted)


@app.command()
def apply(
    experiment: Annotated[Path, typer.Argument(help="A YAML file of sections.")],
    params: File = PARAMS,
) -> None:
    """Lay an experiment over the parameters, keeping their comments and order."""
    from stages import apply as stage
    from stages.params import read_params

    stage.run(experiment, params, read_params)


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


def _params(path: Path) -> Any:
    from stages.params import read_params

    return read_params(path)


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _scheme(name: str) -> Any:
    from pipeline.tags import canonical

    try:
        return canonical(name)
    except ValueError as error:
        raise InputError(f"--scheme: {error}; found {name}") from None


def _entry(section: dict[str, Any], name: str, key: str) -> Any:
    if name not in section:
        raise InputError(f"{key}: expected one of {', '.join(section)}, found {name}")
    return section[name]


if __name__ == "__main__":
    main()
