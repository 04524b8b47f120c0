"""Sums over all paths of a chain on a CPU: scaled forward-backward, compiled, a sentence at a time.

Sentences lie in `rows` [rows, tags]; one has the rows from `first` on, as many as `lengths` says. A
padded batch and a table of words are both that. Scores may be -inf; everything adds up in float64.

The forward pass rescales each word by a power of two, which rounds nothing and needs no logarithm;
the backward pass takes over its scales, so that beginnings times ends are marginals as they stand.
What it cannot do is bring back a tag that fell 700 nats behind and proves needed when the others
are forbidden: the ends then grow without bound, `exact` is False, and log_space.py does that
sentence. (Rabiner 1989, §V.A, has the scaling.)
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from pipeline.kernels.threads import over_sentences
from pipeline.kernels.vectors import (
    add_product,
    add_scaled,
    as_bits,
    divide,
    exp_below,
    from_bits,
    largest,
    log_product,
    multiply,
    padded,
    scale,
    sum_product,
)

REACH = 1e130
"""Where ends outgrow it, what underflowed might count; below, it is under 1e-170 of the sum."""


class Sums(NamedTuple):
    """What a run found. Sentences that are not `exact` have no numbers worth reading."""

    log_partition: Float[np.ndarray, " sentences"]
    exact: Bool[np.ndarray, " sentences"]
    log_marginals: Float[np.ndarray, "rows tags"]
    """log p(tag n = t) in the type of `rows`; -inf where impossible, 0 at padding."""


class Pieces(NamedTuple):
    """What gradients are made of, words packed; 0 beyond the tags and where a run was not exact.

    before(n, i): the scaled sum over all beginnings that end with tag i at word n. onward(n, j):
    that over all ends that begin with tag j at word n + 1, such that before(n, i)
    exp(transition(i, j)) onward(n, j) / exp(the highest transition) is p(tag n = i, tag n + 1 = j).
    after(n, i): that over all that may follow tag i at word n; before · after are the marginals.
    steps(n, j): exp(emission) over the word's scale.
    """

    before: Float[np.ndarray, "words columns"]
    onward: Float[np.ndarray, "words columns"]
    after: Float[np.ndarray, "words columns"]
    steps: Float[np.ndarray, "words columns"]


def run(
    rows: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    transitions: Float[np.ndarray, "tags tags"],
    start: Float[np.ndarray, " tags"],
    end: Float[np.ndarray, " tags"],
    *,
    logs: bool = False,
    keep: bool = False,
    threads: int = 1,
) -> tuple[Sums, Pieces]:
    """log Z of every sentence; with `logs` the log-marginals, with `keep` the pieces, too."""
    count, tags = rows.shape
    found = Sums(
        np.empty(len(first)),
        np.empty(len(first), dtype=np.bool_),
        np.zeros((count if logs else 0, tags), dtype=rows.dtype),
    )
    words = int(lengths.sum()) if keep else 0
    pieces = Pieces(*(np.empty((words, padded(tags))) for _ in range(4)))
    over_sentences(
        _forward_backward, lengths, tags * tags, threads,
        rows, first, _packed(lengths), transitions, start[None], end[None], logs, keep,
        *found, *pieces,
    )  # fmt: skip
    return found, pieces


def gradients(
    pieces: Pieces,
    weights: Float[np.ndarray, " sentences"],
    found: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    *,
    threads: int = 1,
) -> Float[np.ndarray, "words columns"]:
    """Of Σ weight · log Z: adds those with respect to emissions to `found`; returns `before` times
    the weights, of which leftᵀ · onward, times the factors, are those with respect to transitions.
    """
    left = np.empty(pieces.before.shape)
    over_sentences(
        _gradients, lengths, found.shape[1], threads,
        weights, first, _packed(lengths), pieces.before, pieces.after, found, left,
    )  # fmt: skip
    return left


def tangents(
    pieces: Pieces,
    weights: Float[np.ndarray, "rows tags"],
    found: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    transitions: Float[np.ndarray, "tags tags"],
    *,
    threads: int = 1,
) -> tuple[Float[np.ndarray, "words columns"], Float[np.ndarray, "words columns"]]:
    """Of Σ weight · log-marginal: adds those with respect to emissions to `found`; returns left and
    right, of which leftᵀ · onward + beforeᵀ · right are those with respect to transitions.

    Marginals are first derivatives of log Z, so their Jacobian is symmetric, and the product with
    it is the derivative of a run as emissions move along a direction, here weight / marginal. A
    marginal under 1 / REACH passes no gradient on.
    """
    left, right = np.empty(pieces.before.shape), np.empty(pieces.before.shape)
    over_sentences(
        _tangents, lengths, weights.shape[1] ** 2, threads,
        weights, first, _packed(lengths), transitions, *pieces, found, left, right,
    )  # fmt: skip
    return left, right


def scores(
    rows: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    transitions: Float[np.ndarray, "tags tags"],
    start: Float[np.ndarray, " tags"],
    end: Float[np.ndarray, " tags"],
    path: Int[np.ndarray, " rows"],
) -> Float[np.ndarray, " sentences"]:
    """The score of one path a sentence; IndexError for a tag that does not exist."""
    found = np.empty(len(first))
    if not _scores(rows, first, lengths, transitions, start, end, path, found):
        raise IndexError(f"path: expected tags from 0 to {rows.shape[1] - 1} at words")
    return found


def subtract_path(
    weights: Float[np.ndarray, " sentences"],
    found: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    path: Int[np.ndarray, " rows"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Subtract Σ weight · score's gradient from `found`; those of transitions, start and end."""
    tags = found.shape[1]
    pairs, start, end = np.zeros((tags, tags)), np.zeros(tags), np.zeros(tags)
    _subtract_path(weights, found, first, lengths, path, pairs, start, end)
    return pairs, start, end


def highest(scores: Float[np.ndarray, "..."]) -> float:
    """What is taken off before exp: the largest, or 0 where all are -inf."""
    most = float(scores.max())
    return most if most > -np.inf else 0.0


def _packed(lengths: Int[np.ndarray, " sentences"]) -> Int[np.ndarray, " sentences"]:
    """Where each sentence begins among all words."""
    return lengths.cumsum() - lengths


@njit(cache=True, nogil=True, error_model="numpy")
def _raise(scores, out):
    """out = exp(scores - the highest), 0 beyond them; returns the highest, 0 where all are -inf."""
    out[:] = -np.inf
    highest = -np.inf
    for row in range(scores.shape[0]):
        for column in range(scores.shape[1]):
            out[row, column] = scores[row, column]
            highest = max(highest, scores[row, column])
    highest = highest if highest > -np.inf else 0.0
    for row in range(out.shape[0]):
        exp_below(out, row, out, row, out, row, highest)
    return highest


@njit(cache=True, nogil=True, error_model="numpy")
def _factors(transitions):
    """exp(transitions) as `sum_product` reads them, the same transposed, and what was taken off."""
    tags = len(transitions)
    height, width = tags + tags % 2, (tags + 7) // 8 * 8
    forward, backward = np.zeros((height, width)), np.zeros((height, width))
    highest = _raise(transitions, forward)
    backward[:tags, :tags] = forward[:tags, :tags].T
    return forward, backward, highest


@njit(cache=True, nogil=True, error_model="numpy")
def _forward_backward(
    begin, stop, lengths, rows, first, packed, transitions, start, end, logs, keep,
    log_partition, exact, log_marginals, before, onward, follows, steps,
):  # fmt: skip
    forward, backward, highest = _factors(transitions)
    tags, width = rows.shape[1], forward.shape[1]
    begun, ended = np.zeros((1, width)), np.zeros((1, width))
    after, line = np.zeros((1, width)), np.zeros((1, width))
    edges = _raise(start, begun) + _raise(end, ended)
    if not keep:
        longest = lengths[begin:stop].max() if stop > begin else 0
        before, steps = np.zeros((longest, width)), np.zeros((longest, width))
        onward = np.zeros((1, width))
    for sentence in range(begin, stop):
        top, length = first[sentence], lengths[sentence]
        base = packed[sentence] if keep else 0
        log_partition[sentence] = edges + highest * (length - 1)
        # All words before the first exp: a load that waits for a narrower store costs more.
        for n in range(length):
            step, row = steps[base + n], rows[top + n]
            for tag in range(tags):
                step[tag] = row[tag]
            for tag in range(tags, width):
                step[tag] = -np.inf
        powers = 0
        for n in range(length):
            here = base + n
            most = largest(steps, here)
            most = most if most > -np.inf else 0.0
            log_partition[sentence] += most
            exp_below(steps, here, steps, here, steps, here, most)
            if n == 0:
                multiply(before, here, steps, here, begun, 0, 1.0)
                continue
            # The scale of the word before: its own would have to wait for its own sum.
            power = (as_bits(largest(before, here - 1)) >> 52) - 1023
            power = min(max(power, -1000), 1000)
            powers += power
            scale(steps, here, steps, here, steps, here, from_bits((1023 - power) << 52))
            sum_product(before, here - 1, forward, before, here)
            multiply(before, here, before, here, steps, here, 1.0)
        multiply(after, 0, before, base + length - 1, ended, 0, 1.0)
        total = after.sum()
        log_partition[sentence] += np.log(total) + powers * np.log(2.0)
        scale(after, 0, ended, 0, ended, 0, 1.0 / total)
        if keep:
            onward[base + length - 1] = 0.0
        furthest = 0.0
        for n in range(length - 1, -1, -1):
            here = base + n
            if n < length - 1:
                place = here if keep else 0
                multiply(onward, place, steps, here + 1, after, 0, 1.0)
                sum_product(onward, place, backward, after, 0)
            height = largest(after, 0)
            furthest = furthest if height < furthest else height
            if keep:
                scale(follows, here, after, 0, after, 0, 1.0)
            if logs:
                log_product(line, 0, before, here, after, 0, 0.0)
                row = log_marginals[top + n]
                for tag in range(tags):
                    row[tag] = line[0, tag]
        exact[sentence] = total > 0.0 and furthest < REACH
        if keep and not exact[sentence]:
            for part in (before, onward, follows, steps):
                part[base : base + length] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _gradients(
    begin, stop, lengths, weights, first, packed, before, after, found, left
):  # fmt: skip
    line = np.zeros((1, before.shape[1]))
    for sentence in range(begin, stop):
        for n in range(lengths[sentence]):
            here = packed[sentence] + n
            scale(left, here, before, here, before, here, weights[sentence])
            multiply(line, 0, left, here, after, here, 1.0)
            _add(found[first[sentence] + n], line[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _add(row, line):
    for tag in range(len(row)):
        row[tag] += line[tag]


@njit(cache=True, nogil=True, error_model="numpy")
def _tangents(
    begin, stop, lengths, weights, first, packed, transitions,
    before, onward, after, steps, found, left, right,
):  # fmt: skip
    forward, backward, _ = _factors(transitions)
    tags, width = weights.shape[1], forward.shape[1]
    line, carried = np.zeros((1, width)), np.zeros((1, width))
    along = np.zeros((lengths[begin:stop].max() if stop > begin else 0, width))
    for sentence in range(begin, stop):
        top, base, length = first[sentence], packed[sentence], lengths[sentence]
        for n in range(length):
            here, row = base + n, weights[top + n]
            for tag in range(tags):
                line[0, tag] = row[tag]
            multiply(along, n, before, here, after, here, 1.0)
            divide(along, n, line, 0, along, n, 1.0 / REACH)
            if n > 0:
                sum_product(left, here - 1, forward, left, here)
                multiply(left, here, left, here, steps, here, 1.0)
                add_product(left, here, before, here, along, n, 1.0)
            else:
                multiply(left, here, before, here, along, n, 1.0)
        last = base + length - 1
        multiply(carried, 0, left, last, after, last, 1.0)
        drift = carried.sum()
        carried[:] = 0.0
        right[last] = 0.0
        for n in range(length - 1, -1, -1):
            here = base + n
            if n < length - 1:
                multiply(right, here, steps, here + 1, carried, 0, 1.0)
                add_product(right, here, onward, here, along, n + 1, 1.0)
                sum_product(right, here, backward, carried, 0)
            add_scaled(left, here, before, here, before, here, -drift)
            multiply(line, 0, left, here, after, here, 1.0)
            add_product(line, 0, before, here, carried, 0, 1.0)
            _add(found[top + n], line[0])


@njit(cache=True, nogil=True)
def _scores(rows, first, lengths, transitions, start, end, path, found):
    for sentence in range(len(first)):
        top, stop = first[sentence], first[sentence] + lengths[sentence]
        for here in range(top, stop):
            if not 0 <= path[here] < len(start):
                return False
        total = start[path[top]] + end[path[stop - 1]]
        for here in range(top, stop):
            total += rows[here, path[here]]
        for here in range(top + 1, stop):
            total += transitions[path[here - 1], path[here]]
        found[sentence] = total
    return True


@njit(cache=True, nogil=True)
def _subtract_path(weights, found, first, lengths, path, pairs, start, end):
    for sentence in range(len(first)):
        top, stop, weight = first[sentence], first[sentence] + lengths[sentence], weights[sentence]
        start[path[top]] -= weight
        end[path[stop - 1]] -= weight
        for here in range(top, stop):
            found[here, path[here]] -= weight
        for here in range(top + 1, stop):
            pairs[path[here - 1], path[here]] -= weight
