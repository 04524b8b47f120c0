"""Beliefs about one surface form, fused across the sentences in which it stands."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.arrays import Vocabulary
from pipeline.config import settings
from pipeline.corpus import Split
from pipeline.errors import InputError
from pipeline.losses.supervision import Share
from pipeline.targets import TargetRows


@settings
class Fusion:
    """q'(n) = (1 - share) q(n) + share · mean of q over all places where the same form stands.

    q are a teacher's marginals, a form is a word as it is written. Reconstruction: MiTF in MiDTD
    (Li et al. 2022) fuses the teacher's predictions of several sentences with the same pair of
    entities; its formula is not verified, and words for pairs are ours.
    """

    share: Share = 0.3
    """Of the mean, in what is learnt."""
    least: Annotated[int, Field(ge=2)] = 2
    """Times that a form stands in the text; rarer ones are left as they are."""


class Forms:
    """Mean beliefs of one teacher about each form, over all that a recipe learns from it.

    Of one teacher, for others may speak of another language. Memory: forms × tags.
    """

    def __init__(self, fusion: Fusion, tags: int) -> None:
        self._fusion, self._vocabulary = fusion, Vocabulary()
        self._sums, self._counts = np.zeros((0, tags)), np.zeros(0, dtype=np.int64)

    def add(self, split: Split, targets: Iterable[TargetRows], limit: int) -> None:
        """Take the targets of a split's first `limit` sentences."""
        for rows, words in _beside(split, targets, limit):
            numbers = self._numbers(words)
            taught = np.repeat(rows.counts > 0, np.diff(rows.offsets))[: len(numbers)]
            new = 1 + numbers.max(initial=-1) - len(self._counts)
            if new > 0:
                # Twice as many, lest each group copies all.
                room = max(new, len(self._counts))
                self._sums = np.concatenate([self._sums, np.zeros((room, self._sums.shape[1]))])
                self._counts = np.concatenate([self._counts, np.zeros(room, dtype=np.int64)])
            beliefs = np.exp(rows.log_marginals[: len(numbers)][taught].astype(np.float64))
            np.add.at(self._sums, numbers[taught], beliefs)
            np.add.at(self._counts, numbers[taught], 1)

    def fused(
        self, split: Split, targets: Iterable[TargetRows], limit: int
    ) -> Iterator[TargetRows]:
        """The targets of the same sentences, their marginals fused."""
        share = self._fusion.share
        for rows, words in _beside(split, targets, limit):
            numbers = self._numbers(words)
            common = np.flatnonzero(self._counts[numbers] >= self._fusion.least)
            forms = numbers[common]
            own = np.exp(rows.log_marginals[common].astype(np.float64))
            mean = self._sums[forms] / self._counts[forms, None]
            logs = rows.log_marginals.copy()
            with np.errstate(divide="ignore", over="ignore"):  # log 0, and under e^-65504: -inf
                logs[common] = np.log((1 - share) * own + share * mean)
            yield replace(rows, log_marginals=logs)

    def _numbers(self, words: pa.Array) -> np.ndarray:
        return self._vocabulary.numbered(words).indices.to_numpy()


def _beside(
    split: Split, targets: Iterable[TargetRows], limit: int
) -> Iterator[tuple[TargetRows, pa.Array]]:
    """Groups of targets and the words of their sentences, as far as `limit` reaches."""
    first = 0
    for rows in targets:
        if first >= limit:
            return
        count = min(len(rows), limit - first, len(split) - first)
        words = split.table["words"].slice(first, count).combine_chunks().flatten()
        if rows.offsets[count] != len(words):
            raise InputError(
                f"{split.path}: expected targets of these sentences, found those of other text; "
                "run the stages score and extract again"
            )
        yield rows, words
        first += count
