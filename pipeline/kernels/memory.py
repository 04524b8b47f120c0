"""Memory for tables that come and go with every batch: aligned, and kept by the process.

The C library of Linux hands large freed blocks back to the system, which grants new ones page by
page, zeroed: for a batch of sentences that takes as long as all sums over their paths. It stops
doing so for blocks up to the size of the largest that has come and gone (at most 32 MiB), so one
comes and goes here. None of its pages is touched.
"""

import numpy as np

from pipeline.kernels.vectors import LANES

_passing = np.empty(31 << 20, dtype=np.uint8)
del _passing


def aligned(count: int, rows: int, columns: int) -> list[np.ndarray]:
    """Tables of float64 whose rows begin where vectors of 64 bytes do; any values.

    Products of matrices round as their rows lie: elsewhere, equal runs would differ in last bits.
    One block for all: where it is large, the system grants it in large pages.
    """
    size = count * rows * columns
    block = np.empty(size + LANES)
    first = -block.ctypes.data % (8 * LANES) // 8
    return list(block[first : first + size].reshape(count, rows, columns))
