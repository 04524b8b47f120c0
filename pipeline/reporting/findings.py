"""All that a comparison found: what the report, the plots and the table are made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from pipeline.reporting.comparison import Contest, Standing, label_f1, reference
from pipeline.reporting.contrasts import Contrasts
from pipeline.reporting.ink import COLOURS
from pipeline.reporting.lineup import Results

Row = tuple[str | int | float, ...]


class Checked(NamedTuple):
    """A student in training, when it was checked on dev; `dev_f1` is a mean over corpora."""

    step: int
    loss: float
    dev_f1: float


Curve = Sequence[Checked]


@dataclass(frozen=True)
class Findings:
    """`curves`: one a seed; `gained`: sentences that the best recipe has right and the baseline
    wrong, both with the first seed, `lost`: the other way round; `settings`: by section."""

    results: Results
    standings: Mapping[str, Standing]
    contests: Sequence[Contest]
    curves: Mapping[str, Sequence[Curve]]
    best: str
    gained: Contrasts
    lost: Contrasts
    settings: Mapping[str, Any]

    def colour(self, recipe: str) -> int:
        """Of its marks in every picture; 0 is the teachers', 1 the baseline's."""
        place = self.results.lineup.recipes.index(recipe)
        return 1 if place == 0 else 2 + (place - 1) % (COLOURS - 2)


def best_recipe(curves: Mapping[str, Sequence[Curve]]) -> str:
    """The recipe with the best dev F1, mean over seeds; test splits have no say in the choice."""

    def score(recipe: str) -> float:
        return fmean(max(point.dev_f1 for point in curve) for curve in curves[recipe])

    baseline, *others = curves
    return max(others or [baseline], key=score)


def curve_rows(found: Findings) -> Iterator[Row]:
    """recipe, seed, step, dev_f1, loss."""
    for recipe, curves in found.curves.items():
        for seed, curve in zip(found.results.lineup.seeds, curves, strict=True):
            for point in curve:
                yield recipe, seed, point.step, point.dev_f1, point.loss


def label_rows(found: Findings) -> Iterator[Row]:
    """label, tagger, f1."""
    for label, scores in label_f1(found.results).items():
        for tagger, score in scores.items():
            yield label, tagger, round(score, 2)


def scatter_rows(found: Findings) -> Iterator[Row]:
    """corpus, recipe, teacher_f1, student_f1 (mean over seeds)."""
    for corpus, teacher in reference(found.results).items():
        for recipe, standing in found.standings.items():
            yield corpus, recipe, round(teacher, 2), round(fmean(standing.corpora[corpus]), 2)
