"""How far a result is from the truth, which is computed in float64 and in another way."""

from functools import cache

import textbook
import torch
from adapters.peer import Paths, Peer
from problems import Problem
from torch import Tensor

from pipeline.kernels import log_space
from pipeline.lattice import Lattice, score


def error(peer: Peer, operation: str, found: object) -> float:
    """Largest difference; inf where a list holds too few paths or one twice."""
    problem = Problem(peer.lattice, peer.gold)
    if operation == "NLL":
        return _of_nll(problem, *found)  # type: ignore[misc]
    if operation == "marginals":
        assert isinstance(found, Tensor)
        return _largest((found.double() - _marginals(problem.lattice))[problem.lattice.mask])
    k = int(operation.split()[1]) if " " in operation else 1
    assert isinstance(found, list)
    return _of_paths(problem.lattice, found, k)


def _of_nll(problem: Problem, value: Tensor, emissions: Tensor, transitions: Tensor) -> float:
    """Of losses (their mean, where there is only a sum) and gradients."""
    losses, by_word, by_pair = _nll(problem)
    if value.dim() == 0:
        value, losses = value / len(losses), losses.mean()
    words = problem.lattice.mask
    parts = [value - losses, (emissions - by_word)[words], transitions - by_pair]
    return max(map(_largest, parts))


def _of_paths(lattice: Lattice, found: Paths, k: int) -> float:
    """Of scores, best first."""
    right = _best_scores(lattice, k)
    batch, words = lattice.mask.shape
    if any(len(set(map(tuple, paths))) != k for paths in found):
        return float("inf")
    padded = torch.zeros(batch, k, words, dtype=torch.int64)
    for n, paths in enumerate(found):
        padded[n, :, : len(paths[0])] = torch.tensor(paths)
    scores = torch.stack([score(lattice.double(), path) for path in padded.unbind(1)], dim=1)
    return _largest(scores - right)


@cache
def _nll(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Values and gradients."""
    wide = problem.lattice.double()
    emissions, transitions = wide.emissions.requires_grad_(), wide.transitions.requires_grad_()
    sums = log_space.run(emissions, transitions, wide.start, wide.end, wide.lengths)
    losses = log_space.log_partition(sums) - score(wide, problem.gold)
    by_word, by_pair = torch.autograd.grad(losses.sum(), (emissions, transitions))
    return losses.detach(), by_word, by_pair


@cache
def _marginals(lattice: Lattice) -> Tensor:
    return textbook.marginals(lattice.double())


@cache
def _best_scores(lattice: Lattice, k: int) -> Tensor:
    return textbook.k_best(lattice.double(), k)[1]


def _largest(differences: Tensor) -> float:
    return float(differences.abs().max())
