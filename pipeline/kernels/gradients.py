"""The loops behind sums.py that make gradients: of weighted sentences, of marginals, of a path."""

import numpy as np

from pipeline.kernels.entries import add_product, add_scaled, divide, multiply
from pipeline.kernels.matrices import sum_product
from pipeline.kernels.sweeps import REACH, add, clear, copy, factors, total_of
from pipeline.kernels.vectors import allocating, plain

BUILT_FROM = "7f3ee5d0"
"""Of what this imports: numba keeps what it compiled until this file changes, so this must."""


@plain
def weigh(weights, first, lengths, emissions, pairs, weighted, total):
    """Gradients of a weighted sum of sentences, which lie in order, from those of each."""
    rows, tags = emissions.shape
    flat, out = emissions.reshape(rows * tags), weighted.reshape(rows * tags)
    done = 0
    for sentence in range(len(first)):
        # A whole sentence in one loop: its rows are too short for vectors.
        weight, begin = weights[sentence], first[sentence] * tags
        out[done:begin] = 0.0
        done = begin + lengths[sentence] * tags
        for place in range(begin, done):
            out[place] = weight * flat[place]
        for tag in range(tags):
            row = sentence * tags + tag
            add_scaled(total, tag, pairs, row, pairs, row, weight)
    out[done:] = 0.0


@plain
def edges(first, lengths, emissions, starts, ends):
    """What first and last words have, summed."""
    for sentence in range(len(first)):
        top, last = first[sentence], first[sentence] + lengths[sentence] - 1
        for tag in range(emissions.shape[1]):
            starts[tag] += emissions[top, tag]
            ends[tag] += emissions[last, tag]


@allocating
def tangents(
    begin, stop, lengths, weights, first, packed, transitions,
    before, onward, after, steps, found, left, right,
):  # fmt: skip
    """How beginnings and ends move along a direction, and what that adds to gradients."""
    forward, backward, _ = factors(transitions)
    longest = lengths[begin:stop].max() if stop > begin else 0
    along, line, carried = (
        np.zeros((longest, forward.shape[1])),
        np.zeros((1, forward.shape[1])),
        np.zeros((1, forward.shape[1])),
    )
    _move(
        begin, stop, lengths, weights, first, packed, forward, backward, along, line, carried,
        before, onward, after, steps, found, left, right,
    )  # fmt: skip


@plain
def _move(
    begin, stop, lengths, weights, first, packed, forward, backward, along, line, carried,
    before, onward, after, steps, found, left, right,
):  # fmt: skip
    """`tangents` with lines of its own."""
    for sentence in range(begin, stop):
        top, base, length = first[sentence], packed[sentence], lengths[sentence]
        for n in range(length):
            here = base + n
            copy(weights, top + n, line, 0, 0.0)
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
        drift = total_of(carried)
        clear(carried, 0, 1)
        clear(right, last, last + 1)
        for n in range(length - 1, -1, -1):
            here = base + n
            if n < length - 1:
                multiply(right, here, steps, here + 1, carried, 0, 1.0)
                add_product(right, here, onward, here, along, n + 1, 1.0)
                sum_product(right, here, backward, carried, 0)
            add_scaled(left, here, before, here, before, here, -drift)
            multiply(line, 0, left, here, after, here, 1.0)
            add_product(line, 0, before, here, carried, 0, 1.0)
            add(line, found, top + n)


@plain
def scores(rows, first, lengths, transitions, start, end, path, found):
    """Scores of one path a sentence; False at a tag that does not exist."""
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


@plain
def subtract_path(emissions, pairs, first, lengths, path):
    """Take the gradient of one path's score off those of each sentence."""
    tags = emissions.shape[1]
    for sentence in range(len(first)):
        top, stop = first[sentence], first[sentence] + lengths[sentence]
        for here in range(top, stop):
            emissions[here, path[here]] -= 1.0
        for here in range(top + 1, stop):
            pairs[sentence * tags + path[here - 1], path[here]] -= 1.0
