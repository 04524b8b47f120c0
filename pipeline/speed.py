"""How fast a tagger is on this machine: figures that no later stage may depend on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Sentences: TypeAlias = Sequence[Sequence[str]]
Tag: TypeAlias = Callable[[Sentences], object]

REPEATS = 3
"""Passes over all sentences; the fastest counts, since other work only ever slows one down."""


@dataclass(frozen=True)
class Speed:
    """Seconds of one pass in batches, and of each sentence alone."""

    batches: float
    singles: Sequence[float]
    sentences: int
    words: int

    def figures(self) -> dict[str, Any]:
        """Sentences and words a second in batches; latency of one sentence in milliseconds."""
        p50, p95 = np.percentile(self.singles, [50, 95]) * 1000
        return {
            "sentences_per_second": round(self.sentences / self.batches, 1),
            "words_per_second": round(self.words / self.batches, 1),
            "latency_ms": {"p50": round(float(p50), 3), "p95": round(float(p95), 3)},
        }


def measure(tag: Tag, sentences: Sentences) -> Speed:
    """Time a tagger on raw words to tags: tokenising, the network and decoding, all of it."""
    tag(sentences)  # first calls allocate and look up words
    batches = min(_seconds(tag, sentences) for _ in range(REPEATS))
    singles = [_seconds(tag, [words]) for words in sentences]
    return Speed(batches, singles, len(sentences), sum(map(len, sentences)))


def _seconds(tag: Tag, sentences: Sentences) -> float:
    begun = time.perf_counter()
    tag(sentences)
    return time.perf_counter() - begun
