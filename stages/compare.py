"""compare: all evaluations that the grid names, as one summary, plots and a report."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import plain
from pipeline.corpus import Split, read_split, split_path
from pipeline.errors import InputError
from pipeline.evaluation import Examined, read_examined
from pipeline.reporting.comparison import contests, standings, summary
from pipeline.reporting.contrasts import contrasts
from pipeline.reporting.findings import (
    Checked,
    Curve,
    Findings,
    Row,
    best_recipe,
    curve_rows,
    label_rows,
    scatter_rows,
)
from pipeline.reporting.lineup import Lineup, Results
from pipeline.reporting.report import report
from pipeline.running.artifacts import made_by, writing
from pipeline.running.progress import log
from pipeline.significance import Evaluate

_SENTENCES_SHOWN = 6  # each way


def lineup_of(grid: Any, corpora: Mapping[str, Any], ensembles: Mapping[str, Any]) -> Lineup:
    """Who is compared, from the sections `grid`, `corpora` and `ensembles`."""
    together = {name: {*ensembles[name].teachers} for name in grid.ensembles}
    labelled = {
        name: (
            *corpus.teachers,
            *(each for each, members in together.items() if members <= {*corpus.teachers}),
        )
        for name, corpus in corpora.items()
    }
    unseen = (name for name, each in corpora.items() if each.train is None and not each.transfer)
    teachers = (*grid.teachers, *grid.ensembles)
    return Lineup(teachers, grid.recipes, grid.seeds, labelled, frozenset(unseen))


def run(
    lineup: Lineup,
    evaluate: Evaluate,
    settings: Mapping[str, Any],
    corpora: Path,
    students: Path,
    evaluations: Path,
    metrics: Path,
    plots: Path,
    page: Path,
) -> None:
    """Write the file `metrics`, the folder `plots` and the file `page`, all or none.

    `settings` are sections of params.yaml that the report shows. Raises InputError unless
    `evaluations` and `students` hold exactly what the line-up names.
    """
    _refuse_other_grid(lineup, made_by("evaluate", evaluations), students)
    results = _results(lineup, evaluations)
    splits = _splits(lineup, corpora)
    _refuse_other_tests(results, splits, evaluations)
    found = _findings(results, evaluate, settings, splits, _curves(lineup, students))
    figures = summary(results, found.standings, found.contests)
    content = json.dumps(figures, ensure_ascii=False, indent=1)
    with writing(metrics) as file, writing(plots) as folder, writing(page) as html:
        file.write_text(content + "\n", encoding="utf-8")
        folder.mkdir()
        _write_csv(folder / "curves.csv", "recipe,seed,step,dev_f1,loss", curve_rows(found))
        _write_csv(folder / "labels.csv", "label,tagger,f1", label_rows(found))
        _write_csv(
            folder / "scatter.csv", "corpus,recipe,teacher_f1,student_f1", scatter_rows(found)
        )
        html.write_text(report(found), encoding="utf-8")
    log(f"the report is in {page}")


def _findings(
    results: Results,
    evaluate: Evaluate,
    settings: Mapping[str, Any],
    splits: Mapping[str, Split],
    curves: Mapping[str, Sequence[Curve]],
) -> Findings:
    best = best_recipe(curves)
    student, baseline = results.students[best][0], results.students[results.baseline][0]
    return Findings(
        results=results,
        standings=standings(results, evaluate),
        contests=contests(results, evaluate),
        curves=curves,
        best=best,
        gained=contrasts(student, baseline, splits, _SENTENCES_SHOWN),
        lost=contrasts(baseline, student, splits, _SENTENCES_SHOWN),
        settings={**settings, "evaluate": plain(evaluate)},
    )


def _results(lineup: Lineup, evaluations: Path) -> Results:
    """Every evaluation of the line-up."""
    return Results(
        lineup,
        {name: read_examined(evaluations / "teachers" / name) for name in lineup.teachers},
        {
            recipe: tuple(
                read_examined(evaluations / "students" / recipe / str(seed))
                for seed in lineup.seeds
            )
            for recipe in lineup.recipes
        },
    )


def _refuse_other_grid(lineup: Lineup, evaluations: Path, students: Path) -> None:
    """Raises InputError unless both folders hold what the line-up names, no more and no less."""
    seeds = [str(seed) for seed in lineup.seeds]
    by_recipe = (evaluations / "students", students)
    expected: dict[Path, Sequence[str]] = {
        evaluations: ["teachers", "students"],
        evaluations / "teachers": lineup.teachers,
        **dict.fromkeys(by_recipe, lineup.recipes),
        **{folder / recipe: seeds for folder in by_recipe for recipe in lineup.recipes},
    }
    found = {folder: _names_in(folder) for folder in expected}
    for folder, names in expected.items():
        if lacking := sorted({*names} - found[folder]):
            raise InputError(
                f"{folder}: expected {', '.join(names)}, as the grid names them; "
                f"{', '.join(lacking)} is not there; run `dvc repro` to make what is missing"
            )
    # All in one message: a run that comes this far has trained for hours.
    strange = [str(f / name) for f in expected for name in sorted(found[f] - {*expected[f]})]
    if strange:
        raise InputError(
            f"{evaluations}, {students}: expected what the grid names; found {', '.join(strange)} "
            f"as well, left from another grid; remove it (rm -r {' '.join(strange)}) or "
            "name it in params.yaml"
        )


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _splits(lineup: Lineup, corpora: Path) -> dict[str, Split]:
    """The test splits of the line-up's corpora that have one."""
    paths = {name: split_path(corpora, name, "test") for name in lineup.corpora}
    splits = {name: read_split(path) for name, path in paths.items() if path.exists()}
    if not splits:
        raise InputError(
            f"{corpora}: expected a test split of one corpus at least, found none; name one in "
            "corpora.<corpus>.test and run `dvc repro`"
        )
    return splits


def _refuse_other_tests(results: Results, splits: Mapping[str, Split], evaluations: Path) -> None:
    """Raises InputError unless everyone was tested on the sentences of just these splits."""
    for name, examined in results.teachers.items():
        own = {c: split for c, split in splits.items() if name in results.lineup.corpora[c]}
        _refuse_other_test(evaluations / "teachers" / name, examined, own)
    for recipe, students in results.students.items():
        for seed, examined in zip(results.lineup.seeds, students, strict=True):
            folder = evaluations / "students" / recipe / str(seed)
            _refuse_other_test(folder, examined, splits)


def _refuse_other_test(folder: Path, examined: Examined, splits: Mapping[str, Split]) -> None:
    remedy = "run `dvc repro` to evaluate again"
    if examined.corpora.keys() != splits.keys():
        wanted, found = (", ".join(sorted(names)) or "none" for names in (splits, examined.corpora))
        raise InputError(f"{folder}: expected tests on {wanted}; found {found}; {remedy}")
    for corpus, split in splits.items():
        if examined.corpora[corpus].sentence_ids != split.sentence_ids:
            raise InputError(
                f"{folder}: expected the {len(split)} sentences of {split.path}, found "
                f"{len(examined.corpora[corpus])} or others; {remedy}"
            )


def _curves(lineup: Lineup, students: Path) -> dict[str, list[Curve]]:
    """The learning curve of each seed of each recipe."""
    return {
        recipe: [_curve(students / recipe / str(seed) / "curve.csv") for seed in lineup.seeds]
        for recipe in lineup.recipes
    }


def _curve(path: Path) -> Curve:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [*csv.DictReader(file)]
        curve = [Checked(int(r["step"]), float(r["loss"]), float(r["dev_f1"])) for r in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a learning curve (step, epoch, loss, dev_f1), found {error!r}; "
            "run the stage `distill` of this student again"
        ) from None
    if not curve:
        raise InputError(f"{path}: expected a learning curve, found an empty one")
    return curve


def _write_csv(path: Path, head: str, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head.split(","))
        table.writerows(rows)
