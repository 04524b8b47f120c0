"""How well tags agree: counts of spans a sentence, from which every score follows.

The counts are seqeval's in strict mode. They add up: over sentences, labels, corpora or seeds, and
each score is taken from the sums at the end (micro-averaged). In the scheme `flat` every word is a
span of itself, so micro-F1 is accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.tags import Scheme, Span, spans_of

Tags = Sequence[Sequence[str]]
"""One tag a word, sentence by sentence."""


@dataclass(frozen=True)
class Counts:
    """Spans of each sentence and label [sentences, labels]; labels are sorted.

    `correct`: predicted with the borders and the label that gold has; `predicted`, `gold`: all.
    """

    labels: tuple[str, ...]
    correct: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray

    def __len__(self) -> int:
        return len(self.gold)

    def __getitem__(self, label: str) -> "Counts":
        """The counts of one label alone, zero where no sentence has it."""
        mine = [known == label for known in self.labels]
        kinds = (self.correct, self.predicted, self.gold)
        return Counts((label,), *(c[:, mine].sum(axis=1, keepdims=True) for c in kinds))

    def sums(self) -> np.ndarray:
        """Correct, predicted and gold spans of each sentence, over labels [sentences, 3]."""
        return np.stack([c.sum(axis=1) for c in (self.correct, self.predicted, self.gold)], axis=1)


def count(gold: Tags, predicted: Tags, scheme: Scheme) -> Counts:
    """Spans of sentences, valid or not; ValueError where sentences or words do not pair up."""
    if [*map(len, gold)] != [*map(len, predicted)]:
        raise ValueError("expected a predicted tag for each gold tag, found more or fewer")
    wanted = [spans_of(tags, scheme) for tags in gold]
    found = [spans_of(tags, scheme) for tags in predicted]
    both = [sorted({*a} & {*b}) for a, b in zip(wanted, found, strict=True)]
    labels = tuple(sorted({span.label for spans in (*wanted, *found) for span in spans}))
    return Counts(labels, *(_table(spans, labels) for spans in (both, found, wanted)))


def precision(sums: np.ndarray) -> np.ndarray:
    """Share of predicted spans that are correct, in percent; `sums` [..., 3] as `Counts.sums`."""
    return _percent(sums[..., 0], sums[..., 1])


def recall(sums: np.ndarray) -> np.ndarray:
    """Share of gold spans that are found, in percent; `sums` [..., 3] as `Counts.sums`."""
    return _percent(sums[..., 0], sums[..., 2])


def f_score(sums: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall, in percent; `sums` [..., 3] as `Counts.sums`."""
    return _percent(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def f1(counts: Counts) -> float:
    """Micro-averaged F1 over all sentences and labels, in percent; 0 where there is no span."""
    return float(f_score(counts.sums().sum(axis=0)))


def _table(sentences: Sequence[Sequence[Span]], labels: Sequence[str]) -> np.ndarray:
    """How many spans of each label a sentence has [sentences, labels]."""
    places = {label: place for place, label in enumerate(labels)}
    columns = [places[span.label] for spans in sentences for span in spans]
    rows = np.repeat(np.arange(len(sentences)), [len(spans) for spans in sentences])
    cells = rows * len(labels) + np.array(columns, dtype=np.int64)
    counted = np.bincount(cells, minlength=len(sentences) * len(labels))
    return counted.reshape(len(sentences), len(labels))


def _percent(part: np.ndarray | np.integer, whole: np.ndarray | np.integer) -> np.ndarray:
    """0 where the whole is 0, as in seqeval."""
    return np.asarray(100 * np.asarray(part) / np.maximum(np.asarray(whole), 1))
