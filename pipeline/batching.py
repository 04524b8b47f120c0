"""Batches by word budget: which sentences go together, and in which order."""

import random
from collections.abc import Sequence

WINDOW = 50
"""Batches' worth of shuffled sentences that are sorted by length together: random, yet even."""


def in_order(lengths: Sequence[int], batch_words: int) -> list[list[int]]:
    """Batches for inference, longest sentences first, of at most so many padded words.

    A sentence longer than the budget is a batch by itself.
    """
    return _cut(sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)), lengths, batch_words)


def shuffled(lengths: Sequence[int], batch_words: int, seed: int) -> list[list[int]]:
    """Batches for one epoch of training: the same for the same seed, on every platform.

    Sentences of like length meet in a batch; batches come in random order.
    """
    chance = random.Random(seed)
    order = list(range(len(lengths)))
    chance.shuffle(order)
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    reach = max(1, int(WINDOW * batch_words / mean))
    batches = [
        batch
        for start in range(0, len(order), reach)
        for batch in _cut(
            sorted(order[start : start + reach], key=lambda i: -lengths[i]), lengths, batch_words
        )
    ]
    chance.shuffle(batches)
    return batches


def _cut(order: Sequence[int], lengths: Sequence[int], batch_words: int) -> list[list[int]]:
    """Consecutive batches; `order` is longest first, so the first of a batch sets its width."""
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * max(1, lengths[batches[-1][0]]) <= batch_words:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
