"""The loops behind sums.py: over sentences, words and, by vectors, tags."""

import numpy as np

from pipeline.kernels.entries import (
    add_product,
    add_scaled,
    divide,
    exp_below,
    log_product,
    multiply,
    scale,
)
from pipeline.kernels.vectors import (
    allocating,
    as_bits,
    from_bits,
    largest,
    plain,
    sum_product,
)

BUILT_FROM = "c9c10919"
"""Of what this imports: numba keeps what it compiled until this file changes, so this must."""

REACH = 1e130
"""Where ends outgrow it, what underflowed might count; below, it is under 1e-170 of the sum."""

LIFTED = 460
LIFT = 2.0**LIFTED
"""About what beginnings are held at: float64 goes further down from here than from 1."""


@allocating
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


@allocating
def _factors(transitions):
    """exp(transitions) as `sum_product` reads them, the same transposed, and what was taken off."""
    tags = len(transitions)
    height, width = tags + tags % 2, (tags + 7) // 8 * 8
    forward, backward = np.zeros((height, width)), np.zeros((height, width))
    highest = _raise(transitions, forward)
    backward[:tags, :tags] = forward[:tags, :tags].T
    return forward, backward, highest


@allocating
def forward_backward(
    begin, stop, lengths, rows, first, packed, transitions, start, end, logs, keep,
    log_partition, exact, log_marginals, before, onward, follows, steps,
):  # fmt: skip
    """log Z, whether it is exact, and what `logs` and `keep` ask for."""
    forward, backward, highest = _factors(transitions)
    width = forward.shape[1]
    begun, ended = np.zeros((1, width)), np.zeros((1, width))
    after, line = np.zeros((1, width)), np.zeros((1, width))
    edges = _raise(start, begun) + _raise(end, ended)
    if not keep:
        longest = lengths[begin:stop].max() if stop > begin else 0
        before, steps = np.zeros((longest, width)), np.zeros((longest, width))
        onward = np.zeros((1, width))
    _fill(
        begin, stop, lengths, rows, first, packed, forward, backward, begun, ended,
        highest, edges, logs, keep, after, line,
        log_partition, exact, log_marginals, before, onward, follows, steps,
    )  # fmt: skip


@plain
def _fill(
    begin, stop, lengths, rows, first, packed, forward, backward, begun, ended,
    highest, edges, logs, keep, after, line,
    log_partition, exact, log_marginals, before, onward, follows, steps,
):  # fmt: skip
    """The sums of every sentence."""
    tags = rows.shape[1]
    for sentence in range(begin, stop):
        top, length = first[sentence], lengths[sentence]
        base = packed[sentence] if keep else 0
        log_partition[sentence] = edges + highest * (length - 1)
        # All words before the first exp: a load that waits for a narrower store costs more.
        for n in range(length):
            _copy(rows, top + n, steps, base + n, -np.inf)
        powers = 0
        for n in range(length):
            here = base + n
            most = largest(steps, here)
            most = most if most > -np.inf else 0.0
            log_partition[sentence] += most
            exp_below(steps, here, steps, here, steps, here, most)
            if n == 0:
                multiply(before, here, steps, here, begun, 0, LIFT)
                continue
            # The scale of the word before: its own would have to wait for its own sum.
            power = (as_bits(largest(before, here - 1)) >> 52) - 1023 - LIFTED
            power = min(max(power, -1000), 1000)
            powers += power
            scale(steps, here, steps, here, steps, here, from_bits((1023 - power) << 52))
            sum_product(before, here - 1, forward, before, here)
            multiply(before, here, before, here, steps, here, 1.0)
        multiply(after, 0, before, base + length - 1, ended, 0, 1.0)
        total = _sum(after)
        log_partition[sentence] += np.log(total) + (powers - LIFTED) * np.log(2.0)
        scale(after, 0, ended, 0, ended, 0, 1.0 / total)
        if keep:
            _clear(onward, base + length - 1, base + length)
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
                for tag in range(tags):
                    log_marginals[top + n, tag] = line[0, tag]
        exact[sentence] = total > 0.0 and furthest < REACH
        if keep and not exact[sentence]:
            _clear(before, base, base + length)
            _clear(onward, base, base + length)
            _clear(follows, base, base + length)
            _clear(steps, base, base + length)


@plain
def _copy(rows, row, out, place, beyond):
    """A row into a wider one."""
    for column in range(rows.shape[1]):
        out[place, column] = rows[row, column]
    for column in range(rows.shape[1], out.shape[1]):
        out[place, column] = beyond


@plain
def _clear(rows, first, stop):
    for row in range(first, stop):
        for column in range(rows.shape[1]):
            rows[row, column] = 0.0


@plain
def _sum(line):
    total = 0.0
    for column in range(line.shape[1]):
        total += line[0, column]
    return total


@plain
def _add(line, found, row):
    """Add a wider line to a row."""
    for column in range(found.shape[1]):
        found[row, column] += line[0, column]


@allocating
def gradients(begin, stop, lengths, weights, first, packed, before, after, found, left):
    """Weighted beginnings, and marginals added to what was found."""
    line = np.zeros((1, before.shape[1]))
    _weigh(begin, stop, lengths, weights, first, packed, before, after, line, found, left)


@plain
def _weigh(begin, stop, lengths, weights, first, packed, before, after, line, found, left):
    """`gradients` with a line of its own."""
    for sentence in range(begin, stop):
        for n in range(lengths[sentence]):
            here = packed[sentence] + n
            scale(left, here, before, here, before, here, weights[sentence])
            multiply(line, 0, left, here, after, here, 1.0)
            _add(line, found, first[sentence] + n)


@allocating
def tangents(
    begin, stop, lengths, weights, first, packed, transitions,
    before, onward, after, steps, found, left, right,
):  # fmt: skip
    """How beginnings and ends move along a direction, and what that adds to gradients."""
    forward, backward, _ = _factors(transitions)
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
            _copy(weights, top + n, line, 0, 0.0)
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
        drift = _sum(carried)
        _clear(carried, 0, 1)
        _clear(right, last, last + 1)
        for n in range(length - 1, -1, -1):
            here = base + n
            if n < length - 1:
                multiply(right, here, steps, here + 1, carried, 0, 1.0)
                add_product(right, here, onward, here, along, n + 1, 1.0)
                sum_product(right, here, backward, carried, 0)
            add_scaled(left, here, before, here, before, here, -drift)
            multiply(line, 0, left, here, after, here, 1.0)
            add_product(line, 0, before, here, carried, 0, 1.0)
            _add(line, found, top + n)


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
def subtract_path(weights, found, first, lengths, path, pairs, start, end):
    """Take one path a sentence, times its weight, off all gradients."""
    for sentence in range(len(first)):
        top, stop, weight = first[sentence], first[sentence] + lengths[sentence], weights[sentence]
        start[path[top]] -= weight
        end[path[stop - 1]] -= weight
        for here in range(top, stop):
            found[here, path[here]] -= weight
        for here in range(top + 1, stop):
            pairs[path[here - 1], path[here]] -= weight
