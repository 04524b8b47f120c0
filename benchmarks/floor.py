"""The floor: words × tags² pairs at the rate that a plain compiled loop reaches on this machine.

A pair is a (max, add) or a multiply-add with one entry of the transitions. The loops are a forward
pass without anything else, on 64 tags that stay in the nearest cache, four predecessors at a time
so that sums are not stored after each, compiled by numba, which turns them into vector
instructions of its own choice.
"""

import time

import numba
import numpy as np

TAGS = 64
STEPS = 1_000
PASSES = {"viterbi": 1, "k-best": 1, "marginals": 2, "NLL": 3}
"""How often an operation must go over words × tags²: forward; and backward; and once more for the
expected transitions in the gradient."""


@numba.njit(fastmath=True)
def _max_adds(before, factors, out):
    for step in range(STEPS):
        out[:] = before[step % TAGS]
        for i in range(0, TAGS, 4):
            one, two, three, four = before[i], before[i + 1], before[i + 2], before[i + 3]
            for j in range(TAGS):
                low = max(one + factors[i, j], two + factors[i + 1, j])
                high = max(three + factors[i + 2, j], four + factors[i + 3, j])
                out[j] = max(out[j], max(low, high))


@numba.njit(fastmath=True)
def _multiply_adds(before, factors, out):
    for step in range(STEPS):
        out[:] = before[step % TAGS]
        for i in range(0, TAGS, 4):
            one, two, three, four = before[i], before[i + 1], before[i + 2], before[i + 3]
            for j in range(TAGS):
                low = one * factors[i, j] + two * factors[i + 1, j]
                out[j] += low + three * factors[i + 2, j] + four * factors[i + 3, j]


LOOPS = {"max-adds": _max_adds, "multiply-adds": _multiply_adds}


class Rates:
    """Pairs a second, the best of many turns; `turn` is called in between other measurements."""

    def __init__(self) -> None:
        self.best = {
            (kind, dtype): 0.0 for dtype in ("float32", "float64") for kind in LOOPS
        }  # fmt: skip
        self.turn()
        self.best = dict.fromkeys(self.best, 0.0)

    def turn(self) -> None:
        """Measure once more."""
        random = np.random.default_rng(0)
        for kind, dtype in self.best:
            before, out = random.random(TAGS).astype(dtype), np.empty(TAGS, dtype)
            factors = random.random((TAGS, TAGS)).astype(dtype)
            begun = time.process_time()
            LOOPS[kind](before, factors, out)
            rate = STEPS * TAGS * TAGS / (time.process_time() - begun)
            self.best[kind, dtype] = max(rate, self.best[kind, dtype])

    def milliseconds(self, operation: str, words: int, tags: int, dtype: str) -> float:
        """The floor of an operation on sentences with so many words in all."""
        kind = "max-adds" if operation in ("viterbi", "k-best") else "multiply-adds"
        return 1e3 * PASSES[operation] * words * tags**2 / self.best[kind, dtype]
