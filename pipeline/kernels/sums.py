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

from pipeline.kernels import gradients, sweeps
from pipeline.kernels.memory import aligned
from pipeline.kernels.threads import over_sentences
from pipeline.kernels.vectors import padded


class Sums(NamedTuple):
    """What a run found. Sentences that are not `exact` have no numbers worth reading."""

    log_partition: Float[np.ndarray, " sentences"]
    exact: Bool[np.ndarray, " sentences"]
    log_marginals: Float[np.ndarray, "rows tags"]
    """log p(tag n = t) in the type of `rows`; -inf where impossible, 0 at padding."""


class Gradients(NamedTuple):
    """Of each sentence by itself: a value, and its gradients.

    0 where it is not `exact`; those of rows that are no words are any.
    """

    value: Float[np.ndarray, " sentences"]
    exact: Bool[np.ndarray, " sentences"]
    emissions: Float[np.ndarray, "rows tags"]
    pairs: Float[np.ndarray, "rows_of_sentences columns"]
    """With respect to transitions: a row for each tag of each sentence; 0 beyond the tags."""


class Pieces(NamedTuple):
    """What gradients of log-marginals are made of, words packed.

    0 beyond the tags and where a run was not exact.

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
    pieces = Pieces(*aligned(4, words, padded(tags)))
    over_sentences(
        sweeps.forward_backward, lengths, tags * tags, threads,
        rows, first, _packed(lengths), transitions, start[None], end[None], logs, keep,
        *found, *pieces,
    )  # fmt: skip
    return found, pieces


def differentiate(
    rows: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    transitions: Float[np.ndarray, "tags tags"],
    start: Float[np.ndarray, " tags"],
    end: Float[np.ndarray, " tags"],
    path: Int[np.ndarray, " rows"] | None = None,
    *,
    threads: int = 1,
) -> Gradients:
    """log Z of every sentence, less the score of its path if one is given, with gradients.

    IndexError for a tag of the path that does not exist.
    """
    count, tags = len(first), rows.shape[1]
    pairs = np.empty((count * tags, padded(tags)))
    value, exact = np.empty(count), np.empty(count, dtype=np.bool_)
    found = Gradients(value, exact, np.empty_like(rows), pairs)
    over_sentences(
        sweeps.differentiate, lengths, 3 * tags * tags, threads,
        rows, first, transitions, start[None], end[None], *found,
    )  # fmt: skip
    if path is None:
        return found
    score = scores(rows, first, lengths, transitions, start, end, path)
    gradients.subtract_path(found.emissions, pairs, first, lengths, path)
    with np.errstate(invalid="ignore"):  # -inf from -inf where every path is forbidden
        return found._replace(value=found.value - score)


def weigh(
    found: Gradients,
    weights: Float[np.ndarray, " sentences"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of Σ weight · value: emissions [rows, tags], transitions, start, end.

    Sentences lie in order.
    """
    emissions, tags = np.empty_like(found.emissions), found.emissions.shape[1]
    total = np.zeros((tags, padded(tags)))
    gradients.weigh(weights, first, lengths, found.emissions, found.pairs, emissions, total)
    return emissions, total[:, :tags], *edges(emissions, first, lengths)


def edges(
    emissions: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
) -> tuple[Float[np.ndarray, " tags"], Float[np.ndarray, " tags"]]:
    """Gradients of start and end, given those of emissions: summed over first and last words."""
    starts, ends = np.zeros((2, emissions.shape[1]))
    gradients.edges(first, lengths, emissions, starts, ends)
    return starts, ends


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
    left, right = aligned(2, *pieces.before.shape)
    over_sentences(
        gradients.tangents, lengths, weights.shape[1] ** 2, threads,
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
    if not gradients.scores(rows, first, lengths, transitions, start, end, path, found):
        raise IndexError(f"path: expected tags from 0 to {rows.shape[1] - 1} at words")
    return found


def highest(scores: Float[np.ndarray, "..."]) -> float:
    """What is taken off before exp: the largest, or 0 where all are -inf."""
    most = float(scores.max())
    return most if most > -np.inf else 0.0


def _packed(lengths: Int[np.ndarray, " sentences"]) -> Int[np.ndarray, " sentences"]:
    """Where each sentence begins among all words."""
    return lengths.cumsum() - lengths
