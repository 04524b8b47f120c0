"""Commands that are no stage of the graph: table, check, predict, apply. For cli.py.

As in cli.py, modules load when a command runs.
"""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from pipeline.errors import InputError

Made = Annotated[Path, typer.Option(help="What an earlier stage wrote: a file or a folder.")]
File = Annotated[Path, typer.Option(help="The parameters.")]
Figures = Annotated[Optional[Path], typer.Option(help="What stage speed wrote.")]  # noqa: UP045
PARAMS = Path("params.yaml")


def params_in(path: Path) -> Any:
    """All parameters, checked."""
    from stages.params import read_params

    return read_params(path)


def table(
    summary: Made,
    report: Annotated[Path, typer.Option(help="The page that the last line names.")],
    speed: Figures = None,
) -> None:
    """Print the comparison as a table, and where the report lies."""
    from stages import table as stage

    stage.run(summary, speed, report)


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
        chosen = params_in(params)
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


def apply(
    experiment: Annotated[Path, typer.Argument(help="A YAML file of sections.")],
    params: File = PARAMS,
) -> None:
    """Lay an experiment over the parameters, keeping their comments and order."""
    from stages import apply as stage
    from stages.params import read_params

    stage.run(experiment, params, read_params)


def study(
    experiment: Annotated[Path, typer.Argument(help="A YAML file of sections.")],
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1, help="Stages at a time, where they do not need each other; none: as threads."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="A page of Markdown that its table goes into.")] = Path(
        "docs/results.md"
    ),
    params: File = PARAMS,
) -> None:
    """Apply an experiment, run it, several students at a time, and write down what came out."""
    from stages import apply as application
    from stages import study as stage
    from stages.params import read_params

    application.run(experiment, params, read_params)
    stage.run(experiment, jobs, out, read_params(params).grid.seeds)


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
