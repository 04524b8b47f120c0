"""A convolution over the characters of words and its maximum, on a CPU, compiled. Float32.

What a character adds to its neighbours' places is looked up, not multiplied out: `table`
[characters, taps, width] holds it for each tap of the convolution, zero for padding, which is
character 0 and stands behind a word. A word's vector is the maximum over its characters, so the
gradient of each entry has one place, and that place is all that is kept.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

compiled: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")

ZERO = np.float32(0)


@compiled
def forward(words, table, highest, places):
    """Fill `highest` and `places` [words, width]: the maximum over characters, and where it is.

    `words` [words, longest] holds at least one character a word; the first of equals counts.
    """
    _, taps, width = table.shape
    count, longest = words.shape
    found = np.empty(width, dtype=np.float32)
    for n in range(count):
        best, place = highest[n], places[n]
        for at in range(longest):
            if words[n, at] == 0:
                break
            found[:] = ZERO
            for tap in range(taps):
                beside = at + tap - taps // 2
                if 0 <= beside < longest:
                    added = table[words[n, beside], tap]
                    for j in range(width):
                        found[j] += added[j]
            for j in range(width):
                higher = at == 0 or found[j] > best[j]
                best[j] = found[j] if higher else best[j]
                place[j] = at if higher else place[j]


@compiled
def backward(words, places, given, table):
    """Add to `table` [characters, taps, width] the gradient that `given` [words, width] brings."""
    _, taps, width = table.shape
    count, longest = words.shape
    for n in range(count):
        for j in range(width):
            for tap in range(taps):
                beside = places[n, j] + tap - taps // 2
                # What padding adds is zero and stays so.
                if 0 <= beside < longest and words[n, beside] != 0:
                    table[words[n, beside], tap, j] += given[n, j]
