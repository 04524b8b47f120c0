"""Emissions, transitions and text that nobody wrote, to measure what comes after a teacher."""

from collections.abc import Iterator

import numpy as np
import torch

from pipeline.emissions import Emissions
from pipeline.parts import PART
from pipeline.tags import tag_set
from pipeline.transitions import Transitions

SCHEME = "bioes"


def tags_of(labels: int) -> tuple[str, ...]:
    """Four tags for each of so many labels, and the one outside."""
    return tag_set([f"L{n}" for n in range(labels)], SCHEME)


def transitions_of(tags: tuple[str, ...]) -> Transitions:
    """Those of a CRF that has learnt a little."""
    made = Transitions(tags, SCHEME, "crf")
    random = torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=random)
    return made.eval().requires_grad_(requires_grad=False)


def emissions_of(sentences: int, tags: int, words: float, seed: int) -> Emissions:
    """Normal scores; one tag a word, outside in three of four, stands out by 8, give or take 2.

    At 17 tags and 20 words, 3.7 marginals a word are then above 1e-3: a teacher that hesitates. A
    MiniLM fine-tuned on Swedish news has 1.1 of them.
    """
    chance = np.random.default_rng(seed)
    lengths = chance.lognormal(np.log(words) - 0.18, 0.6, sentences).round()
    offsets = np.concatenate([[0], lengths.clip(1, 200).astype(np.int64).cumsum()])
    scores = chance.standard_normal((offsets[-1], tags), dtype=np.float32)
    outside = chance.random(offsets[-1]) < 0.75
    best = np.where(outside, 0, chance.integers(1, tags, offsets[-1]))
    scores[np.arange(len(scores)), best] += chance.normal(8, 2, len(scores)).astype(np.float32)
    return Emissions(np.arange(sentences, dtype=np.int32), offsets, scores)


def parts_of(rows: Emissions) -> Iterator[Emissions]:
    """The same, a part after the other."""
    for first in range(0, len(rows), PART):
        yield rows[slice(first, min(first + PART, len(rows)))]


def text_of(rows: Emissions, tags: tuple[str, ...]) -> tuple[list[list[str]], list[list[str]]]:
    """Words of a vocabulary of 30,000, the frequent ones often, and a tag for each."""
    chance, total = np.random.default_rng(0), int(rows.offsets[-1])
    words = [f"word{n}" for n in (chance.zipf(1.3, total) % 30_000).tolist()]
    gold = [tags[n] for n in chance.integers(0, len(tags), total).tolist()]
    borders = list(zip(rows.offsets[:-1].tolist(), rows.offsets[1:].tolist(), strict=True))
    return [words[a:b] for a, b in borders], [gold[a:b] for a, b in borders]
