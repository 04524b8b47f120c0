"""How good every recipe is, beside its teachers and beside the baseline, which is the first recipe.

The figures, all from strict micro-F1 on test splits, in percent:

- F1 of a tagger: the mean over corpora, whatever their size (Wang et al. 2020); of a recipe: the
  mean of that over seeds. A teacher counts on its own corpora, a student on all.
- `f1_std`: standard deviation over seeds of the recipe's F1 (n - 1); undefined for one seed.
- `retention` = student / teacher and `gap_closed` = (student - baseline) / (teacher - baseline),
  as shares of 1, where each is a mean over the corpora that have a teacher; the latter is
  undefined where the teacher is not above the baseline.
- `agreement`: strict F1 of the student's spans with the teacher's as gold; 100: the same spans.
- `p_value` and `interval` of the difference from the baseline: see significance.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from pipeline.evaluation import Examined
from pipeline.metrics import Counts, count, f1, f_score
from pipeline.significance import Evaluate, Pairs, interval, p_value


@dataclass(frozen=True)
class Lineup:
    """What the grid names: who is compared, in this order; `corpora`: the teachers of each."""

    teachers: tuple[str, ...]
    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    corpora: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Results:
    """Evaluations of all taggers of a line-up; those of a recipe in the order of its seeds.

    All students have been tested on the same corpora, each teacher on those of them that name it.
    """

    lineup: Lineup
    teachers: Mapping[str, Examined]
    students: Mapping[str, tuple[Examined, ...]]

    @property
    def baseline(self) -> str:
        """The recipe that the others are compared with."""
        return self.lineup.recipes[0]

    @property
    def corpora(self) -> list[str]:
        """The corpora that students were tested on, in the order of the line-up."""
        tested = self.students[self.baseline][0].corpora
        return [corpus for corpus in self.lineup.corpora if corpus in tested]

    @property
    def taught(self) -> list[str]:
        """Those of them that have a teacher."""
        return [corpus for corpus in self.corpora if self.lineup.corpora[corpus]]


@dataclass(frozen=True)
class Standing:
    """One recipe; `corpora`: F1 by seed. None where a figure is undefined."""

    corpora: Mapping[str, tuple[float, ...]]
    retention: float | None
    gap_closed: float | None
    agreement: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    parameters: int
    size: int

    @property
    def seeds(self) -> list[float]:
        """F1 of each seed."""
        return [fmean(scores) for scores in zip(*self.corpora.values(), strict=True)]

    @property
    def f1(self) -> float:
        """F1 of the recipe."""
        return fmean(self.seeds)

    @property
    def f1_std(self) -> float | None:
        """Spread over seeds."""
        return spread(self.seeds)


def spread(values: Iterable[float]) -> float | None:
    """The sample standard deviation, None of fewer than two."""
    known = [*values]
    return stdev(known) if len(known) > 1 else None


def standings(results: Results, evaluate: Evaluate) -> dict[str, Standing]:
    """Where each recipe stands, the baseline first."""
    return {recipe: _standing(results, recipe, evaluate) for recipe in results.lineup.recipes}


def teacher_f1(results: Results) -> dict[str, dict[str, float]]:
    """F1 of each teacher on each of its corpora that has a test split."""
    return {
        name: {corpus: f1(evaluation.counts) for corpus, evaluation in examined.corpora.items()}
        for name, examined in results.teachers.items()
    }


def reference(results: Results) -> dict[str, float]:
    """What students aim at: F1 of the teacher (or the mean of several) of each taught corpus."""
    scores = teacher_f1(results)
    return {c: fmean(scores[t][c] for t in results.lineup.corpora[c]) for c in results.taught}


def label_f1(results: Results) -> dict[str, dict[str, float]]:
    """F1 of each label by tagger, spans summed over corpora and seeds; "teacher": all of them.

    Labels that gold never uses have no score, though a tagger may have predicted them.
    """
    groups = {"teacher": [*results.teachers.values()], **results.students}
    counts = {
        name: [evaluation.counts for each in members for evaluation in each.corpora.values()]
        for name, members in groups.items()
    }
    all_counts = [each for parts in counts.values() for each in parts]
    labels = sorted({n for each in all_counts for n in each.labels if each[n].gold.any()})
    return {
        label: {name: _f1_of_label(parts, label) for name, parts in counts.items() if parts}
        for label in labels
    }


def summary(results: Results, found: Mapping[str, Standing]) -> dict[str, Any]:
    """What `metrics/summary.json` holds: percent to two decimals, shares and p-values to four."""
    return {
        "teachers": {
            name: {
                "f1": _rounded(fmean(scores.values()) if scores else None, 2),
                "parameters": results.teachers[name].parameters,
                "bytes": results.teachers[name].size,
            }
            for name, scores in teacher_f1(results).items()
        },
        "recipes": {name: _summary(standing) for name, standing in found.items()},
    }


def _summary(standing: Standing) -> dict[str, Any]:
    return {
        "f1": _rounded(standing.f1, 2),
        "f1_std": _rounded(standing.f1_std, 2),
        "seeds": len(standing.seeds),
        "retention": _rounded(standing.retention, 4),
        "gap_closed": _rounded(standing.gap_closed, 4),
        "p_value": _rounded(standing.p_value, 4),
        "agreement": _rounded(standing.agreement, 2),
        "parameters": standing.parameters,
        "bytes": standing.size,
        "corpora": {
            name: {"f1": _rounded(fmean(scores), 2)} for name, scores in standing.corpora.items()
        },
    }


def _standing(results: Results, recipe: str, evaluate: Evaluate) -> Standing:
    students, compared = results.students[recipe], recipe != results.baseline
    pairs = _pairs(results, recipe)
    return Standing(
        corpora=_f1_by_seed(results, recipe),
        retention=_retention(results, recipe),
        gap_closed=_gap_closed(results, recipe),
        agreement=_agreement(results, recipe),
        interval=interval(pairs, evaluate) if compared else None,
        p_value=p_value(pairs, evaluate) if compared else None,
        parameters=max(student.parameters for student in students),
        size=max(student.size for student in students),
    )


def _f1_by_seed(results: Results, recipe: str) -> dict[str, tuple[float, ...]]:
    students = results.students[recipe]
    return {c: tuple(f1(each.corpora[c].counts) for each in students) for c in results.corpora}


def _taught_f1(results: Results, recipe: str) -> float:
    scores = _f1_by_seed(results, recipe)
    return fmean(fmean(scores[corpus]) for corpus in results.taught)


def _retention(results: Results, recipe: str) -> float | None:
    teacher = fmean(reference(results).values()) if results.taught else 0.0
    return _taught_f1(results, recipe) / teacher if teacher else None


def _gap_closed(results: Results, recipe: str) -> float | None:
    if not results.taught:
        return None
    baseline = _taught_f1(results, results.baseline)
    gap = fmean(reference(results).values()) - baseline
    return (_taught_f1(results, recipe) - baseline) / gap if gap > 0 else None


def _agreement(results: Results, recipe: str) -> float | None:
    scores = [
        f1(count(taught.tags, student.corpora[corpus].tags, taught.scheme))
        for corpus in results.taught
        for taught in (results.teachers[t].corpora[corpus] for t in results.lineup.corpora[corpus])
        for student in results.students[recipe]
    ]
    return fmean(scores) if scores else None


def _pairs(results: Results, recipe: str) -> Pairs:
    return [
        (_over_seeds(results, recipe, corpus), _over_seeds(results, results.baseline, corpus))
        for corpus in results.corpora
    ]


def _over_seeds(results: Results, recipe: str, corpus: str) -> np.ndarray:
    """Counts of a recipe [sentences, 3], summed over seeds."""
    seeds = [student.corpora[corpus].counts.sums() for student in results.students[recipe]]
    return np.sum(seeds, axis=0)


def _f1_of_label(parts: Sequence[Counts], label: str) -> float:
    totals = [counts[label].sums().sum(axis=0) for counts in parts]
    return float(f_score(np.sum(totals, axis=0)))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
