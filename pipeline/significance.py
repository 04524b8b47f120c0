"""Whether one recipe is better than another or lucky in its sentences: a paired test, an interval.

Both look at the same figure: the mean over corpora of the difference in strict micro-F1, from spans
counted a sentence and summed over seeds. All seeds of a sentence move together, because a sentence
that is easy for one seed is easy for the next: so the answer is about other sentences for these
taggers. How much another seed would change is what the spread over seeds says, not this.

Sentences that count alike are drawn together (binomial, multinomial), so time and memory grow with
how many different counts there are, not with the corpus; the distribution is the same.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.config import settings
from pipeline.metrics import f_score

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
"""For each corpus the `Counts.sums` [sentences, 3] of one side and of the other."""

_TIE = 1e-9  # percent: equal differences that rounding drove apart
_DRAWS = 1 << 20  # at once: some MB


@settings
class Evaluate:
    """Section `evaluate`: how the recipes are compared with the baseline."""

    samples: Annotated[int, Field(ge=1)] = 10_000
    """Shuffles of the paired test, and resamples of the interval."""
    seed: int = 1
    pairs: tuple[tuple[str, str], ...] = ()
    """Recipes that are compared with each other, beside all with the baseline."""


def difference(pairs: Pairs) -> float:
    """F1 of the first side less that of the second, mean over corpora, in percent."""
    return _mean([_f1(ours) - _f1(theirs) for ours, theirs in pairs])


def p_value(pairs: Pairs, evaluate: Evaluate) -> float:
    """How often chance alone makes a difference at least as large, either way.

    Approximate randomisation: each sentence's counts change sides with probability 1/2, corpus by
    corpus; (1 + as large) / (1 + samples). Source: Noreen 1989; Yeh 2000 for F1.
    """
    random = np.random.default_rng(evaluate.seed)
    by_chance = np.zeros(evaluate.samples)
    for ours, theirs in pairs:
        moved = _swapped(ours - theirs, evaluate.samples, random)
        chance = f_score(ours.sum(axis=0) - moved) - f_score(theirs.sum(axis=0) + moved)
        by_chance += chance / len(pairs)
    as_large = np.abs(by_chance) >= abs(difference(pairs)) - _TIE
    return (1 + int(as_large.sum())) / (1 + evaluate.samples)


def interval(pairs: Pairs, evaluate: Evaluate, level: float = 0.95) -> tuple[float, float]:
    """Between which differences in percent a share `level` of all resampled corpora lies.

    Percentile bootstrap: sentences of each corpus are drawn with replacement, as many as it has.
    """
    random = np.random.default_rng(evaluate.seed)
    differences = np.zeros(evaluate.samples)
    for ours, theirs in pairs:
        drawn = _resampled(np.hstack([ours, theirs]), evaluate.samples, random)
        differences += (f_score(drawn[:, :3]) - f_score(drawn[:, 3:])) / len(pairs)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _swapped(rows: np.ndarray, samples: int, random: np.random.Generator) -> np.ndarray:
    """Sums over random halves of rows [sentences, counts]: [samples, counts]."""
    kinds, numbers = np.unique(rows, axis=0, return_counts=True)
    draws = (random.binomial(numbers, 0.5, (n, len(kinds))) for n in _blocks(samples, len(kinds)))
    return np.concatenate([draw @ kinds for draw in draws])


def _resampled(rows: np.ndarray, samples: int, random: np.random.Generator) -> np.ndarray:
    """Sums over as many rows [sentences, counts], drawn with replacement: [samples, counts]."""
    kinds, numbers = np.unique(rows, axis=0, return_counts=True)
    shares = numbers / len(rows)
    draws = (random.multinomial(len(rows), shares, n) for n in _blocks(samples, len(kinds)))
    return np.concatenate([draw @ kinds for draw in draws])


def _blocks(samples: int, kinds: int) -> Iterator[int]:
    """Parts that add up to `samples`, each of bounded memory."""
    block = max(1, _DRAWS // kinds)
    for first in range(0, samples, block):
        yield min(block, samples - first)


def _f1(sums: np.ndarray) -> float:
    return float(f_score(sums.sum(axis=0)))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
