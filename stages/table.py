"""table: the comparison as a table on the terminal, and where the report lies.

The last thing that `make repro` prints; plain text where there is no terminal.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.errors import InputError
from pipeline.reporting.wording import NONE, number, plus_minus, probability, share, size
from pipeline.running.artifacts import made_by

_WIDTH = 100  # columns where there is no terminal
_HEADS = (
    "",
    "F1",
    "kept",
    "gap\nclosed",
    "p",
    "weights",
    "size",
    "sentences\n/s",
    "times\nas fast",
)
_NOTE = """\
F1: strict, on test, mean over corpora, ± standard deviation over seeds. Kept: student / teacher.
Gap closed: (student - baseline) / (teacher - baseline). p: of the difference from the baseline.
As fast: as the first teacher, in batches, on one thread of this machine."""

Figures = Mapping[str, Any]


def run(summary: Path, speed: Path | None, report: Path) -> None:
    """Print the figures of `summary` and `speed`, both JSON; without `speed`, dashes."""
    figures, fast = _read(summary, "compare"), {} if speed is None else _read(speed, "speed")
    console = Console(width=None if Console().is_terminal else _WIDTH)
    console.print(_table(figures, fast))
    console.print(_NOTE, style="dim", highlight=False)
    console.print(f"The report: {report}", highlight=False, soft_wrap=True)


def _table(figures: Figures, fast: Figures) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, head in enumerate(_HEADS):
        table.add_column(
            head, justify="right" if place else "left", vertical="bottom", no_wrap=place > 0
        )
    for name, teacher in figures["teachers"].items():
        table.add_row(f"{name} (teacher)", *_cells(teacher, _of(fast, "teachers", name)))
    table.add_section()
    for row in _recipes(figures["recipes"], fast):
        table.add_row(*row)
    for row in _zero_shot(figures["recipes"]):
        table.add_row(*row)
    table.add_section()
    for row in (*_exported(fast.get("exported", {})), *_references(fast.get("references", {}))):
        table.add_row(*row)
    return table


def _exported(variants: Figures) -> Iterator[tuple[str, ...]]:
    """Variants below their recipe: `recipe/variant` is too wide for a column."""
    above = ""
    for name, tagger in variants.items():
        recipe, _, variant = name.rpartition("/")
        if recipe and recipe != above:
            yield (f"{recipe}, exported:",)
        above = recipe
        yield f"  {variant}" if recipe else f"{name} (exported)", *_cells(tagger, tagger)


def _references(taggers: Figures) -> Iterator[tuple[str, ...]]:
    for name, tagger in taggers.items():
        yield f"{name} (untrained)", *_cells(tagger, tagger)


def _recipes(recipes: Figures, fast: Figures) -> Iterator[tuple[str, ...]]:
    for place, (name, recipe) in enumerate(recipes.items()):
        role = "" if place else " (baseline)"
        yield f"{name}{role}", *_cells(recipe, _of(fast, "recipes", name))


def _zero_shot(recipes: Figures) -> Iterator[tuple[str, ...]]:
    """Recipes on corpora that no student has seen text of; nothing where there are none."""
    found = {name: recipe["zero_shot"] for name, recipe in recipes.items() if "zero_shot" in recipe}
    if found:
        yield ()
        yield ("zero-shot:",)
    for name, figures in found.items():
        f1, p = figures["f1"], probability(figures["p_value"])
        yield f"  {name}", plus_minus(f1, figures["f1_std"]), NONE, NONE, p


def _cells(figures: Figures, fast: Figures) -> tuple[str, ...]:
    per_second, speedup = fast.get("sentences_per_second"), fast.get("speedup")
    return (
        plus_minus(figures.get("f1"), figures.get("f1_std")),
        share(figures.get("retention")),
        share(figures.get("gap_closed")),
        probability(figures.get("p_value")),
        number(figures["parameters"]),
        size(figures["bytes"]),
        NONE if per_second is None else f"{per_second:,.0f}",
        NONE if speedup is None else f"{speedup:.1f}",
    )


def _of(fast: Figures, kind: str, name: str) -> Figures:
    """The speed of one tagger; none where it was not measured."""
    return fast.get(kind, {}).get(name, {})


def _read(path: Path, stage: str) -> Figures:
    try:
        return json.loads(made_by(stage, path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path}: expected JSON, found other text ({error}); run `dvc repro {stage}`"
        ) from None
