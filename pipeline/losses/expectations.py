"""What a teacher's lattice expects: tags at words, and pairs of neighbours in a sentence.

The score of a path is a sum over words and pairs. So its mean over all paths takes only how often
each tag stands at each word and how often each pair of neighbours stands in the sentence; no table
of pairs at each word is made. Float64, without gradients: only the student learns.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.kernels import compiled, log_space, sums
from pipeline.lattice import Lattice


class Expectations(NamedTuple):
    """Shares of tags at words, at the first and at the last one; how often each pair occurs."""

    words: Float[Tensor, "batch words tags"]
    """0 at padding."""
    first: Float[Tensor, "batch tags"]
    last: Float[Tensor, "batch tags"]
    pairs: Float[Tensor, "batch tags tags"]  # [from, to]
    log_partition: Float[Tensor, " batch"]
    """-inf where there is no path: the rest is then of no worth."""


@torch.no_grad()
def expectations(lattice: Lattice, local: float = 1.0) -> Expectations:
    """Under p(path) or, with another `local`, under softer beliefs about each word and pair.

    Those are the marginals of each pair of neighbours raised to 1 / local and normalised, and those
    of the first and of the last word likewise; words are the second ones of pairs. They belong to
    no distribution over paths.
    """
    if not lattice.emissions.is_cpu:
        return _by_tables(lattice, local)
    found, easy = _by_gradients(lattice) if local == 1.0 else _by_factors(lattice, local)
    if easy.all():
        return found
    parts = (lattice.transitions, lattice.start, lattice.end)
    rest = Lattice(lattice.emissions[~easy], *parts, lattice.mask[~easy])
    for one, other in zip(found, _by_tables(rest, local), strict=True):
        one[~easy] = other
    return found


def expected_score(lattice: Lattice, wanted: Expectations) -> Float[Tensor, " batch"]:
    """The mean score in `lattice` of the paths that are expected, in float64.

    What the lattice forbids must not be expected: it counts as nothing.
    """
    inside = torch.where(lattice.mask[:, :, None], lattice.emissions, 0.0)
    words = (wanted.words * _allowed(inside)).sum(dim=(1, 2))
    between = (wanted.pairs * _allowed(lattice.transitions)).sum(dim=(1, 2))
    borders = wanted.first * _allowed(lattice.start) + wanted.last * _allowed(lattice.end)
    return words + between + borders.sum(dim=1)


def _by_gradients(lattice: Lattice) -> tuple[Expectations, Bool[Tensor, " batch"]]:
    """Under p(path): the gradient of log Z. And in which sentences it is exact."""
    found = sums.differentiate(*_arrays(lattice), threads=torch.get_num_threads())
    rows = torch.from_numpy(found.emissions).view(lattice.emissions.shape).double()
    words = torch.where(lattice.mask[:, :, None], rows, 0.0)
    batch, _, tags = words.shape
    pairs = torch.from_numpy(found.pairs).view(batch, tags, -1)[:, :, :tags]
    log_partition = torch.from_numpy(found.value)
    last = _last(words, lattice)
    return Expectations(words, words[:, 0], last, pairs, log_partition), torch.from_numpy(
        found.exact
    )


def _arrays(lattice: Lattice) -> compiled.Arrays:
    scores = (lattice.emissions, lattice.transitions, lattice.start, lattice.end)
    return compiled.arrays(scores, lattice.lengths)


def _by_factors(lattice: Lattice, local: float) -> tuple[Expectations, Bool[Tensor, " batch"]]:
    """At a local temperature, from scaled beginnings and ends, and where that is exact.

    p(tag n = i, tag n + 1 = j) ∝ before(n, i) exp(transition(i, j)) onward(n, j), so the powers of
    a table are products of powers, and pairs are counted by products of matrices.
    """
    of = _arrays(lattice)
    found, pieces = sums.run(*of, keep=True, threads=torch.get_num_threads())
    before, onward, after = torch.zeros(3, *lattice.emissions.shape, dtype=torch.float64)
    for table, piece in (
        (before, pieces.before),
        (onward, pieces.onward),
        (after, pieces.after),
    ):
        table[lattice.mask] = torch.from_numpy(piece[:, : table.shape[2]])
    before, onward, after = (_softened(factors, local) for factors in (before, onward, after))
    between = torch.from_numpy(np.exp((of.transitions - sums.highest(of.transitions)) / local))
    reached = (before @ between * onward)[:, :-1]
    sizes = reached.sum(dim=2, keepdim=True)
    shares = torch.where(sizes > 0, 1 / sizes, 0.0)
    pairs = torch.bmm((before[:, :-1] * shares).mT, onward[:, :-1]) * between
    ends = before * after
    first, last = _normalised(ends[:, 0]), _normalised(_last(ends, lattice))
    words = torch.cat([first[:, None], reached * shares], dim=1)
    every = ((sizes[:, :, 0] > 0) | ~lattice.mask[:, 1:]).all(dim=1)
    log_partition = torch.from_numpy(found.log_partition)
    easy = torch.from_numpy(found.exact) & every
    return Expectations(words, first, last, pairs, log_partition), easy


def _by_tables(lattice: Lattice, local: float) -> Expectations:
    """The same whatever the scores are, and on any device, with a table of pairs at each word."""
    inside = lattice.mask[:, :, None]
    emissions = torch.where(inside, lattice.emissions, 0.0).double()
    scores = (lattice.transitions.double(), lattice.start.double(), lattice.end.double())
    found = log_space.run(emissions, *scores, lattice.lengths)
    tables = log_space.pairwise_log_marginals(found, emissions, scores[0])
    pairs = torch.softmax(tables.flatten(2) / local, dim=2).view(tables.shape)
    pairs = torch.where(inside[:, 1:, :, None], pairs, 0.0)
    ends = torch.softmax(log_space.log_marginals(found) / local, dim=2)
    words = torch.cat([ends[:, :1], pairs.sum(dim=2)], dim=1)
    last, total = _last(ends, lattice), log_space.log_partition(found)
    return Expectations(words, ends[:, 0], last, pairs.sum(dim=1), total)


def _last(rows: Float[Tensor, "batch words tags"], lattice: Lattice) -> Float[Tensor, "batch tags"]:
    """Those of the last word of each sentence."""
    sentences = torch.arange(len(rows), device=rows.device)
    return rows[sentences, lattice.lengths - 1]


def _softened(factors: Tensor, temperature: float) -> Tensor:
    """Raised to 1 / temperature; rows are scaled first, lest small or large ones leave float64."""
    most = factors.amax(dim=2, keepdim=True)
    return (factors / torch.where(most > 0, most, 1.0)) ** (1 / temperature)


def _normalised(shares: Float[Tensor, "batch tags"]) -> Float[Tensor, "batch tags"]:
    total = shares.sum(dim=1, keepdim=True)
    return shares / torch.where(total > 0, total, 1.0)


def _allowed(scores: Tensor) -> Tensor:
    """Scores in float64, 0 where they forbid: 0 times infinity would be no number."""
    return scores.masked_fill(torch.isneginf(scores), 0.0).double()
