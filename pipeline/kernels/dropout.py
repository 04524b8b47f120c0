"""Dropout on a CPU, compiled: each number's fate is a hash of its place and a seed.

So the backward pass needs no mask: it asks again. The hash is Wellons' lowbias32 (2018), a
permutation of 32 bits with hardly any bias.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

compiled: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")

FIRST, SECOND = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
MIDDLE, OUTER = np.uint32(15), np.uint32(16)
ZERO = np.float32(0)


@compiled
def _mixed(bits):
    bits ^= bits >> OUTER
    bits = np.uint32(bits * FIRST)
    bits ^= bits >> MIDDLE
    bits = np.uint32(bits * SECOND)
    return bits ^ (bits >> OUTER)


@compiled
def drop(x, start, stride, gone, scale, out):
    """out = x times scale, or 0 at a share gone / 2^32 of all places.

    `start` and `stride`, which is odd, are the seed.
    """
    for i in range(len(x)):
        bits = _mixed(np.uint32(np.uint32(i) * stride + start))
        out[i] = x[i] * scale if bits >= gone else ZERO
