"""`limbeck check`: what corpora hold and what is wrong with them, before anything is trained.

limbeck check                    the corpora of params.yaml
limbeck check --json FILE…       files alone, for programs
"""

import json as to_json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.config import parse, plain
from pipeline.errors import InputError
from pipeline.raw.formats import Format, guess
from pipeline.raw.refusals import refuse
from pipeline.raw.rows import Rows, rows_of
from pipeline.raw.sources import (
    Corpus,
    Prepare,
    data_files,
    detected_scheme,
    read_corpora,
    read_source,
)
from pipeline.raw.splits import join
from pipeline.raw.survey import FileSurvey, Overlap, overlaps, survey, survey_file
from pipeline.raw.tables import corpora_tables, file_tables
from pipeline.tags import Scheme

_WIDTH_OF_A_FILE = 160

# Options speak of words and tags; what a format calls them is its own.
_FIELDS = {
    "conllu": {"tag": "field"},
    "jsonl": {"word": "words", "tag": "tags"},
    "parquet": {"word": "words", "tag": "tags"},
}

Found = tuple[FileSurvey, Rows]


def run_parameters(corpora: Mapping[str, Corpus], prepare: Prepare) -> None:
    """Print the corpora of `params.yaml` as tables.

    Raises InputError for what `prepare` would refuse: after the tables, where they can be made.
    """
    readings = read_corpora(corpora, prepare.raw)
    joint = join(readings, corpora, prepare)
    _print(corpora_tables(survey(readings, corpora, joint)))
    refuse(joint, readings, prepare)


def run_files(
    paths: Sequence[Path],
    format: Mapping[str, Any],
    scheme: Scheme | None,
    outside: str | None,
    json: bool,
) -> None:
    """Print what files hold, each by itself; a folder stands for the data files below it.

    `format` has those settings of a format (`kind`, `word`, `tag` …) that shall not be guessed;
    in records `word` and `tag` name keys, in CoNLL-U `tag` names a column.
    `json` prints one object, for programs. Raises InputError for the files that cannot be read,
    after the others are printed.
    """
    files = [str(file) for path in paths for file in data_files(path)]
    found, refused = _read_each(files, lambda path: _read(path, format, scheme, outside))
    shared = overlaps({path: rows for path, (_, rows) in found.items()})
    surveys = [each for each, _ in found.values()]
    if json:
        print(_as_json(surveys, shared, refused))
    else:
        _print(file_tables(surveys, shared))
    if refused:
        raise InputError("\n".join(refused.values()))


def _as_json(
    surveys: Sequence[FileSurvey], shared: Sequence[Overlap], refused: Mapping[str, str]
) -> str:
    content = {
        "files": [asdict(each) for each in surveys],
        "overlaps": [asdict(each) for each in shared],
        "refused": refused,
    }
    return to_json.dumps(content, indent=2, ensure_ascii=False)


def _read_each(
    files: Sequence[str], read: Callable[[str], Found]
) -> tuple[dict[str, Found], dict[str, str]]:
    """What was found in each file, and for the others why they were refused."""
    found: dict[str, Found] = {}
    refused: dict[str, str] = {}
    for path in files:
        try:
            found[path] = read(path)
        except InputError as error:
            refused[path] = str(error)
    return found, refused


def _read(
    path: str, format: Mapping[str, Any], scheme: Scheme | None, outside: str | None
) -> Found:
    source = read_source(path, _chosen(path, format))
    detected = detected_scheme([source], scheme, outside)
    rows = list(rows_of(source.sentences, detected))
    return survey_file(source, detected, rows), rows


def _chosen(path: str, told: Mapping[str, Any]) -> Format | None:
    """The settings told, over those guessed if they are of one kind; None where none is told."""
    if not told:
        return None
    guessed = {} if "kind" in told else plain(guess(path).format)
    fields = _FIELDS.get(told.get("kind") or guessed["kind"], {})
    named = {fields.get(option, option): value for option, value in told.items()}
    return parse(Format, {**guessed, **named}, "format")


def _print(tables: Iterable[Table]) -> None:
    """The tables that have rows; at a fixed width where no terminal says how wide it is."""
    console = Console()
    wide = console if console.is_terminal else Console(width=_WIDTH_OF_A_FILE)
    for table in tables:
        if table.row_count:
            wide.print(table)
