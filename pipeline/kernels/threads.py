"""Compiled kernels over the sentences of a batch, on as many threads as it is worth."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Int

WORTH = 3_000_000
"""Multiply-adds a thread: about a millisecond, well above what handing it over costs."""


def over_sentences(
    kernel: Callable[..., None],
    lengths: Int[np.ndarray, " sentences"],
    cost: int,
    threads: int,
    *arguments: Any,
) -> None:
    """Call `kernel(begin, stop, lengths, *arguments)` over all sentences, in runs of equal work.

    `cost` is what a word costs, in multiply-adds. Kernels release the GIL, and each sentence is
    done by itself: the result does not depend on `threads`.
    """
    parts = min(threads, len(lengths))
    if parts > 1:
        parts = min(parts, int(lengths.sum()) * cost // WORTH)
    if parts < 2:
        kernel(0, len(lengths), lengths, *arguments)
        return
    work = np.cumsum(lengths, dtype=np.int64) * cost
    borders = np.searchsorted(work, work[-1] * np.arange(1, parts) / parts)
    runs = zip([0, *borders], [*borders, len(lengths)], strict=True)
    with ThreadPoolExecutor(parts) as pool:
        calls = [pool.submit(kernel, int(a), int(b), lengths, *arguments) for a, b in runs]
    for call in calls:
        call.result()
