"""The steps of an LSTM in both directions on a CPU, compiled: gates, cells, and their gradients.

Float32. At step s direction 0 reads word s of each sentence, direction 1 word lengths - 1 - s; past
a sentence's end both read zeros, and nothing comes of it. The products of matrices between the
steps are the caller's: `table` [2, steps + 1, batch, columns] holds the rows that they multiply,
an input, 1, and the hidden state; `gates` [2, steps, batch, 4 hidden] what they make of them, in
the order of PyTorch: in, forget, new, out. Where no gradient is wanted, these tables may have fewer
steps, and are gone through again and again: what is small stays near the processor.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

compiled: Callable[..., Any] = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract"}
)


@intrinsic
def _as_bits(typing, number):
    """The bits of a float32 as an int32."""
    return types.int32(types.float32), lambda _, b, __, values: b.bitcast(values[0], ir.IntType(32))


@intrinsic
def _from_bits(typing, bits):
    """The float32 of which these are the bits."""
    return types.float32(types.int32), lambda _, b, __, values: b.bitcast(values[0], ir.FloatType())


SINGLE = np.float32
ZERO, ONE, TWO = (SINGLE(number) for number in (0, 1, 2))
LOWEST, HIGHEST = SINGLE(-87), SINGLE(88)
"""Where exp leaves what float32 holds in full."""

PER_TWO = SINGLE(1 / math.log(2))
TWO_HIGH, TWO_LOW = SINGLE(0.693359375), SINGLE(math.log(2) - 0.693359375)
"""log 2 in two parts, the first so short that small multiples of it are exact."""

SHIFT = SINGLE(1.5 * 2**23)
"""What a small number is added to so that its integer part lands in the lowest bits."""

SHIFTED_ONE = np.int32(int(SHIFT.view(np.int32)) - 127)
C2, C3, C4, C5, C6, C7 = (SINGLE(1 / math.factorial(n)) for n in range(2, 8))


@compiled
def _exp(x):
    """exp(x) to a unit in the last place or so: Taylor's series, times a power of two."""
    x = min(max(x, LOWEST), HIGHEST)
    shifted = x * PER_TWO + SHIFT
    power = shifted - SHIFT
    r = x - power * TWO_HIGH - power * TWO_LOW
    series = ((((C7 * r + C6) * r + C5) * r + C4) * r + C3) * r + C2
    bits = _as_bits(shifted)  # pyright: ignore[reportCallIssue]
    raised = np.int32((bits - SHIFTED_ONE) << np.int32(23))
    power = _from_bits(raised)  # pyright: ignore[reportCallIssue]
    return (series * r * r + r + ONE) * power


@compiled
def begin(x, lengths, hidden, table):
    """Fill what no step changes of the table, and its first rows."""
    width = x.shape[2]
    table[:, :, :, width] = ONE
    table[:, :, :, width + 1 + hidden :] = ZERO
    table[:, 0, :, width + 1 : width + 1 + hidden] = ZERO
    for d in range(2):
        for b in range(len(lengths)):
            _read(x[b], 0, d, lengths[b], table[d, 0, b])


@compiled
def _read(words, s, d, length, row):
    """The input of step s in one direction."""
    width = words.shape[1]
    if s < length:
        word = words[s if d == 0 else length - 1 - s]
        for j in range(width):
            row[j] = word[j]
    else:
        for j in range(width):
            row[j] = ZERO


@compiled
def step(s, x, lengths, gates, cells, squashed, table, out):
    """From products to gates, in place; cells, hidden states and inputs of the step after s.

    `cells` [2, steps + 1, batch, hidden], `squashed` their tanh [2, steps, batch, hidden]; `out`
    [batch, words, 2, hidden] gets the hidden state at each word.
    """
    hidden, width = squashed.shape[3], x.shape[2]
    for d in range(2):
        for b in range(len(lengths)):
            gate, shown = gates[d, s % gates.shape[1], b], squashed[d, s % gates.shape[1], b]
            before, after = cells[d, s % cells.shape[1], b], cells[d, (s + 1) % cells.shape[1], b]
            row = table[d, (s + 1) % table.shape[1], b]
            # Short loops: of one that does it all LLVM makes no vectors.
            new, leave = gate[2 * hidden : 3 * hidden], gate[3 * hidden :]
            for j in range(2 * hidden):
                gate[j] = ONE / (ONE + _exp(-gate[j]))
            for j in range(hidden):
                new[j] = TWO / (ONE + _exp(-TWO * new[j])) - ONE
            for j in range(hidden):
                leave[j] = ONE / (ONE + _exp(-leave[j]))
            state = row[width + 1 : width + 1 + hidden]
            for j in range(hidden):
                cell = gate[hidden + j] * before[j] + gate[j] * gate[2 * hidden + j]
                high = TWO / (ONE + _exp(-TWO * cell)) - ONE
                after[j], shown[j], state[j] = cell, high, gate[3 * hidden + j] * high
            if s < lengths[b]:
                told = out[b, s if d == 0 else lengths[b] - 1 - s, d]
                for j in range(hidden):
                    told[j] = state[j]
            if s + 1 < x.shape[1]:
                _read(x[b], s + 1, d, lengths[b], row)


@compiled
def step_back(s, lengths, gates, cells, squashed, given, onward, drift):
    """From gates to the gradients of the products of step s, in place.

    `given` [batch, words, 2, hidden] is the gradient of `out`; `onward` and `drift` [2, batch,
    hidden] those of the hidden state and of the cells after step s, the latter moved on to those
    before it.
    """
    hidden = squashed.shape[3]
    for d in range(2):
        for b in range(len(lengths)):
            along, moved = onward[d, b], drift[d, b]
            if s >= lengths[b]:
                gates[d, s, b] = ZERO
                continue
            if s == lengths[b] - 1:
                along[:] = ZERO
                moved[:] = ZERO
            gate, before, shown = gates[d, s, b], cells[d, s, b], squashed[d, s, b]
            outward = given[b, s if d == 0 else lengths[b] - 1 - s, d]
            for j in range(hidden):
                enter, keep = gate[j], gate[hidden + j]
                new, leave = gate[2 * hidden + j], gate[3 * hidden + j]
                state = outward[j] + along[j]
                cell = moved[j] + state * leave * (ONE - shown[j] * shown[j])
                gate[j] = cell * new * enter * (ONE - enter)
                gate[hidden + j] = cell * before[j] * keep * (ONE - keep)
                gate[2 * hidden + j] = cell * enter * (ONE - new * new)
                gate[3 * hidden + j] = state * shown[j] * leave * (ONE - leave)
                moved[j] = cell * keep


@compiled
def gather(sides, lengths, x):
    """The gradient of x [batch, words, width]: the sum of `sides` [2, steps, batch, width]."""
    batch, words, width = x.shape
    for b in range(batch):
        for word in range(words):
            row = x[b, word]
            if word >= lengths[b]:
                row[:] = ZERO
                continue
            ahead, behind = sides[0, word, b], sides[1, lengths[b] - 1 - word, b]
            for j in range(width):
                row[j] = ahead[j] + behind[j]
