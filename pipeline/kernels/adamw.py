"""A step of AdamW on a CPU, compiled: one pass over each weight, its gradient and its two moments.

Weights come as the addresses of their float32 numbers: a few microseconds for each array that is
handed over would add up to as much as the pass takes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

compiled: Callable[..., Any] = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}
)


@intrinsic
def _at(typing, address):
    """A pointer to float32 numbers."""
    pointer = types.CPointer(types.float32)
    target = ir.FloatType().as_pointer()
    return pointer(types.int64), lambda _, b, __, values: b.inttoptr(values[0], target)


@compiled
def squares(addresses, sizes):
    """The sum of squares of gradients at `addresses` [weights], added up in float64."""
    total = 0.0
    for n in range(len(sizes)):
        gradient = carray(_at(addresses[n]), sizes[n])  # pyright: ignore[reportCallIssue]
        for i in range(sizes[n]):
            number = np.float64(gradient[i])
            total += number * number
    return total


@compiled
def step(addresses, sizes, factors):
    """Move weights and their moments by gradients, all at `addresses` [4, weights].

    The rows are gradients, weights, first and second moments. `factors` [weights, 6]: of the
    gradient, of the weight before the step, of the moments as they fade, of the step, and epsilon;
    the last two hold the corrections of both moments.
    """
    one = np.float32(1)
    for n in range(len(sizes)):
        clipped, kept, slow, slower, rate, epsilon = factors[n]
        gradient = carray(_at(addresses[0, n]), sizes[n])  # pyright: ignore[reportCallIssue]
        weight = carray(_at(addresses[1, n]), sizes[n])  # pyright: ignore[reportCallIssue]
        first = carray(_at(addresses[2, n]), sizes[n])  # pyright: ignore[reportCallIssue]
        second = carray(_at(addresses[3, n]), sizes[n])  # pyright: ignore[reportCallIssue]
        for i in range(sizes[n]):
            slope = gradient[i] * clipped
            first[i] = first[i] * slow + slope * (one - slow)
            second[i] = second[i] * slower + slope * slope * (one - slower)
            weight[i] = weight[i] * kept - rate * first[i] / (np.sqrt(second[i]) + epsilon)
