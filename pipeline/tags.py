"""Tag schemes: spans to tags and back, what may follow what, what is wrong.

To add a scheme that marks borders, add its letters to `_LETTERS`. The others have rules of their
own: `iob1` writes B- only between touching entities of one label; `raw` writes the label alone, so
touching entities of one label read as one and `tags_of` refuses to write them; in `flat` every word
is a span of itself (part-of-speech tagging). A tag of a letter alone (`B`, as corpora of
one type have it) has the label `_`, as in seqeval. The label is all that follows the first hyphen.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np

from pipeline.errors import InputError

Scheme = Literal["iob1", "iob2", "bioes", "bilou", "bmes", "raw", "flat"]

NO_TAG = "no tag"
NOT_A_TAG = "not a tag of the scheme"
LABEL_CHANGES = "label changes inside an entity"
NOT_CLOSED = "entity not closed"
SEPARATES_NOTHING = "B- that separates nothing"


class _Letters(NamedTuple):
    first: str
    inside: str
    last: str
    single: str


_LETTERS = {
    "iob1": _Letters("B", "I", "I", "B"),
    "iob2": _Letters("B", "I", "I", "B"),
    "bioes": _Letters("B", "I", "E", "S"),
    "bilou": _Letters("B", "I", "L", "U"),
    "bmes": _Letters("B", "M", "E", "S"),
}
_SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_ALIASES: dict[str, Scheme] = {"iobes": "bioes", "bio": "iob2", "bmeso": "bmes"}
_NAMES: dict[str, Scheme] = {**{scheme: scheme for scheme in _SCHEMES}, **_ALIASES}
ANY_LETTER, _OPENS, _CLOSES = "BIMESLU", "BSU", "ESLU"


class Span(NamedTuple):
    """Words `first` up to, not including, `end`, and what they name."""

    first: int
    end: int
    label: str


class Allowed(NamedTuple):
    """What a scheme allows: start `[tags]`, transitions `[from, to]`, end `[tags]`, all bool."""

    start: np.ndarray
    transitions: np.ndarray
    end: np.ndarray


class Violation(NamedTuple):
    """The index of the word at fault and the kind of fault, in words that can be counted."""

    index: int  # pyright: ignore[reportIncompatibleMethodOverride]
    kind: str


def canonical(name: str) -> Scheme:
    """A scheme's own name: lower case, `iobes` as `bioes`. Raises ValueError for other names."""
    known = _NAMES.get(name) or _NAMES.get(str(name).lower())
    if known is None:
        raise ValueError(f"expected a tag scheme, one of {', '.join(_SCHEMES)}")
    return known


def spans_of(tags: Sequence[str], scheme: Scheme, outside: str = "O") -> list[Span]:
    """The spans of any sequence, valid or not, left to right.

    IOB2, BIOES, BILOU and BMES are read strictly, as seqeval does with mode="strict": only entities
    that are written in full count. IOB1 is read as by conlleval: a new label starts a new entity.
    """
    match canonical(scheme):
        case "flat":
            return [Span(index, index + 1, tag) for index, tag in enumerate(tags)]
        case "raw":
            labels = [None if tag in ("", outside) else tag for tag in tags]
            return _runs([("I", label) for label in labels])
        case "iob1":
            return _runs([split_tag(tag, "BI", outside) for tag in tags])
        case known:
            return _strict(tags, _LETTERS[known], outside)


def tags_of(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of spans, in any order, over `length` words; outside is "O".

    Raises ValueError where spans overlap or lie outside the sentence, and where the scheme cannot
    write them: touching spans of one label or the label "O" in raw, all but single words in flat.
    """
    tags: list[str | None] = [None] * length
    before = Span(0, 0, "")
    for span in sorted(spans):
        if not before.end <= span.first < span.end <= length:
            raise ValueError(f"{span} overlaps {before} or leaves a sentence of {length} words")
        touches = span.first == before.end and span.label == before.label
        tags[span.first : span.end] = _written(span, canonical(scheme), touches)
        before = span
    if scheme == "flat" and None in tags:
        raise ValueError(
            f"flat: expected a tag for every word, found none at word {tags.index(None)}"
        )
    return ["O" if tag is None else tag for tag in tags]


def tag_set(labels: Iterable[str], scheme: Scheme) -> tuple[str, ...]:
    """Every tag over labels: "O" first (flat has none), labels sorted, prefixes in scheme order."""
    known, ordered = canonical(scheme), sorted(set(labels))
    if known == "flat":
        return tuple(ordered)
    if known == "raw":
        return ("O", *ordered)
    letters = dict.fromkeys(_LETTERS[known])
    return ("O", *(f"{letter}-{label}" for label in ordered for letter in letters))


def require_tags(
    found: Sequence[str], where: object, expected: Sequence[str], like: object, remedy: str
) -> None:
    """Raise InputError that shows the difference unless the tags at `where` are those of `like`.

    Numbers stand for tags in every file after `prepare`, so their order counts too.
    """
    if tuple(found) == tuple(expected):
        return
    lacking = ", ".join(tag for tag in expected if tag not in found)
    strange = ", ".join(tag for tag in found if tag not in expected)
    differs = [f"lacks {lacking}"] * bool(lacking) + [f"has {strange} as well"] * bool(strange)
    raise InputError(
        f"{where}: expected the tag set of {like}, found another: what differs: it "
        f"{' and '.join(differs) or 'has them in another order'}; {remedy}"
    )


def allowed(tags: Sequence[str], scheme: Scheme) -> Allowed:
    """Which tags may start, follow one another and end, such that exactly valid sequences pass."""
    inner = [[fault(a, b, scheme, "O") is None for b in tags] for a in tags]
    start = [fault(None, tag, scheme, "O") is None for tag in tags]
    end = [fault(tag, None, scheme, "O") is None for tag in tags]
    return Allowed(np.array(start, bool), np.array(inner, bool), np.array(end, bool))


def violations(tags: Sequence[str], scheme: Scheme, outside: str = "O") -> list[Violation]:
    """What is wrong in a sequence, left to right; empty where it is valid."""
    found = []
    for index, (before, after) in enumerate(pairwise([None, *tags, None])):
        kind = fault(before, after, scheme, outside)
        if kind is not None:
            found.append(Violation(index - (kind == NOT_CLOSED), kind))
    return found


def repair(tags: Sequence[str], scheme: Scheme, outside: str = "O") -> list[str]:
    """The valid sequence nearest to what is meant, as conlleval reads it: no label is lost.

    A tag that continues nothing starts an entity, so does a new label; an entity left open is
    closed. A tag without a letter of any scheme counts as a label. A missing tag becomes outside;
    in flat it becomes "X", which Universal Dependencies uses for what it cannot class.
    """
    known = canonical(scheme)
    if known in ("raw", "flat"):
        return [tag or (outside if known == "raw" else "X") for tag in tags]
    spans = _runs([_meant(tag, outside) for tag in tags])
    return [outside if tag == "O" else tag for tag in tags_of(spans, len(tags), scheme)]


def split_tag(tag: str, letters: str, outside: str = "O") -> tuple[str, str | None]:
    """A tag's letter and label, ("O", None) for outside and for what these letters do not write."""
    if tag == outside or not tag or tag[0] not in letters:
        return "O", None
    return (tag[0], tag[2:] or "_") if tag[1:2] in ("", "-") else ("O", None)


def _meant(tag: str, outside: str) -> tuple[str, str | None]:
    """A tag's letter and label in whatever scheme it is; a tag without letter is a label."""
    if tag in ("", outside, "O"):
        return "O", None
    letter, label = split_tag(tag, ANY_LETTER, outside)
    return (letter, label) if label else ("I", tag)


def _runs(parts: Sequence[tuple[str, str | None]]) -> list[Span]:
    """Spans as conlleval reads them: a span ends where the label changes or a letter says so."""
    spans, first = [], 0
    for index, (here, after) in enumerate(pairwise([*parts, ("O", None)]), start=1):
        if here[1] != after[1] or after[0] in _OPENS or here[0] in _CLOSES:
            if here[1] is not None:
                spans.append(Span(first, index, here[1]))
            first = index
    return spans


def _strict(tags: Sequence[str], letters: _Letters, outside: str) -> list[Span]:
    """Only entities written in full: single, or first, inside…, last with one label."""
    spans, first, open_label = [], 0, None
    known = {tag: split_tag(tag, "".join(letters), outside) for tag in {*tags}}
    parts = [known[tag] for tag in tags]
    for index, ((letter, label), after) in enumerate(pairwise([*parts, ("O", None)])):
        if letter in (letters.first, letters.single):
            first, open_label = index, label
        elif label is None or label != open_label:
            open_label = None
        goes_on = after[0] in (letters.inside, letters.last) and after[1] == label
        ends = letter == letters.single if first == index else letter == letters.last
        if open_label is not None and ends and not (goes_on and letters.last == letters.inside):
            spans.append(Span(first, index + 1, open_label))
            open_label = None
    return spans


def _written(span: Span, scheme: Scheme, touches: bool) -> list[str]:
    """The tags of one span; `touches`: it follows directly on a span with its label."""
    length, label = span.end - span.first, span.label
    if scheme == "flat" and length > 1:
        raise ValueError(f"flat: expected spans of one word, found {span}")
    if scheme == "raw" and (touches or label == "O"):
        raise ValueError(f"raw: cannot tell {span} from its neighbours")
    if scheme in ("raw", "flat"):
        return [label] * length
    first, inside, last, single = _LETTERS[scheme]
    if scheme == "iob1" and not touches:
        first = single = inside
    letters = single if length == 1 else first + inside * (length - 2) + last
    return [f"{letter}-{label}" for letter in letters]


@lru_cache(maxsize=1 << 16)  # tags are few, words are many
def fault(before: str | None, after: str | None, scheme: Scheme, outside: str) -> str | None:
    """What is wrong with `after` behind `before`; None as a tag is the sentence's border."""
    known = canonical(scheme)
    if after == "":
        return NO_TAG
    if known in ("raw", "flat"):
        return None
    letters = _LETTERS[known]
    old, old_label = split_tag(before or outside, "".join(letters), outside)
    new, label = split_tag(after or outside, "".join(letters), outside)
    if label is None and after not in (None, outside):
        return NOT_A_TAG
    if known == "iob1":
        return SEPARATES_NOTHING if new == "B" and label != old_label else None
    must_close = letters.last != letters.inside
    is_open = old_label is not None and not (must_close and old in (letters.last, letters.single))
    if new in (letters.inside, letters.last) and label is not None:
        if not is_open:
            return f"{new}- without {letters.first}-"
        return None if label == old_label else LABEL_CHANGES
    return NOT_CLOSED if is_open and must_close else None
