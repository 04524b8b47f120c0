"""Times of things that do the same, taken in turn, so that a busy machine slows all alike."""

import gc
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Timed = Callable[[], Any]


class Times(NamedTuple):
    """Milliseconds of one thing's repetitions."""

    median: float
    low: float
    """The 20th percentile: what an idle machine would give, nearly."""
    repetitions: int


def in_turn(things: dict[str, Timed], rounds: int, patience: float) -> dict[str, Times]:
    """Every thing once a round; what is slow drops out after `patience` seconds of its own.

    Each takes at least three turns, two where these alone take twice its patience. All have run
    before.
    """
    taken: dict[str, list[float]] = {name: [] for name in things}
    gc.collect()
    gc.disable()
    for number in range(rounds):
        for name, thing in things.items():
            spent = sum(taken[name])
            if number < 2 or spent < patience or (number < 3 and spent < 2 * patience):
                begun = time.perf_counter()
                thing()
                taken[name].append(time.perf_counter() - begun)
    gc.enable()
    return {name: _summary(seconds) for name, seconds in taken.items()}


def _summary(seconds: list[float]) -> Times:
    milliseconds = 1e3 * np.array(seconds)
    low = np.percentile(milliseconds, 20, method="lower")
    return Times(float(np.median(milliseconds)), float(low), len(seconds))
