"""What some sentences hold: sizes, labels, faults, lengths, words that nobody sees."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from pipeline.raw.rows import Row, Rows

_FIRST_FEW = 3
_LENGTHS = (1, 5, 10, 20, 50, 100, 200)  # upper bounds of the histogram, in words
_INVISIBLE = {"Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Mn", "Me"}  # Unicode categories


@dataclass(frozen=True)
class Places:
    """How often something occurs, and the first few places, each `file:line`."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class Census:
    """What some sentences hold."""

    sentences: int
    words: int
    labelled: bool
    labels: Mapping[str, int]  # spans of each label
    invalid: Mapping[str, Places]  # faults of each kind
    duplicates: int  # sentences that occur before, in the same sentences
    lengths: Mapping[str, int]  # sentences with so many words
    longest: int  # words
    longest_at: str  # file:line
    invisible: Places  # words without a visible character: they have no sub-token


def census(rows: Rows) -> Census:
    """What the rows hold."""
    texts = {row.text for row in rows}
    longest = max(rows, key=lambda row: len(row.words))
    return Census(
        sentences=len(rows),
        words=sum(len(row.words) for row in rows),
        labelled=any(row.spans is not None for row in rows),
        labels=dict(sorted(Counter(s.label for row in rows for s in row.spans or ()).items())),
        invalid=_faults(rows),
        duplicates=len(rows) - len(texts),
        lengths=_histogram(len(row.words) for row in rows),
        longest=len(longest.words),
        longest_at=longest.place(),
        invisible=_places(
            row.place(n) for row in rows for n, word in enumerate(row.words) if is_invisible(word)
        ),
    )


def is_invisible(word: str) -> bool:
    """Whether all of it is spaces, controls, format or combining characters, or nothing at all.

    Tokenisers leave nothing of such a word. A private-use character counts as visible.
    """
    return all(unicodedata.category(c) in _INVISIBLE for c in word)


def _faults(rows: Iterable[Row]) -> dict[str, Places]:
    places: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for fault in row.faults:
            places[fault.kind].append(fault.place)
    return {kind: _places(found) for kind, found in sorted(places.items())}


def _places(found: Iterable[str]) -> Places:
    listed = list(found)
    return Places(len(listed), tuple(listed[:_FIRST_FEW]))


def _histogram(lengths: Iterable[int]) -> dict[str, int]:
    """Sentences by length: "1", "2-5" … "201+"."""
    names = [
        "1",
        *(f"{low + 1}-{high}" for low, high in pairwise(_LENGTHS)),
        f"{_LENGTHS[-1] + 1}+",
    ]
    counts = Counter(sum(length > bound for bound in _LENGTHS) for length in lengths)
    return {name: counts[index] for index, name in enumerate(names)}
