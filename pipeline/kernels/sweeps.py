"""The loops behind sums.py: over sentences, words and, by vectors, tags."""

import numpy as np

from pipeline.kernels.entries import exp_below, log_product, multiply, scale
from pipeline.kernels.matrices import outer_sum, sum_product
from pipeline.kernels.vectors import allocating, as_bits, from_bits, largest, plain

BUILT_FROM = "57f83dcd"
"""Of what this imports: numba keeps what it compiled until this file changes, so this must."""

REACH = 1e130
"""Where ends outgrow it, what underflowed might count; below, it is under 1e-170 of the sum."""

UNDER = 2.0**-550
"""More than a tag's share of beginnings may lose at one word, when these are at most 2^462: exp
gives up at e^-708."""

NOTHING = 2.0**-60
"""Of a sum: what may be lost."""

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
def factors(transitions):
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
    forward, backward, highest = factors(transitions)
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
    tags, growth = rows.shape[1], _growth(forward)
    for sentence in range(begin, stop):
        top, length = first[sentence], lengths[sentence]
        base = packed[sentence] if keep else 0
        scale_of, lost = _beginnings(rows, top, base, length, forward, begun, growth, before, steps)
        total = _turn(before, base + length - 1, ended, after)
        log_partition[sentence] = edges + highest * (length - 1) + scale_of + np.log(total)
        exact[sentence] = total > 0.0 and lost < NOTHING * total
        if exact[sentence] and not logs and not keep:
            continue
        if keep:
            clear(onward, base + length - 1, base + length)
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
            clear(before, base, base + length)
            clear(onward, base, base + length)
            clear(follows, base, base + length)
            clear(steps, base, base + length)


@plain
def _growth(forward):
    """At most so many times as large do beginnings get from one word to the next."""
    most = 1.0
    for row in range(forward.shape[0]):
        total = 0.0
        for column in range(forward.shape[1]):
            total += forward[row, column]
        most = max(most, total)
    return most


@plain
def _beginnings(rows, top, base, length, forward, begun, growth, before, steps):
    """Steps and scaled beginnings of a sentence from row `base` on.

    Returns the logarithm of what the last ones are to be multiplied with, and at most how much of
    them underflowed.
    """
    # All words before the first exp: a load that waits for a narrower store costs more.
    for n in range(length):
        copy(rows, top + n, steps, base + n, -np.inf)
    heights, powers, lost = 0.0, 0, 0.0
    for n in range(length):
        here = base + n
        most = largest(steps, here)
        most = most if most > -np.inf else 0.0
        heights += most
        exp_below(steps, here, steps, here, steps, here, most)
        if n == 0:
            multiply(before, here, steps, here, begun, 0, LIFT)
            lost = UNDER * rows.shape[1]
            continue
        # The scale of the word before: its own would have to wait for its own sum.
        power = (as_bits(largest(before, here - 1)) >> 52) - 1023 - LIFTED
        power = min(max(power, -1000), 1000)
        powers += power
        shrink = from_bits((1023 - power) << 52)
        lost = (lost * shrink + UNDER * rows.shape[1]) * growth
        scale(steps, here, steps, here, steps, here, shrink)
        sum_product(before, here - 1, forward, before, here)
        multiply(before, here, before, here, steps, here, 1.0)
    return heights + (powers - LIFTED) * np.log(2.0), lost


@plain
def _turn(before, last, ended, after):
    """The sum over all paths, still scaled; ends at the last word, over that sum."""
    multiply(after, 0, before, last, ended, 0, 1.0)
    total = total_of(after)
    scale(after, 0, ended, 0, ended, 0, 1.0 / total)
    return total


@allocating
def differentiate(
    begin, stop, lengths, rows, first, transitions, start, end,
    log_partition, exact, emissions, pairs,
):  # fmt: skip
    """log Z and, of each sentence's, the gradients: marginals and expected transitions."""
    forward, backward, highest = factors(transitions)
    width = forward.shape[1]
    begun, ended, after = np.zeros((1, width)), np.zeros((1, width)), np.zeros((1, width))
    edges = _raise(start, begun) + _raise(end, ended)
    longest = lengths[begin:stop].max() if stop > begin else 0
    before, onward = np.zeros((longest, width)), np.zeros((longest, width))
    steps, line, counts = np.zeros((longest, width)), np.zeros((1, width)), np.zeros((width, width))
    _differentiate(
        begin, stop, lengths, rows, first, forward, backward, begun, ended, highest, edges, after,
        line, before, onward, steps, counts, log_partition, exact, emissions, pairs,
    )  # fmt: skip


@plain
def _differentiate(
    begin, stop, lengths, rows, first, forward, backward, begun, ended, highest, edges, after,
    line, before, onward, steps, counts, log_partition, exact, emissions, pairs,
):  # fmt: skip
    """`differentiate` with tables of its own, which stay in the cache."""
    tags = rows.shape[1]
    for sentence in range(begin, stop):
        top, length = first[sentence], lengths[sentence]
        scale_of, _ = _beginnings(rows, top, 0, length, forward, begun, 1.0, before, steps)
        total = _turn(before, length - 1, ended, after)
        log_partition[sentence] = edges + highest * (length - 1) + scale_of + np.log(total)
        furthest = 0.0
        for n in range(length - 1, -1, -1):
            if n < length - 1:
                multiply(onward, n, steps, n + 1, after, 0, 1.0)
                sum_product(onward, n, backward, after, 0)
            height = largest(after, 0)
            furthest = furthest if height < furthest else height
            multiply(line, 0, before, n, after, 0, 1.0)
            for tag in range(tags):
                emissions[top + n, tag] = line[0, tag]
        exact[sentence] = total > 0.0 and furthest < REACH
        if exact[sentence]:
            outer_sum(before, onward, length - 1, counts)
            for tag in range(tags):
                multiply(pairs, sentence * tags + tag, counts, tag, forward, tag, 1.0)
        else:
            clear(pairs, sentence * tags, (sentence + 1) * tags)
            clear(emissions, top, top + length)


@plain
def copy(rows, row, out, place, beyond):
    """A row into a wider one."""
    for column in range(rows.shape[1]):
        out[place, column] = rows[row, column]
    for column in range(rows.shape[1], out.shape[1]):
        out[place, column] = beyond


@plain
def clear(rows, first, stop):
    """Rows of zeros."""
    for row in range(first, stop):
        for column in range(rows.shape[1]):
            rows[row, column] = 0.0


@plain
def total_of(line):
    """The sum of a line."""
    total = 0.0
    for column in range(line.shape[1]):
        total += line[0, column]
    return total


@plain
def add(line, found, row):
    """Add a wider line to a row."""
    for column in range(found.shape[1]):
        found[row, column] += line[0, column]
