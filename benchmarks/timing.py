"""Times of things that do the same, taken in turn, so that a busy machine slows all alike."""

import gc
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Timed = Callable[[], Any]
QUICK = 0.1
"""Seconds: what takes less is run twice a turn, and the second time counts."""


class Times(NamedTuple):
    """Milliseconds of one thing's repetitions."""

    median: float
    low: float
    """The 20th percentile: what an idle machine would give, nearly."""
    repetitions: int


def in_turn(things: dict[str, Timed], rounds: int, patience: float) -> dict[str, Times]:
    """Every thing once a round, in another order each time; what is slow drops out.

    That is after `patience` seconds of its own, but after three turns at least, two where these
    alone take twice as long. Whatever ran before leaves caches and allocator in another state:
    hence the order, and the first call of a turn, which does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in things}
    order, chance = list(things), random.Random(0)
    gc.collect()
    gc.disable()
    for number in range(rounds):
        chance.shuffle(order)
        for name in order:
            spent = sum(taken[name])
            if number < 2 or spent < patience or (number < 3 and spent < 2 * patience):
                taken[name].append(_turn(things[name]))
    gc.enable()
    return {name: _summary(seconds) for name, seconds in taken.items()}


def _turn(thing: Timed) -> float:
    first = _seconds(thing)
    return _seconds(thing) if first < QUICK else first


def _seconds(thing: Timed) -> float:
    """Of computing, on all threads: the clock on the wall would add the turns of other programs,
    which come every few milliseconds, to what takes longer than that, and not to what is short."""
    begun = time.process_time()
    thing()
    return time.process_time() - begun


def _summary(seconds: list[float]) -> Times:
    milliseconds = 1e3 * np.array(seconds)
    low = np.percentile(milliseconds, 20, method="lower")
    return Times(float(np.median(milliseconds)), float(low), len(seconds))
