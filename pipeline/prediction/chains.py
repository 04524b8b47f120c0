"""Lattices in NumPy alone: exact probabilities of tags and of stretches of words.

What `pipeline.lattice` computes, for where PyTorch is not installed. Batches are worked through
word by word, all sentences at once, in float64; `paths.py` finds the best paths.

Sums over paths are kept as probabilities that are scaled at each word, so a step is a product of
matrices. What is too unlikely to be held is lost, some 1e-18 of the whole, where all that meets
between two words has, scaled to at most 1 on both sides, a sum above `_HELD`. Where it has not, a
sentence is summed in log space.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

_HELD = 1e-290


class Links(NamedTuple):
    """Scores between tags [from, to], of first tags, of last tags; float64, -inf forbids."""

    between: np.ndarray
    start: np.ndarray
    end: np.ndarray


class Sums(NamedTuple):
    """Of all beginnings that end in (word, tag), and of all ends that follow on it, in nats.

    `forward` [words, tags, batch] has the emission of the word, `backward` has not; any value at
    padding. `total` [batch] is the sum over all paths, -inf where every path is forbidden.
    """

    forward: np.ndarray
    backward: np.ndarray
    total: np.ndarray


def links_of(table: np.ndarray) -> Links:
    """From a table [tags + 2, tags]: the rows of `between`, then `start`, then `end`."""
    rows = table.astype(np.float64)
    return Links(rows[:-2], rows[-2], rows[-1])


@dataclass(frozen=True, eq=False)
class Chain:
    """Scores of all tag sequences of a batch: `emissions` [batch, words, tags], as a `Lattice` has.

    `lengths` [batch] counts words, at least one; what stands at padding counts for nothing.
    """

    emissions: np.ndarray
    links: Links
    lengths: np.ndarray

    @cached_property
    def steps(self) -> np.ndarray:
        """Emissions word by word, [words, tags, batch] float64, 0 at padding."""
        steps = self.emissions.transpose(1, 2, 0).astype(np.float64, order="C")
        steps.transpose(0, 2, 1)[self.padding.T] = 0.0
        return steps

    @cached_property
    def padding(self) -> np.ndarray:
        """[batch, words] bool."""
        return np.arange(self.emissions.shape[1]) >= self.lengths[:, None]

    @cached_property
    def best(self) -> np.ndarray:
        """Of the best beginning up to each (word, tag), its score: [words, tags, batch]."""
        best, between = np.empty_like(self.steps), self.links.between[:, :, None]
        best[0] = self.links.start[:, None] + self.steps[0]
        arriving = np.empty(between.shape[:2] + best.shape[2:])
        for n in range(1, len(best)):
            np.add(best[n - 1, :, None], between, out=arriving)
            np.maximum.reduce(arriving, axis=0, out=best[n])
            best[n] += self.steps[n]
        return best

    @cached_property
    def sums(self) -> Sums:
        """Sums over beginnings and over ends."""
        sums, held = _scaled(self)
        if held.all():
            return sums
        lost = np.flatnonzero(~held)
        for mine, plain in zip(sums, _in_logs(self, lost), strict=True):
            mine[..., lost] = plain
        return sums


def log_marginals(chain: Chain) -> np.ndarray:
    """log p(tag n = t) [batch, words, tags]; 0 at padding, -inf where no allowed path has it."""
    logs = chain.sums.forward + chain.sums.backward - _finite(chain.sums.total)
    return np.where(chain.padding[:, :, None], 0.0, logs.transpose(2, 0, 1))


class Stretches(NamedTuple):
    """Words `first` up to, not including, `end` of a sentence, one stretch an entry; [stretches].

    `before` and `after` [stretches, tags] are True for tags that may stand right beside one; the
    border of a sentence always may.
    """

    sentence: np.ndarray
    first: np.ndarray
    end: np.ndarray
    before: np.ndarray
    after: np.ndarray


def log_probs(chain: Chain, path: np.ndarray, stretches: Stretches) -> np.ndarray:
    """log p(a stretch has the tags of `path` [batch, words], and may stand beside its neighbours).

    Beginnings that lead to the stretch, times the stretch, times the ends that it leads to, by the
    sum over all paths; [stretches].
    """
    sentence, first, end = stretches[:3]
    links, last, sums = chain.links, end - 1, chain.sums
    opening, closing = path[sentence, first], path[sentence, last]
    come = sums.forward[first - 1, :, sentence] + links.between[:, opening].T
    come = np.where(first > 0, _log_sum(come, stretches.before), links.start[opening])
    following = np.minimum(end, path.shape[1] - 1)
    gone = (chain.steps + sums.backward)[following, :, sentence] + links.between[closing]
    at_end = end == chain.lengths[sentence]
    gone = np.where(at_end, links.end[closing], _log_sum(gone, stretches.after))
    return come + _within(chain, path, stretches) + gone - _finite(sums.total)[sentence]


def _within(chain: Chain, path: np.ndarray, stretches: Stretches) -> np.ndarray:
    """The score of a path along each stretch: its emissions, and the transitions between them."""
    sentence, first, end = stretches[:3]
    emitted = np.take_along_axis(chain.steps, path.T[:, None], axis=1)[:, 0]
    added = emitted.copy()
    added[1:] += chain.links.between[path[:, :-1], path[:, 1:]].T
    barred = added == -np.inf
    climbed, bars = np.where(barred, 0.0, added).cumsum(axis=0), barred.cumsum(axis=0)
    here, there = (first, sentence), (end - 1, sentence)
    score = emitted[here] + climbed[there] - climbed[here]
    return np.where(bars[there] > bars[here], -np.inf, score)


def _finite(total: np.ndarray) -> np.ndarray:
    """0 where every path is forbidden, so that -inf less this is still -inf."""
    return np.where(total == -np.inf, 0.0, total)


def _log_sum(scores: np.ndarray, counted: np.ndarray | bool = True) -> np.ndarray:
    """log Σ exp(score) over those counted, along the last axis; -inf of none."""
    scores = np.where(counted, scores, -np.inf)
    most = scores.max(axis=-1, keepdims=True)
    most[most == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        return np.log(np.exp(scores - most).sum(axis=-1)) + most[..., 0]


def _scaled(chain: Chain) -> tuple[Sums, np.ndarray]:
    """Sums by scaled probabilities, and of which sentences they are exact [batch] bool.

    Scales, the maxima that are divided by, add up in logs.
    """
    between, per_step = _exp(chain.links.between, None)
    emitted, tops = _exp(chain.steps, 1)
    start, at_start = _exp(chain.links.start, None)
    end, at_end = _exp(chain.links.end, None)
    words, _, batch = emitted.shape
    last, everyone = chain.lengths - 1, np.arange(batch)
    forward, backward = np.empty_like(emitted), np.empty_like(emitted)
    up, down = np.ones((words, batch)), np.ones((words, batch))
    up[0] = _normalised(start[:, None] * emitted[0], forward[0])
    onward = np.ascontiguousarray(between.T)
    for n in range(1, words):
        up[n] = _normalised((onward @ forward[n - 1]) * emitted[n], forward[n])
    backward[:] = end[:, None]
    for n in range(words - 2, -1, -1):
        ends = between @ (emitted[n + 1] * backward[n + 1])
        if n < chain.lengths.min() - 1:
            down[n] = _normalised(ends, backward[n])
        else:
            among = n < last
            normal = np.empty_like(ends)
            down[n] = np.where(among, _normalised(ends, normal), 1.0)
            backward[n, :, among] = normal[:, among].T
    meeting = (forward * backward).sum(axis=1) * down
    held = ((meeting > _HELD) | chain.padding.T).all(axis=0)
    held &= (forward[0] * backward[0]).sum(axis=0) * up[0] > _HELD
    risen = (np.log(up) + tops[:, 0] + per_step).cumsum(axis=0) + (at_start - per_step)
    fallen = np.where(np.arange(words)[:, None] < last, np.log(down), 0.0)
    fallen[:-1] += np.where(chain.padding.T[1:], 0.0, tops[1:, 0] + per_step)
    fallen = fallen[::-1].cumsum(axis=0)[::-1] + at_end
    with np.errstate(divide="ignore"):
        total = np.log(meeting[last, everyone]) + risen[last, everyone] + at_end
        begun, ended = (np.log(x) + y[:, None] for x, y in ((forward, risen), (backward, fallen)))
    return Sums(begun, ended, total), held


def _exp(scores: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """exp(scores) scaled to at most 1, and the logs of what it was scaled by."""
    most = scores.max(axis=axis, keepdims=axis is not None)
    most = np.where(most == -np.inf, 0.0, most)
    return np.exp(scores - most), most


def _normalised(values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write values [tags, batch] scaled to at most 1; their scales [batch]."""
    most = np.maximum(np.maximum.reduce(values, axis=0), _HELD)
    np.divide(values, most, out=out)
    return most


def _in_logs(chain: Chain, sentences: np.ndarray) -> Sums:
    """The same sums in log space, of some sentences: always right, several times slower."""
    steps, last = chain.steps[:, :, sentences], chain.lengths[sentences] - 1
    between, start, end = chain.links
    forward, backward = np.empty_like(steps), np.empty_like(steps)
    forward[0] = start[:, None] + steps[0]
    backward[:] = end[:, None]
    for n in range(1, len(steps)):
        forward[n] = _log_sum(forward[n - 1].T[:, None] + between.T).T + steps[n]
    for n in range(len(steps) - 2, -1, -1):
        ends = _log_sum((steps[n + 1] + backward[n + 1]).T[:, None] + between).T
        backward[n] = np.where(n < last, ends, backward[n])
    finals = forward[last, :, np.arange(len(last))] + end
    return Sums(forward, backward, _log_sum(finals))
