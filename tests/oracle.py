"""Slow and obvious: every tag sequence of a small lattice, listed. Faster code is held to this."""

import heapq
import itertools
import math

import torch
from torch import Tensor

from pipeline.lattice import Lattice

Path = tuple[int, ...]
NAMES = ("transitions", "start", "end")


def paths(lattice: Lattice, sentence: int) -> dict[Path, float]:
    """Allowed paths of one sentence and their scores."""
    emissions, transitions, start, end, mask = (
        getattr(lattice, name).tolist()
        for name in ("emissions", "transitions", "start", "end", "mask")
    )
    words, tags = emissions[sentence][: sum(mask[sentence])], range(len(start))
    scores = {}
    for path in itertools.product(tags, repeat=len(words)):
        parts = [start[path[0]], end[path[-1]]]
        parts += [word[tag] for word, tag in zip(words, path, strict=True)]
        parts += [transitions[a][b] for a, b in itertools.pairwise(path)]
        if -math.inf not in parts:
            scores[path] = math.fsum(parts)
    return scores


def probabilities(lattice: Lattice, sentence: int) -> dict[Path, float]:
    """p(path) of allowed paths."""
    scores = paths(lattice, sentence)
    total = log_sum(scores.values())
    return {path: math.exp(score - total) for path, score in scores.items()}


def log_partition(lattice: Lattice) -> Tensor:
    """[batch]."""
    return each(lattice, lambda sentence: log_sum(paths(lattice, sentence).values()))


def marginals(lattice: Lattice) -> Tensor:
    """[batch, words, tags]; 1 at padding, as exp(0) is."""
    sums = torch.zeros(lattice.emissions.shape, dtype=torch.float64)
    for sentence in range(len(sums)):
        for path, probability in probabilities(lattice, sentence).items():
            for n, tag in enumerate(path):
                sums[sentence, n, tag] += probability
    return sums.masked_fill(~lattice.mask[:, :, None], 1.0)


def pairwise_marginals(lattice: Lattice) -> Tensor:
    """[batch, words - 1, from, to]; 1 at padding, as exp(0) is."""
    batch, words, tags = lattice.emissions.shape
    sums = torch.zeros(batch, words - 1, tags, tags, dtype=torch.float64)
    for sentence in range(batch):
        for path, probability in probabilities(lattice, sentence).items():
            for n, (a, b) in enumerate(itertools.pairwise(path)):
                sums[sentence, n, a, b] += probability
    return sums.masked_fill(~lattice.mask[:, 1:, None, None], 1.0)


def entropy(lattice: Lattice) -> Tensor:
    """[batch], in nats."""
    return each(
        lattice,
        lambda sentence: (
            -math.fsum(p * math.log(p) for p in probabilities(lattice, sentence).values() if p > 0)
        ),
    )


def best(lattice: Lattice, sentence: int) -> list[tuple[Path, float]]:
    """Allowed paths, best first, with log-probabilities; ties: lower tags, last word first."""
    scores = paths(lattice, sentence)
    total = log_sum(scores.values())
    order = sorted(scores, key=lambda path: (-scores[path], path[::-1]))
    return [(path, scores[path] - total) for path in order]


def best_by_merging(lattice: Lattice, sentence: int, k: int) -> list[tuple[float, Path]]:
    """The k best by the textbook, where paths are too many to list: k beginnings for every tag."""
    transitions, start, end = (getattr(lattice, name).tolist() for name in NAMES)
    first, *words = lattice.emissions[sentence, lattice.mask[sentence]].tolist()
    begun = [[(s + e, (tag,))] for tag, (s, e) in enumerate(zip(start, first, strict=True))]
    for word in words:
        begun = [
            heapq.nlargest(
                k,
                (
                    (score + transitions[path[-1]][tag] + emission, (*path, tag))
                    for score, path in itertools.chain(*begun)
                ),
            )
            for tag, emission in enumerate(word)
        ]
    done = ((score + end[path[-1]], path) for score, path in itertools.chain(*begun))
    return heapq.nlargest(k, (pair for pair in done if pair[0] > -math.inf))


def each(lattice: Lattice, value) -> Tensor:
    """[batch] of a value a sentence."""
    return torch.tensor([value(n) for n in range(len(lattice.mask))], dtype=torch.float64)


def log_sum(scores) -> float:
    """log Σ exp(score), -inf of nothing."""
    scores = list(scores)
    most = max(scores, default=-math.inf)
    return most + math.log(math.fsum(math.exp(s - most) for s in scores)) if scores else most
