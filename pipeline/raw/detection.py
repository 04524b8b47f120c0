"""Which scheme the tags of a corpus are in: the one that they violate least."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from pipeline.tags import ANY_LETTER, Scheme, fault, split_tag

_OUTSIDES = ("O", "0", "_", "-", "o", "OTHER", "NONE")  # the likeliest first


class Detected(NamedTuple):
    """The scheme and outside tag of some sequences, and why, with what else would fit."""

    scheme: Scheme
    outside: str
    why: str


def detect(sequences: Iterable[Sequence[str]]) -> Detected:
    """The scheme that the sequences violate least, and their outside tag.

    Tags with letters: the scheme with the fewest violations. Without: raw where a usual outside
    tag is the most frequent tag, flat otherwise. What else would fit is said in `why`.
    """
    pairs, counts = Counter[tuple[str | None, str | None]](), Counter[str]()
    for tags in sequences:
        present = [tag for tag in tags if tag]
        pairs.update(pairwise([None, *present, None]))
        counts.update(present)
    bare = Counter({tag: n for tag, n in counts.items() if not split_tag(tag, ANY_LETTER)[1]})
    outside = max(bare, key=bare.__getitem__, default="O")
    lettered, strays = counts.total() - bare.total(), bare.total() - bare[outside]
    if lettered * 0.02 >= strays and (lettered or outside in _OUTSIDES):
        return _least_violated(pairs, outside)
    return _unlettered(counts)


def _least_violated(pairs: Counter[tuple[str | None, str | None]], outside: str) -> Detected:
    """The first of the schemes with the fewest violations, and which fit as well or next best."""
    schemes: tuple[Scheme, ...] = ("iob2", "iob1", "bioes", "bilou", "bmes")
    faults = {
        scheme: sum(n for (a, b), n in pairs.items() if fault(a, b, scheme, outside))
        for scheme in schemes
    }
    ranked = sorted(schemes, key=faults.__getitem__)
    best, second = ranked[:2]
    ties = [scheme for scheme in ranked[1:] if faults[scheme] == faults[best]]
    why = f"{faults[best]} violations of {best}, next {second} with {faults[second]}"
    if ties:
        why = f"ambiguous: {', '.join(ties)} fit as well as {best}"
    return Detected(best, outside, f"outside is {outside!r}; {why}")


def _unlettered(counts: Counter[str]) -> Detected:
    """raw or flat, by whether the most frequent tag is one that usually means outside."""
    most, count = counts.most_common(1)[0]
    share = f"{most!r} is {count / counts.total():.0%} of {counts.total()} tags without prefixes"
    if most in _OUTSIDES:
        return Detected("raw", most, f"{share} and usually means outside; the others are labels")
    why = f"{share}, {len(counts)} different ones"
    if count * 2 > counts.total():
        why += f"; if it means outside, say `scheme: raw` and `outside: {most!r}`"
    return Detected("flat", "O", why)
