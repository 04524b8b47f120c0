"""Sums over all paths of a chain on a CPU: scaled forward-backward, compiled, a sentence at a time.

Sentences lie in `rows` [rows, tags]; one has the rows from `first` on, as many as `lengths` says. A
padded batch and a table of words are both that. Scores may be -inf; everything adds up in float64.

The forward pass rescales each word by a power of two, which rounds nothing and needs no logarithm;
the backward pass takes over its scales, so that beginnings times ends are marginals as they stand.
What it cannot do is bring back a tag that fell 1,000 nats behind and proves needed when the others
are forbidden: the ends then grow without bound, `exact` is False, and log_space.py does that
sentence. (Rabiner 1989, §V.A, has the scaling.)
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.kernels import sweeps
from pipeline.kernels.threads import over_sentences
from pipeline.kernels.vectors import LANES, padded


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
    pieces = Pieces(*_tables(4, words, padded(tags)))
    over_sentences(
        sweeps.forward_backward, lengths, tags * tags, threads,
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
    left = _tables(1, *pieces.before.shape)[0]
    over_sentences(
        sweeps.gradients, lengths, found.shape[1], threads,
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
    left, right = _tables(2, *pieces.before.shape)
    over_sentences(
        sweeps.tangents, lengths, weights.shape[1] ** 2, threads,
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
    if not sweeps.scores(rows, first, lengths, transitions, start, end, path, found):
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
    sweeps.subtract_path(weights, found, first, lengths, path, pairs, start, end)
    return pairs, start, end


def highest(scores: Float[np.ndarray, "..."]) -> float:
    """What is taken off before exp: the largest, or 0 where all are -inf."""
    most = float(scores.max())
    return most if most > -np.inf else 0.0


def _tables(count: int, rows: int, columns: int) -> list[np.ndarray]:
    """Tables whose rows begin where vectors of 64 bytes do.

    Products of matrices round as their rows lie: elsewhere, equal runs would differ in last bits.
    One block for all: where it is large, the system grants it in large pages.
    """
    size = count * rows * columns
    block = np.empty(size + LANES)
    first = -block.ctypes.data % (8 * LANES) // 8
    return list(block[first : first + size].reshape(count, rows, columns))


def _packed(lengths: Int[np.ndarray, " sentences"]) -> Int[np.ndarray, " sentences"]:
    """Where each sentence begins among all words."""
    return lengths.cumsum() - lengths
