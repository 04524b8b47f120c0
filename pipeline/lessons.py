"""What a teacher learns from: labelled sentences of its corpora, and its score on dev splits."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.corpus import Split
from pipeline.lattice import Lattice, nll
from pipeline.metrics import count, f1
from pipeline.tagger import Sentences, Tagger


class Lessons:
    """Labelled splits as one source of batches of words and gold tags [batch, words].

    `sizes` says what each sentence takes of a batch's budget.
    """

    def __init__(self, splits: Sequence[Split], sizes: Callable[[Sentences], list[int]]) -> None:
        self._words = [words for split in splits for words in split.words]
        self._tags = [tags for split in splits for tags in _numbered(split)]
        self.lengths = sizes(self._words)

    def drawn(self, epoch: int) -> Sequence[int]:
        """All sentences, in every epoch."""
        return range(len(self.lengths))

    def batch(self, chosen: Sequence[int]) -> tuple[Sentences, Int[Tensor, "batch words"]]:
        """Words, and gold tags as numbers, padded with 0 to the longest sentence."""
        words = [self._words[index] for index in chosen]
        longest = max(map(len, words))
        gold = np.zeros((len(chosen), longest), dtype=np.int64)
        for place, index in enumerate(chosen):
            gold[place, : len(self._tags[index])] = self._tags[index]
        return words, torch.from_numpy(gold)


def gold_nll(
    lattice: Lattice, gold: Int[Tensor, "batch words"], progress: float
) -> Float[Tensor, " batch"]:
    """-log p(gold) in nats: all that a teacher minimises."""
    return nll(lattice, gold)


def development_f1(splits: Sequence[Split]) -> Callable[[Tagger], float]:
    """A function from a tagger to the mean over dev splits of its strict micro-F1, in percent."""

    def validate(tagger: Tagger) -> float:
        scores = [
            f1(count(split.tags or [], tagger.tag(split.words), split.scheme)) for split in splits
        ]
        return sum(scores) / len(scores)

    return validate


def _numbered(split: Split) -> list[list[int]]:
    index = {tag: number for number, tag in enumerate(split.tag_set)}
    return [[index[tag] for tag in tags] for tags in split.tags or []]
