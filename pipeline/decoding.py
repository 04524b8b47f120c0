"""The best paths of a lattice, exactly: one, or k of them with their log-probabilities.

The k best lazily: a forward pass keeps the score of the best beginning up to each (word, tag). The
best path is read off backwards; every other path takes an accepted one, leaves it at one word for
another tag, and begins as well as that tag can. What that costs, its regret, is known from the
forward scores, and a list of the k smallest regrets is all that must be kept. Each path arises
once, so paths are distinct, and where fewer than k exist the list ends.

Ties go to the lower tag, compared from the last word to the first for one path; among the k, to
what was found first. (Family: Huang & Chiang 2005, algorithm 3; Lawler 1972.)
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.kernels import compiled, gpu, paths, plain_paths
from pipeline.lattice import Lattice, exact_log_partition


class KBest(NamedTuple):
    """Distinct paths, best first, 0 at padding, with log-probabilities under all paths.

    Where fewer than k paths exist, the rest repeat the best one, at log-probability -inf: no one
    who weighs paths by probability sees them, and no one meets a forbidden path.
    """

    paths: Int[Tensor, "batch k words"]
    log_probs: Float[Tensor, "batch k"]


@torch.no_grad()
def viterbi(lattice: Lattice) -> Int[Tensor, "batch words"]:
    """The best path, 0 at padding; of equal ones, that with the lowest tags, last word first."""
    if lattice.emissions.is_cpu:
        return _compiled(lattice, 1)[0][:, 0]
    if gpu.takes(lattice.emissions):
        chain = (lattice.emissions, lattice.transitions, lattice.start, lattice.end)
        return gpu.viterbi(*chain, lattice.lengths)
    return plain_paths.k_best(plain_chain(lattice), 1)[0][:, 0]


@torch.no_grad()
def k_best(lattice: Lattice, k: int) -> KBest:
    """The k best paths, exactly; scores add up in float64.

    Time grows little with k, memory with words · (tags + k). Lattices on another device are copied
    to the CPU, which decodes faster than they are made.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, found {k}")
    found, (_, *numbers) = _compiled(lattice.to("cpu"), k)
    regrets, best = (torch.from_numpy(number) for number in numbers)
    exists = regrets < torch.inf
    if not exists.all():
        found = torch.where(exists[:, :, None], found, found[:, :1])
    total = exact_log_partition(lattice).cpu()
    log_probs = torch.where(exists, (best - total)[:, None] - regrets, -torch.inf)
    device, dtype = lattice.emissions.device, lattice.emissions.dtype
    return KBest(found.to(device), log_probs.to(device, dtype))


def _compiled(lattice: Lattice, k: int) -> tuple[Tensor, paths.Paths]:
    """Paths [batch, k, words], 0 where there is none, and all that is known of them."""
    batch, words, _ = lattice.emissions.shape
    scores = (lattice.emissions, lattice.transitions, lattice.start, lattice.end)
    of, threads = compiled.arrays(scores, lattice.lengths), torch.get_num_threads()
    found = paths.k_best(*of, k, padded=words, threads=threads)
    # NumPy's conversion: PyTorch's costs four times as much to call.
    tags = found.tags.astype(np.int64).reshape(batch, k, words)
    return torch.from_numpy(tags), found


def plain_chain(lattice: Lattice) -> plain_paths.Chain:
    """A lattice as the plain decoder reads it."""
    of = lattice.double()
    return plain_paths.Chain(of.emissions, of.transitions, of.start, of.end, of.lengths)
