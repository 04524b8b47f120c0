"""The k best paths of a chain in plain PyTorch, on any device: exact, and slow to list many.

Emissions [batch, words, tags] float64, any value at padding; transitions [from, to], start and end
[tags]; `lengths` [batch] ≥ 1. On a CPU paths.py finds the same, ties included, many times faster.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Chain(NamedTuple):
    """Scores of all paths of a batch."""

    emissions: Float[Tensor, "batch words tags"]
    transitions: Float[Tensor, "tags tags"]
    start: Float[Tensor, " tags"]
    end: Float[Tensor, " tags"]
    lengths: Int[Tensor, " batch"]


class Beginnings(NamedTuple):
    """Of the best beginning that ends in (word, tag): its scores, and its tag before that.

    `arrival` leaves out the emission of the word itself, `best` does not. Any value at padding.
    """

    arrival: Float[Tensor, "batch words tags"]
    best: Float[Tensor, "batch words tags"]
    previous: Int[Tensor, "batch words tags"]


class Candidates(NamedTuple):
    """Paths in wait, best first: as path `parent`, but `tag` at `word`, and before that the best.

    `regret` is how far the score lies under that of the best path; inf where there is none.
    """

    regret: Float[Tensor, "batch some"]
    parent: Int[Tensor, "batch some"]
    word: Int[Tensor, "batch some"]
    tag: Int[Tensor, "batch some"]


def k_best(chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """Paths [batch, k, words], 0 where there is none, and regrets [batch, k], inf there.

    A regret is how far a score lies under that of the best path.
    """
    begun = _beginnings(chain)
    waiting = _endings(chain, begun, k)
    batch, words, _ = chain.emissions.shape
    paths = torch.zeros(batch, k, words, dtype=torch.int64, device=chain.emissions.device)
    regrets = torch.full((batch, k), torch.inf, dtype=torch.float64, device=chain.emissions.device)
    for rank in range(k):
        chosen, waiting = _first(waiting), Candidates(*(column[:, 1:] for column in waiting))
        if not (chosen.regret < torch.inf).any():
            break
        parent = paths.gather(1, chosen.parent[:, :, None].expand(-1, -1, words))[:, 0]
        paths[:, rank] = _read(begun, parent, chosen)
        regrets[:, rank] = chosen.regret[:, 0]
        leaving = _departures(chain, begun, paths[:, rank], chosen, k - rank - 1)
        leaving = leaving._replace(parent=torch.full_like(leaving.parent, rank))
        waiting = _merged(waiting, leaving, k - rank - 1)
    return paths, regrets


def _beginnings(chain: Chain) -> Beginnings:
    """The forward pass."""
    words = chain.emissions.unbind(dim=1)
    arrival, previous = [chain.start.expand(words[0].shape)], [torch.zeros_like(words[0]).long()]
    best = [chain.start + words[0]]
    for word in words[1:]:
        arrived, before = (best[-1][:, :, None] + chain.transitions).max(dim=1)
        arrival.append(arrived)
        previous.append(before)
        best.append(arrived + word)
    return Beginnings(*(torch.stack(parts, dim=1) for parts in (arrival, best, previous)))


def _endings(chain: Chain, begun: Beginnings, k: int) -> Candidates:
    """The best path for each tag of the last word."""
    last = chain.lengths[:, None] - 1
    finals = begun.best.gather(1, last[:, :, None].expand_as(begun.best[:, :1]))[:, 0] + chain.end
    regret = _regrets(finals.amax(dim=1, keepdim=True) - finals)
    places = _smallest(regret, k)
    return Candidates(regret.gather(1, places), places * 0, last.expand_as(places), places)


def _departures(
    chain: Chain, begun: Beginnings, path: Tensor, chosen: Candidates, k: int
) -> Candidates:
    """The k best paths that leave this one before the word at which it left its own parent."""
    onward = path[:, 1:, None]
    stayed = begun.arrival[:, 1:].gather(2, onward)
    left = begun.best[:, :-1] + chain.transitions.T[onward[:, :, 0]]
    words, tags = (torch.arange(size, device=path.device) for size in left.shape[1:])
    possible = (words < chosen.word)[:, :, None] & (tags != path[:, :-1, None])
    regret = chosen.regret[:, :, None] + torch.where(possible, stayed - left, torch.inf)
    regret = _regrets(regret.flatten(1))
    places = _smallest(regret, k)
    word, tag = places // len(tags), places % len(tags)
    return Candidates(regret.gather(1, places), torch.zeros_like(places), word, tag)


def _merged(waiting: Candidates, leaving: Candidates, k: int) -> Candidates:
    """The k best of both, those that waited first among equals."""
    both = [torch.cat(columns, dim=1) for columns in zip(waiting, leaving, strict=True)]
    places = both[0].argsort(dim=1, stable=True)[:, :k]
    return Candidates(*(column.gather(1, places) for column in both))


def _first(waiting: Candidates) -> Candidates:
    """The best of them alone."""
    return Candidates(*(column[:, :1] for column in waiting))


def _read(begun: Beginnings, parent: Tensor, chosen: Candidates) -> Int[Tensor, "batch words"]:
    """Copy the parent, put the tag at the word, and follow the best beginning from there."""
    path = parent.scatter(1, chosen.word, chosen.tag)
    for n in range(path.shape[1] - 2, -1, -1):
        before = begun.previous[:, n + 1].gather(1, path[:, n + 1, None])
        path[:, n, None] = torch.where(n < chosen.word, before, path[:, n, None])
    return path


def _regrets(differences: Tensor) -> Tensor:
    """inf where both sides of the difference were forbidden."""
    return differences.nan_to_num(nan=torch.inf, posinf=torch.inf)


def _smallest(values: Float[Tensor, "batch some"], k: int) -> Int[Tensor, "batch k"]:
    """Places of the k smallest, in order; of equal values those further to the left.

    `topk` alone leaves open which of equal values it takes, and a stable sort is slow.
    """
    k = min(k, values.shape[1])
    if k == 0:
        return torch.empty(len(values), 0, dtype=torch.int64, device=values.device)
    worst = values.topk(k, dim=1, largest=False, sorted=False).values.amax(dim=1, keepdim=True)
    below, tied = values < worst, values == worst
    taken = below | (tied & (tied.cumsum(dim=1) <= k - below.sum(dim=1, keepdim=True)))
    places = taken.nonzero()[:, 1].view(-1, k)
    return places.gather(1, values.gather(1, places).argsort(dim=1, stable=True))
