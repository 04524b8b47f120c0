"""Times of things that do the same, taken in turn, so that a busy machine slows all alike."""

import gc
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Timed = Callable[[], Any]
Clock = Callable[[], float]
QUICK = 0.1
"""Seconds: what takes less is run twice a turn, and the second time counts."""


class Times(NamedTuple):
    """Milliseconds of one thing's repetitions."""

    median: float
    low: float
    """The 20th percentile: what an idle machine would give, nearly."""
    repetitions: int


def in_turn(
    things: dict[str, Timed], rounds: int, patience: float, clock: Clock = time.perf_counter
) -> dict[str, Times]:
    """Every thing once a round, in another order each time; what is slow drops out.

    That is after `patience` seconds of its own, but after three turns at least, two where these
    alone take twice as long. Whatever ran before leaves caches and allocator in another state:
    hence the order, and the first call of a turn, which does not count.

    `clock` is the one on the wall unless told. `time.process_time` counts computing on all threads:
    other programs' turns, which come every few milliseconds, add to what takes longer than that,
    seldom to what is short. It is not for what waits for a disk or a GPU.
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
                taken[name].append(_turn(things[name], clock))
    gc.enable()
    return {name: _summary(seconds) for name, seconds in taken.items()}


def _turn(thing: Timed, clock: Clock) -> float:
    first = _seconds(thing, clock)
    return _seconds(thing, clock) if first < QUICK else first


def _seconds(thing: Timed, clock: Clock) -> float:
    begun = clock()
    thing()
    return clock() - begun


def _summary(seconds: list[float]) -> Times:
    milliseconds = 1e3 * np.array(seconds)
    low = np.percentile(milliseconds, 20, method="lower")
    return Times(float(np.median(milliseconds)), float(low), len(seconds))
