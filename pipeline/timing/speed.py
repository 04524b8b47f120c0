"""How fast taggers are on this machine: figures that no later stage may depend on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field

from pipeline.config import settings
from pipeline.timing.clocked import Clocked

Sentences: TypeAlias = Sequence[Sequence[str]]
Calls: TypeAlias = Sequence[Sentences]

BATCH = 32
"""Sentences of a call, where they do not come one at a time."""
_CALLS = 8  # of as many sentences
_WARM_UP = 10  # sentences, some of them at once and all one by one, before a clock starts
_WARM_SECONDS = 0.3
_TURNS = 3
_GOLDEN = 0.6180339887498949


@settings
class Speed:
    """What is timed, and for how long."""

    sentences: Annotated[int, Field(ge=1)] = 100
    """Test sentences that come one at a time, from all corpora; batches are as many as fit."""
    seconds: Annotated[float, Field(gt=0)] = 1.0
    """Of a tagger in each way: a slow one is timed on fewer sentences."""
    over: str | None = None
    """The teacher that `speedup` is over; null: the first of the grid."""
    reference: Literal["bert-base"] | None = "bert-base"
    """A tagger of that size with random weights, timed too; null: none."""


class Way(NamedTuple):
    """How sentences reach a tagger: with so many threads, so many at a time."""

    threads: int
    batch: int


SINGLE, BATCHES = Way(1, 1), Way(1, BATCH)
WAYS = (SINGLE, BATCHES, Way(2, 1), Way(2, BATCH))


@dataclass(frozen=True)
class Timing:
    """Of each call: seconds, sentences and words. A slow tagger did the first of the calls only."""

    seconds: np.ndarray
    sentences: np.ndarray
    words: np.ndarray

    def rates(self) -> dict[str, float]:
        """Sentences and words a second."""
        spent = self.seconds.sum()
        return {
            "sentences_per_second": _rounded(self.sentences.sum() / spent),
            "words_per_second": _rounded(self.words.sum() / spent),
        }

    def speedup(self, other: "Timing") -> float:
        """How many times as fast as another, on the calls that both did."""
        both = min(len(self.seconds), len(other.seconds))
        return _rounded(other.seconds[:both].sum() / self.seconds[:both].sum())

    def latency(self) -> dict[str, float]:
        """Milliseconds of a call: the median, and what one in twenty exceeds."""
        p50, p95 = np.percentile(1000 * self.seconds, [50, 95])
        return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


Timings: TypeAlias = Mapping[Way, Timing]


@dataclass(frozen=True)
class Measured:
    """Of each tagger: its timings, and the most bytes its process held; how busy others were."""

    timings: Mapping[str, Timings]
    memory: Mapping[str, int]
    waited: float
    """Share of the time on one thread in which other programs ran."""


def spread(sentences: Sentences) -> list[Sequence[str]]:
    """The same in an order of which every beginning comes evenly from all of them."""
    places = (_GOLDEN * np.arange(len(sentences))) % 1
    ranks: list[int] = places.argsort(kind="stable").argsort(kind="stable").tolist()
    return [sentences[rank] for rank in ranks]


def measure(processes: Mapping[str, Clocked], sentences: Sentences, settings: Speed) -> Measured:
    """Every tagger in every way, in turns, so that other work slows all alike.

    No call of a way holds a sentence that another did, as long as there are enough. On one thread
    the seconds are those of computing: by the clock on the wall a busy machine would slow long
    calls more than short ones. On two they are those of the wall.
    """
    calls, warm = _calls(sentences, settings.sentences)
    timings: dict[str, dict[Way, Timing]] = {name: {} for name in processes}
    memory: dict[str, int] = {}
    spent = np.zeros(2)
    for way in WAYS:
        for process in processes.values():
            process.use(way.threads)
            # At once first: whatever a first call loads takes none of the others' time.
            process.time([[words for call in warm[:4] for words in call]], _WARM_SECONDS)
            process.time(warm if way.batch == 1 else [], _WARM_SECONDS)
        times = _in_turn(processes, calls[way.batch], settings.seconds)
        for name, both in times.items():
            timings[name][way] = _timing(both[:, 1 if way.threads == 1 else 0], calls[way.batch])
            spent += both.sum(axis=0) if way.threads == 1 else 0
        if way == BATCHES:
            memory = {name: process.peak_memory() for name, process in processes.items()}
    return Measured(timings, memory, round(float(max(0.0, 1 - spent[1] / spent[0])), 3))


def figures(timings: Timings, teacher: Timings, reference: Timings | None = None) -> dict[str, Any]:
    """What metrics/speed.json says of a tagger's time; the keys on top are of one thread."""

    def told(way: Way) -> dict[str, Any]:
        against = {"speedup": timings[way].speedup(teacher[way])}
        if reference is not None:
            against["speedup_over_reference"] = timings[way].speedup(reference[way])
        return {**timings[way].rates(), **against}

    def on(threads: int) -> dict[str, Any]:
        one = Way(threads, 1)
        latency = {"latency_ms": timings[one].latency()}
        return {**told(Way(threads, BATCH)), **latency, "single": told(one)}

    threads = sorted({way.threads for way in WAYS})
    return {**on(1), "threads": {str(number): on(number) for number in threads}}


def _in_turn(
    processes: Mapping[str, Clocked], calls: Calls, seconds: float
) -> dict[str, np.ndarray]:
    """Seconds of calls, by the wall and of computing [calls, 2]; at least one call each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    names = list(processes)
    for turn in range(_TURNS):
        allowed, end = seconds * (turn + 1) / _TURNS, -(-len(calls) * (turn + 1) // _TURNS)
        for name in names[turn:] + names[:turn]:
            done = times[name]
            left = allowed - sum(wall for wall, _ in done)
            if left > 0:
                done += processes[name].time(calls[len(done) : end], left)
    return {name: np.array(done) for name, done in times.items()}


def _calls(sentences: Sentences, singles: int) -> tuple[dict[int, Calls], Calls]:
    """The calls of each batch size, and others to warm up with; in turn from all sentences."""
    if not sentences:
        raise ValueError("expected sentences to time taggers on, found none")
    text = _endless(spread(sentences))
    one = [[next(text)] for _ in range(singles)]
    many = [[next(text) for _ in range(BATCH)] for _ in range(_CALLS)]
    warm = [[next(text)] for _ in range(_WARM_UP)]
    return {1: one, BATCH: many}, warm


def _endless(sentences: Sentences) -> Iterator[Sequence[str]]:
    while True:
        yield from sentences


def _timing(seconds: np.ndarray, calls: Calls) -> Timing:
    done = calls[: len(seconds)]
    words = [sum(map(len, sentences)) for sentences in done]
    return Timing(seconds, np.array([*map(len, done)]), np.array(words))


def _rounded(value: float) -> float:
    return round(float(value), 1 if value >= 100 else 2)
