"""params.yaml as one typed value: every section is checked before any stage starts to work."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.config import parse, read_yaml, settings
from pipeline.contradictions import refuse_contradictions
from pipeline.demands import refuse_demands
from pipeline.encoders import OverPieces
from pipeline.ensembles import Ensemble
from pipeline.errors import InputError
from pipeline.extraction import Extract
from pipeline.raw.sources import Corpus, Prepare
from pipeline.recipes import Recipe
from pipeline.scoring import Score
from pipeline.shipping.compression import Variant
from pipeline.significance import Evaluate
from pipeline.teachers import Teacher
from pipeline.timing.speed import Speed
from pipeline.training import Training


@settings
class Grid:
    """What `dvc repro` runs: these teachers, and every recipe with every seed."""

    teachers: tuple[str, ...]
    ensembles: tuple[str, ...]
    recipes: tuple[str, ...]
    """The first is the baseline that the others are compared with."""
    seeds: tuple[int, ...]


@settings
class Export:
    """Which students are made to stand alone, and how; of each the one with the first seed."""

    recipes: tuple[str, ...]
    variants: tuple[str, ...]
    """Those that are made and measured."""
    variant: str
    """That which is published; one of them."""
    max_loss: Annotated[float, Field(ge=0)] = 0.3
    """Points of F1 on dev that it may lose against float32, mean over corpora."""
    license: str | None = None
    """Of the student, for its model card, as SPDX has it."""


@settings
class Params:
    """All of params.yaml; what does not change results (device, workers) is not in it."""

    prepare: Prepare
    corpora: dict[str, Corpus]
    teachers: dict[str, Teacher]
    ensembles: dict[str, Ensemble]
    score: Score
    extract: Extract
    distill: Training
    recipes: dict[str, Recipe]
    grid: Grid
    evaluate: Evaluate
    variants: dict[str, Variant]
    export: Export
    speed: Speed


def read_params(path: Path) -> Params:
    """The parameters in a file; InputError names each wrong key, value and what is allowed."""
    params: Params = parse(Params, read_yaml(path), f"{path}: ")
    _refuse_strangers(path, "grid.teachers", params.grid.teachers, params.teachers)
    _refuse_strangers(path, "grid.recipes", params.grid.recipes, params.recipes)
    _refuse_strangers(path, "export.recipes", params.export.recipes, params.grid.recipes)
    _refuse_strangers(path, "export.variants", params.export.variants, params.variants)
    _refuse_strangers(path, "export.variant", (params.export.variant,), params.export.variants)
    for place, pair in enumerate(params.evaluate.pairs):
        _refuse_strangers(path, f"evaluate.pairs.{place}", pair, params.grid.recipes)
    if params.speed.over is not None:
        _refuse_strangers(path, "speed.over", (params.speed.over,), params.grid.teachers)
    for name, corpus in params.corpora.items():
        _refuse_strangers(path, f"corpora.{name}.teachers", corpus.teachers, params.grid.teachers)
        _refuse_repeated(path, f"corpora.{name}.teachers", corpus.teachers)
    _refuse_strange_ensembles(path, params)
    _refuse_empty(path, params)
    _refuse_k(path, params)
    labelling = (*params.grid.teachers, *params.grid.ensembles)
    for name, recipe in params.recipes.items():
        refuse_contradictions(f"{path}: recipes.{name}", recipe, params.distill)
        refuse_demands(f"{path}: recipes.{name}", recipe, params.score, params.ensembles)
        _refuse_strangers(path, f"recipes.{name}.teachers", recipe.teachers, labelling)
        _refuse_repeated(path, f"recipes.{name}.teachers", recipe.teachers)
    return replace(params, recipes=dict(_settled(path, params)))


def _settled(path: Path, params: Params) -> Iterator[tuple[str, Recipe]]:
    """Recipes whose students name the teacher from which they borrow; InputError without one."""
    encoders = {name: params.teachers[name].encoder for name in params.grid.teachers}
    lenders = [name for name, each in encoders.items() if isinstance(each, OverPieces)]
    others = [f"{name} ({each.kind})" for name, each in encoders.items() if name not in lenders]
    for name, recipe in params.recipes.items():
        borrowed, key = recipe.student.teacher, f"recipes.{name}.student: teacher"
        if borrowed is None or (not borrowed and name not in params.grid.recipes):
            yield name, recipe
            continue
        if borrowed:
            _refuse_strangers(path, key, (borrowed,), params.grid.teachers)
        lender = borrowed or next(iter(lenders), "")
        if lender not in lenders:
            raise InputError(
                f"{path}: {key}: expected one that reads pieces of words, found "
                f"{', '.join(others)}; take what is borrowed out of the recipe"
            )
        yield name, replace(recipe, student=recipe.student.lent_by(lender))


def _refuse_strangers(path: Path, key: str, names: tuple[str, ...], known: object) -> None:
    allowed = list(known)  # type: ignore[call-overload]
    for name in names:
        if name not in allowed:
            raise InputError(
                f"{path}: {key}: expected one of {', '.join(allowed) or 'nothing'}, found {name}"
            )


def _refuse_repeated(path: Path, key: str, names: tuple[str, ...]) -> None:
    if len(set(names)) < len(names):
        raise InputError(f"{path}: {key}: expected each name once, found {', '.join(names)}")


def _refuse_strange_ensembles(path: Path, params: Params) -> None:
    grid = params.grid
    _refuse_strangers(path, "grid.ensembles", grid.ensembles, params.ensembles)
    _refuse_repeated(path, "grid.ensembles", (*grid.ensembles, *grid.teachers))
    for name in grid.ensembles:
        key, teachers = f"ensembles.{name}.teachers", params.ensembles[name].teachers
        _refuse_strangers(path, key, teachers, grid.teachers)
        _refuse_repeated(path, key, teachers)
        if not any({*teachers} <= {*corpus.teachers} for corpus in params.corpora.values()):
            raise InputError(
                f"{path}: {key}: expected teachers that one corpus at least has in common, found "
                f"{', '.join(teachers)}; name them in `teachers` of a corpus"
            )
        kind, scheme = params.ensembles[name].kind, params.prepare.scheme
        if kind == "transposed" and scheme != "flat":
            raise InputError(
                f"{path}: ensembles.{name}.kind: expected pool or mixture, or prepare.scheme: "
                f"flat, found {kind} and {scheme}; what a scheme forbids was never learnt, and "
                "transposed it would be asked for"
            )


def _refuse_empty(path: Path, params: Params) -> None:
    keys = [("grid", key) for key in ("teachers", "recipes", "seeds")]
    for section, key in (*keys, ("export", "recipes"), ("export", "variants")):
        values = getattr(getattr(params, section), key)
        if not values or len(set(values)) < len(values):
            raise InputError(
                f"{path}: {section}.{key}: expected one or more, each once, found {list(values)}"
            )


def _refuse_k(path: Path, params: Params) -> None:
    for name, recipe in params.recipes.items():
        for place, objective in recipe.placed():
            k = getattr(objective, "k", None)
            if k is not None and k > params.extract.k:
                raise InputError(
                    f"{path}: recipes.{name}.{place}.k: expected at most "
                    f"extract.k = {params.extract.k}, found {k}"
                )
