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

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.kernels import compiled, gpu, paths
from pipeline.lattice import Lattice, exact_log_partition


class KBest(NamedTuple):
    """Distinct paths, best first, 0 at padding, with log-probabilities under all paths.

    Where fewer than k paths exist, the rest repeat the best one, at log-probability -inf: no one
    who weighs paths by probability sees them, and no one meets a forbidden path.
    """

    paths: Int[Tensor, "batch k words"]
    log_probs: Float[Tensor, "batch k"]


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


@torch.no_grad()
def viterbi(lattice: Lattice) -> Int[Tensor, "batch words"]:
    """The best path, 0 at padding; of equal ones, that with the lowest tags, last word first."""
    if lattice.emissions.is_cpu:
        return _compiled(lattice, 1)[0][:, 0]
    if gpu.takes(lattice.emissions):
        chain = (lattice.emissions, lattice.transitions, lattice.start, lattice.end)
        return gpu.viterbi(*chain, lattice.lengths)
    return _accept(lattice.double(), 1)[0][:, 0]


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
    return torch.from_numpy(found.tags).view(batch, k, words).long(), found


def _accept(lattice: Lattice, k: int) -> tuple[Tensor, Tensor]:
    """Paths [batch, k, words] and regrets [batch, k], inf where there is no path."""
    begun = _beginnings(lattice)
    waiting = _endings(lattice, begun, k)
    batch, words = lattice.mask.shape
    paths = torch.zeros(batch, k, words, dtype=torch.int64, device=lattice.mask.device)
    regrets = torch.full((batch, k), torch.inf, dtype=torch.float64, device=lattice.mask.device)
    for rank in range(k):
        chosen, waiting = _first(waiting), Candidates(*(column[:, 1:] for column in waiting))
        if not (chosen.regret < torch.inf).any():
            break
        parent = paths.gather(1, chosen.parent[:, :, None].expand(-1, -1, words))[:, 0]
        paths[:, rank] = _read(begun, parent, chosen)
        regrets[:, rank] = chosen.regret[:, 0]
        leaving = _departures(lattice, begun, paths[:, rank], chosen, k - rank - 1)
        leaving = leaving._replace(parent=torch.full_like(leaving.parent, rank))
        waiting = _merged(waiting, leaving, k - rank - 1)
    return paths, regrets


def _beginnings(lattice: Lattice) -> Beginnings:
    """The forward pass."""
    words = lattice.emissions.unbind(dim=1)
    arrival, previous = [lattice.start.expand(words[0].shape)], [torch.zeros_like(words[0]).long()]
    best = [lattice.start + words[0]]
    for word in words[1:]:
        arrived, before = (best[-1][:, :, None] + lattice.transitions).max(dim=1)
        arrival.append(arrived)
        previous.append(before)
        best.append(arrived + word)
    return Beginnings(*(torch.stack(parts, dim=1) for parts in (arrival, best, previous)))


def _endings(lattice: Lattice, begun: Beginnings, k: int) -> Candidates:
    """The best path for each tag of the last word."""
    last = lattice.lengths[:, None] - 1
    finals = begun.best.gather(1, last[:, :, None].expand_as(begun.best[:, :1]))[:, 0] + lattice.end
    regret = _regrets(finals.amax(dim=1, keepdim=True) - finals)
    places = _smallest(regret, k)
    return Candidates(regret.gather(1, places), places * 0, last.expand_as(places), places)


def _departures(
    lattice: Lattice, begun: Beginnings, path: Tensor, chosen: Candidates, k: int
) -> Candidates:
    """The k best paths that leave this one before the word at which it left its own parent."""
    onward = path[:, 1:, None]
    stayed = begun.arrival[:, 1:].gather(2, onward)
    left = begun.best[:, :-1] + lattice.transitions.T[onward[:, :, 0]]
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
