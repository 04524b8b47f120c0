"""A step of AdamW on a CPU, compiled: one pass over a weight, its gradient and its two moments."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

compiled: Callable[..., Any] = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}
)


@compiled
def squares(gradient):
    """The sum of squares of a gradient [numbers], added up in float64."""
    total = 0.0
    for i in range(len(gradient)):
        number = np.float64(gradient[i])
        total += number * number
    return total


@compiled
def update(weight, gradient, first, second, factors, epsilon):
    """Move a weight [numbers] and its moments, all float32, by a gradient.

    `factors`: of the gradient, of the weight before the step, of both moments as they fade, and of
    the step, corrections of the moments included; `epsilon` is corrected, too.
    """
    clipped, kept, slow, slower, rate = factors
    one = np.float32(1)
    for i in range(len(weight)):
        slope = gradient[i] * clipped
        first[i] = first[i] * slow + slope * (one - slow)
        second[i] = second[i] * slower + slope * slope * (one - slower)
        weight[i] = weight[i] * kept - rate * first[i] / (np.sqrt(second[i]) + epsilon)
