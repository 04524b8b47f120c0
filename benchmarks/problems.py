"""Lattices to measure on: ragged sentences with the scores of a sure tagger, in float32."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.lattice import Lattice


class Size(NamedTuple):
    """Sentences, words of the longest, tags; lengths are uniform from 5 up."""

    batch: int
    words: int
    tags: int
    seed: int

    def __str__(self) -> str:
        return f"({self.batch}, {self.words}, {self.tags})"


class Problem(NamedTuple):
    """A lattice and one path a sentence, 0 at padding."""

    lattice: Lattice
    gold: Tensor


def peaked(size: Size, sure: tuple[float, float] = (3.0, 9.0)) -> Problem:
    """Normal scores; at each word one tag, mostly the gold one, stands out by `sure` on average.

    One word in ten prefers a wrong tag. `sure=(0, 0)` leaves the noise alone.
    """
    random = torch.Generator().manual_seed(size.seed)
    batch, words, tags, _ = size
    lengths = torch.randint(5, words + 1, (batch,), generator=random)
    lengths[0] = words
    mask = torch.arange(words) < lengths[:, None]
    scores = [torch.randn(shape, generator=random) for shape in ((tags, tags), (tags,), (tags,))]
    gold = torch.randint(tags, (batch, words), generator=random)
    other = torch.randint(tags, (batch, words), generator=random)
    preferred = torch.where(torch.rand(batch, words, generator=random) < 0.9, gold, other)
    lead = sure[0] + (sure[1] - sure[0]) * torch.rand(batch, words, 1, generator=random)
    emissions = torch.randn(batch, words, tags, generator=random)
    emissions.scatter_add_(2, preferred[:, :, None], lead)
    return Problem(Lattice(emissions, *scores, mask=mask), torch.where(mask, gold, 0))
