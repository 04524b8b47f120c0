"""A dev split out of a train split: by seed, in the mix of labels that the sentences have."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pipeline.raw.rows import Row, Rows


def hold_out(rows: Rows, share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Train and dev: `share` of the different sentences, in the mix of labels that the rows have.

    Copies of a sentence stay on one side, and so does the first sentence of each label: in train.
    Sentences are ordered by a hash of the seed and their text, so files may be shuffled or joined.
    """
    copies: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        copies[row.text].append(row)
    labels = {
        text: sorted({x for row in same for x in row.labels}) for text, same in copies.items()
    }
    order = sorted(copies, key=lambda text: hashlib.sha256(f"{seed} {text}".encode()).digest())
    kept = _first_of_each(order, labels)
    pool = sorted((text for text in order if text not in kept), key=labels.__getitem__)
    chosen = _every_nth(pool, share * len(order))
    train = [row for row in rows if row.text not in chosen]
    return train, [row for row in rows if row.text in chosen]


def _first_of_each(order: Iterable[str], labels: Mapping[str, Iterable[str]]) -> set[str]:
    """The texts that bring a label for the first time."""
    kept, met = set(), set()
    for text in order:
        if not met.issuperset(labels[text]):
            kept.add(text)
            met.update(labels[text])
    return kept


def _every_nth(texts: Sequence[str], count: float) -> set[str]:
    """About `count` texts, evenly spaced: in sorted strata, each gives its share."""
    step = min(1.0, count / max(1, len(texts)))
    marks = [math.floor(index * step + 0.5) for index in range(len(texts) + 1)]
    return {text for text, a, b in zip(texts, marks, marks[1:], strict=False) if b > a}
