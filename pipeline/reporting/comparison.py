"""How good every recipe is, beside its teachers and beside the baseline, which is the first recipe.

The figures, all from strict micro-F1 on test splits, in percent:

- F1 of a tagger: the mean over corpora, whatever their size (Wang et al. 2020); of a recipe: the
  mean of that over seeds. A teacher counts on its own corpora, a student on all that it learnt
  from. Corpora without train and transfer text are zero-shot: students have a score of their own.
- `f1_std`: standard deviation over seeds of the recipe's F1 (n - 1); undefined for one seed.
- `retention` = student / teacher and `gap_closed` = (student - baseline) / (teacher - baseline),
  as shares of 1, where each is a mean over the corpora that have a teacher; the latter is
  undefined where the teacher is not above the baseline. Of several teachers of a corpus the one
  that it names first counts, whichever of them labels for a recipe.
- `agreement`: strict F1 of the student's spans with that teacher's as gold; 100: the same spans.
- `p_value` and `interval` of the difference from the baseline: see significance.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from pipeline.metrics import Counts, count, f1, f_score
from pipeline.reporting.lineup import Results
from pipeline.significance import Evaluate, Pairs, difference, interval, p_value


@dataclass(frozen=True)
class Standing:
    """One recipe; `corpora`: F1 by seed. None where a figure is undefined."""

    corpora: Mapping[str, tuple[float, ...]]
    counted: Sequence[str]
    """The corpora whose mean is the recipe's F1; all others are zero-shot."""
    retention: float | None
    gap_closed: float | None
    agreement: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    zero_shot_p_value: float | None
    parameters: int
    size: int

    @property
    def seeds(self) -> list[float]:
        """F1 of each seed."""
        scores = [self.corpora[corpus] for corpus in self.counted]
        return [fmean(each) for each in zip(*scores, strict=True)]

    @property
    def zero_shot(self) -> list[float]:
        """F1 of each seed on zero-shot corpora, none if there are none."""
        scores = [each for corpus, each in self.corpora.items() if corpus not in self.counted]
        return [fmean(each) for each in zip(*scores, strict=True)]

    @property
    def f1(self) -> float:
        """F1 of the recipe."""
        return fmean(self.seeds)

    @property
    def f1_std(self) -> float | None:
        """Spread over seeds."""
        return spread(self.seeds)


@dataclass(frozen=True)
class Contest:
    """Two recipes: how much F1 the first is ahead, in which 95 % interval, and by what chance."""

    recipe: str
    against: str
    difference: float
    interval: tuple[float, float]
    p_value: float


def spread(values: Iterable[float]) -> float | None:
    """The sample standard deviation, None of fewer than two."""
    known = [*values]
    return stdev(known) if len(known) > 1 else None


def standings(results: Results, evaluate: Evaluate) -> dict[str, Standing]:
    """Where each recipe stands, the baseline first."""
    return {recipe: _standing(results, recipe, evaluate) for recipe in results.lineup.recipes}


def contests(results: Results, evaluate: Evaluate) -> list[Contest]:
    """The pairs of recipes that section `evaluate` names, in its order."""
    return [_contest(results, *pair, evaluate) for pair in evaluate.pairs]


def teacher_f1(results: Results) -> dict[str, dict[str, float]]:
    """F1 of each teacher on each of its corpora that has a test split."""
    return {
        name: {corpus: f1(evaluation.counts) for corpus, evaluation in examined.corpora.items()}
        for name, examined in results.teachers.items()
    }


def teacher_mean(results: Results, name: str) -> float | None:
    """F1 of a teacher, mean over its corpora that are not zero-shot, or over these if it has none.

    None where none of its corpora has a test split.
    """
    scores = teacher_f1(results)[name]
    seen = [score for corpus, score in scores.items() if corpus in results.counted]
    found = seen or [*scores.values()]
    return fmean(found) if found else None


def reference(results: Results) -> dict[str, float]:
    """What students aim at: F1 of each taught corpus's teacher, the first of several."""
    scores = teacher_f1(results)
    return {c: scores[results.lineup.corpora[c][0]][c] for c in results.taught}


def label_f1(results: Results) -> dict[str, dict[str, float]]:
    """F1 of each label by tagger, spans summed over corpora and seeds; "teacher": of each corpus.

    Labels that gold never uses have no score, though a tagger may have predicted them.
    """
    of_teachers = {
        corpus: results.teachers[results.lineup.corpora[corpus][0]] for corpus in results.taught
    }
    counts = {"teacher": [each.corpora[corpus].counts for corpus, each in of_teachers.items()]}
    counts |= {
        recipe: [each.corpora[corpus].counts for each in students for corpus in results.counted]
        for recipe, students in results.students.items()
    }
    all_counts = [each for parts in counts.values() for each in parts]
    labels = sorted({n for each in all_counts for n in each.labels if each[n].gold.any()})
    return {
        label: {name: _f1_of_label(parts, label) for name, parts in counts.items() if parts}
        for label in labels
    }


def summary(
    results: Results, found: Mapping[str, Standing], pairs: Sequence[Contest] = ()
) -> dict[str, Any]:
    """What `metrics/summary.json` holds: percent to two decimals, shares and p-values to four."""
    told = {f"{pair.recipe} - {pair.against}": _told(pair) for pair in pairs}
    return {
        "teachers": {
            name: {
                "f1": _rounded(teacher_mean(results, name), 2),
                "parameters": results.teachers[name].parameters,
                "bytes": results.teachers[name].size,
            }
            for name in results.teachers
        },
        "recipes": {name: _summary(standing) for name, standing in found.items()},
        **({"pairs": told} if told else {}),
    }


def _ends(interval: tuple[float, float] | None) -> dict[str, float | None] | None:
    return interval and {
        end: _rounded(value, 2) for end, value in zip(("low", "high"), interval, strict=True)
    }


def _told(pair: Contest) -> dict[str, Any]:
    return {
        "difference": _rounded(pair.difference, 2),
        "interval": _ends(pair.interval),
        "p_value": _rounded(pair.p_value, 4),
    }


def _summary(standing: Standing) -> dict[str, Any]:
    return {
        "f1": _rounded(standing.f1, 2),
        "f1_std": _rounded(standing.f1_std, 2),
        "seeds": len(standing.seeds),
        "retention": _rounded(standing.retention, 4),
        "gap_closed": _rounded(standing.gap_closed, 4),
        "p_value": _rounded(standing.p_value, 4),
        "interval": _ends(standing.interval),
        "agreement": _rounded(standing.agreement, 2),
        "parameters": standing.parameters,
        "bytes": standing.size,
        **_zero_shot(standing),
        "corpora": {
            name: {"f1": _rounded(fmean(scores), 2)} for name, scores in standing.corpora.items()
        },
    }


def _zero_shot(standing: Standing) -> dict[str, Any]:
    if not standing.zero_shot:
        return {}
    figures = {
        "f1": _rounded(fmean(standing.zero_shot), 2),
        "f1_std": _rounded(spread(standing.zero_shot), 2),
        "p_value": _rounded(standing.zero_shot_p_value, 4),
    }
    return {"zero_shot": figures}


def _standing(results: Results, recipe: str, evaluate: Evaluate) -> Standing:
    students, compared = results.students[recipe], recipe != results.baseline
    pairs, strange = (
        _pairs(results, recipe, results.baseline, corpora)
        for corpora in (results.counted, results.zero_shot)
    )
    return Standing(
        corpora=_f1_by_seed(results, recipe),
        counted=results.counted,
        retention=_retention(results, recipe),
        gap_closed=_gap_closed(results, recipe),
        agreement=_agreement(results, recipe),
        interval=interval(pairs, evaluate) if compared else None,
        p_value=p_value(pairs, evaluate) if compared else None,
        zero_shot_p_value=p_value(strange, evaluate) if compared and strange else None,
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
        for taught in [results.teachers[results.lineup.corpora[corpus][0]].corpora[corpus]]
        for student in results.students[recipe]
    ]
    return fmean(scores) if scores else None


def _contest(results: Results, recipe: str, against: str, evaluate: Evaluate) -> Contest:
    pairs = _pairs(results, recipe, against, results.counted)
    found = difference(pairs), interval(pairs, evaluate), p_value(pairs, evaluate)
    return Contest(recipe, against, *found)


def _pairs(results: Results, recipe: str, against: str, corpora: Sequence[str]) -> Pairs:
    return [
        (_over_seeds(results, recipe, corpus), _over_seeds(results, against, corpus))
        for corpus in corpora
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
