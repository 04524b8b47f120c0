"""Sentences on which two taggers differ: one wholly right, the other not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.corpus import Split
from pipeline.evaluation import Evaluation, Examined
from pipeline.tags import Span, spans_of

_LONGEST = 40  # words that a reader takes in at a glance


@dataclass(frozen=True)
class Contrast:
    """One sentence and its spans: as annotated, as the tagger that errs has them."""

    corpus: str
    words: list[str]
    gold: list[Span]
    mistaken: list[Span]


@dataclass(frozen=True)
class Contrasts:
    """Some sentences that one tagger has right and another wrong, and how many there are of all."""

    shown: list[Contrast]
    number: int
    sentences: int


def contrasts(
    right: Examined, wrong: Examined, splits: Mapping[str, Split], limit: int
) -> Contrasts:
    """Up to `limit` sentences of all test splits, evenly spaced, that only `right` has right.

    Sentences of more than 40 words are counted but not shown.
    """
    found = {corpus: _only_right(right.corpora[corpus], wrong.corpora[corpus]) for corpus in splits}
    places = [(corpus, row) for corpus, rows in found.items() for row in rows]
    short = [(c, row) for c, row in places if len(splits[c].words[row]) <= _LONGEST]
    shown = [_contrast(c, row, splits[c], wrong.corpora[c]) for c, row in _spaced(short, limit)]
    return Contrasts(shown, len(places), sum(map(len, splits.values())))


def _only_right(right: Evaluation, wrong: Evaluation) -> list[int]:
    return np.flatnonzero(_faultless(right) & ~_faultless(wrong)).tolist()


def _faultless(evaluation: Evaluation) -> np.ndarray:
    """Whether each sentence [sentences] has exactly its gold spans."""
    sums = evaluation.counts.sums()
    return (sums[:, 0] == sums[:, 1]) & (sums[:, 0] == sums[:, 2])


def _spaced(places: Sequence[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    """As many as `limit`, from one end to the other."""
    number = min(limit, len(places))
    return [places[place * len(places) // number] for place in range(number)]


def _contrast(corpus: str, row: int, split: Split, wrong: Evaluation) -> Contrast:
    gold = spans_of((split.tags or [])[row], wrong.scheme)
    mistaken = spans_of(wrong.tags[row], wrong.scheme)
    return Contrast(corpus, split.words[row], gold, mistaken)
