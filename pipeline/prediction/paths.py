"""The best paths of a chain in NumPy alone, exactly: one, or k of them with log-probabilities.

What `pipeline.decoding` computes, with the same paths and the same order among equals.
"""

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from pipeline.prediction.chains import Chain


class Paths(NamedTuple):
    """Distinct paths of one sentence, best first, [paths, words], and their log-probabilities."""

    tags: np.ndarray
    log_probs: np.ndarray


def viterbi(chain: Chain) -> np.ndarray:
    """The best path [batch, words], 0 at padding; of equals the lowest tags, last word first."""
    if len(chain.lengths) == 1:
        return _alone(chain)
    last, everyone = chain.lengths - 1, np.arange(len(chain.lengths))
    finals = chain.best[last, :, everyone] + chain.links.end
    path = final = finals.argmax(axis=1)
    into, found = np.ascontiguousarray(chain.links.between.T), np.zeros_like(chain.padding, int)
    words = len(chain.best)
    for n in range(words - 1, -1, -1):
        if n < words - 1:
            before = (chain.best[n].T + into[path]).argmax(axis=1)
            path = np.where(n < last, before, final)
        found[:, n] = path
    found[chain.padding] = 0
    return found


def _alone(chain: Chain) -> np.ndarray:
    """The same of one sentence: a tag at a time is quicker than arrays of one."""
    best, between, last = chain.best[..., 0], chain.links.between, int(chain.lengths[0]) - 1
    found = np.zeros_like(chain.padding, int)
    found[0, last] = tag = (best[last] + chain.links.end).argmax()
    for n in range(last - 1, -1, -1):
        found[0, n] = tag = (best[n] + between[:, tag]).argmax()
    return found


def k_best(chain: Chain, k: int) -> list[Paths]:
    """The k best paths of each sentence, or as many as exist; in the order of `decoding.k_best`."""
    if k < 1:
        raise ValueError(f"k: expected at least 1, found {k}")
    return [_k_best(chain, sentence, k) for sentence in range(len(chain.lengths))]


def _k_best(chain: Chain, sentence: int, k: int) -> Paths:
    """Every path but the best takes an accepted one, leaves it at one word for another tag, and
    begins as well as that tag can.

    Of equals, that comes first which leaves the better path, at the earlier word, for the lower
    tag: entries in wait are (regret, path that is left, word, tag). Path 0 ends the sentence only.
    """
    length = int(chain.lengths[sentence])
    begun = np.ascontiguousarray(chain.best[:length, :, sentence])
    left = begun[:-1, :, None] + chain.links.between
    previous, finals = left.argmax(axis=1), begun[-1] + chain.links.end
    best, found, regrets = finals.max(), np.zeros((k + 1, length), int), []
    possible = np.flatnonzero(finals > -np.inf).tolist()
    waiting = sorted((best - finals[tag], 0, length - 1, tag) for tag in possible)
    while waiting and len(regrets) < k:
        regret, parent, word, tag = heappop(waiting)
        regrets.append(regret)
        rank = len(regrets)
        path = found[rank]
        path[word:] = tag, *found[parent, word + 1 :]
        for n in range(word, 0, -1):
            path[n - 1] = previous[n - 1, path[n]]
        for cost, n, other in _departures(left, path, word, regret, k - rank):
            heappush(waiting, (cost, rank, n, other))
    log_probs = best - np.array(regrets) - chain.sums.total[sentence]
    return Paths(found[1 : 1 + len(regrets)], log_probs)


def _departures(
    left: np.ndarray, path: np.ndarray, word: int, regret: float, k: int
) -> list[tuple[float, int, int]]:
    """The k cheapest (regret, word, tag) of leaving a path ahead of a word, in order."""
    places = np.arange(word)
    leaving = left[places, :, path[1 : word + 1]]
    stayed = leaving[places, path[:word]]
    leaving[places, path[:word]] = -np.inf
    costs = (regret + (stayed[:, None] - leaving)).ravel()
    if k < len(costs):
        places = np.flatnonzero(costs <= np.partition(costs, k)[k])
    else:
        places = np.arange(len(costs))
    places = places[costs[places].argsort(kind="stable")][:k]
    places = places[costs[places] < np.inf]
    words, tags = np.divmod(places, left.shape[1])
    return list(zip(costs[places].tolist(), words.tolist(), tags.tolist(), strict=True))
