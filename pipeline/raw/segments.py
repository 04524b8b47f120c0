r"""Running text as sentences with their offsets, by rule, in any language that marks their ends.

A line is a paragraph, and no sentence crosses its end; text with wrapped lines goes through
`unwrapped` first. Inside a paragraph a sentence ends behind `.`, `!`, `?`, `…` or their like in
other scripts, with the quotes and brackets that close behind it, where white space follows; behind
`。`, `！`, `？` anyway. It goes on

- where the next word begins with a small letter (`"Really?" she asked`) or there is a comma;
- behind a full stop after a known abbreviation (`Dr.`, `e.g.`, `bl.a.`; `No.` before a number), an
  initial (`J. Smith`), a month before a number (`Jan. 5`), a number before a month (`3. Oktober`),
  or a number that opens the paragraph (`1. First`);
- behind letters with full stops (`the U.S. Senate`) and their like (`Inc.`), unless a word follows
  that often opens a sentence (`The`, `He`).

So a sentence that ends in an initial or in a title takes in the next one.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.raw.text import words_with_offsets


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# In English, German, Swedish, French and Spanish.
_INSIDE = _words(  # a sentence goes on: titles, and what stands before its explanation
    """
    mr mrs ms messrs dr prof st gen sen rep gov pres lt col capt cmdr sgt maj adm rev hon supt insp
    mt e.g i.e viz cf vs hr frl dipl z.b d.h u.a bzw vgl ggf evtl sog geb gest
    t.ex d.v.s dvs bl.a m.fl s.k f.d fr.o.m t.o.m jfr mme mlle mgr ste sra srta dra ud uds p.ej
    """
)
_NUMBERED = _words(  # it goes on if a number follows
    """
    no nos nr vol fig figs eq sec ch pp p ed op art approx est ca v ft str abs tel s kl ung núm pág
    """
)
_EITHER = _words("inc corp ltd co jr sr bros llc gmbh etc al dept univ osv usw ph.d")
_MONTHS = _words("jan feb mar apr jun jul aug sep sept oct nov dec mai okt dez")
_WRITTEN_MONTHS = _words(
    "januar februar märz april mai juni juli august september oktober november dezember"
)
_OPENERS = _words(
    """
    the a an he she it we they i you this that these those there in on at but and so as if when
    while after before however his her its our their what who how why
    """
)

_ENDS = re.compile(
    # A run of marks, what closes behind it, and white space; some scripts need no space.
    r"""(?P<mark>[.!?…‼⁇⁈⁉؟۔।॥።]+|[。！？｡]+)(?P<closing>["'”’»›)\]}」』）】]*)(?P<space>\s*)"""
)
_OPENING = "\"'“‘„‚«‹([{「『（【¿¡—–-•*#"

_BACK = 80
"""Characters before and behind a mark that are looked at."""


class TextSentence(NamedTuple):
    """A sentence of a text: what it says, where that starts in the text, and its words."""

    text: str
    start: int
    words: list[str]
    borders: list[tuple[int, int]]
    """Of each word in `text`: the offset of its first character, and of the one after its last."""

    def stretch(self, first: int, end: int) -> tuple[int, int]:
        """Where words `first` up to, not including, `end` stand in `text`."""
        return self.borders[first][0], self.borders[end - 1][1]


def sentences_of(text: str) -> list[TextSentence]:
    """The sentences of a text whose lines are paragraphs; white space around them is in none."""
    return [
        _sentence(text, start, end)
        for line in re.finditer(r"[^\n]+", text)
        for start, end in _within(text, *line.span())
    ]


def unwrapped(text: str) -> str:
    """The same number of characters, with spaces where a line ends inside a paragraph.

    Paragraphs are apart by empty lines.
    """
    return re.sub(r"(?<=\S)[^\S\n]*\n(?=[^\S\n]*\S)", lambda ends: " " * len(ends[0]), text)


def _sentence(text: str, start: int, end: int) -> TextSentence:
    inside = text[start:end]
    found = words_with_offsets(inside)
    words, borders = [word for word, _, _ in found], [(first, stop) for _, first, stop in found]
    return TextSentence(inside, start, words, borders)


def _within(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences of one paragraph, from its first character on."""
    for match in _ENDS.finditer(text, start, end):
        if match.end() < end and _ends(text, start, end, match):
            yield from _stripped(text, start, match.end())
            start = match.end()
    yield from _stripped(text, start, end)


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretch without white space at its ends; nothing where it is all white space."""
    inside = text[start:end]
    if inside.strip():
        first = start + len(inside) - len(inside.lstrip())
        yield first, first + len(inside.strip())


def _ends(text: str, start: int, end: int, match: re.Match[str]) -> bool:
    """Whether a sentence that began at `start` ends with these marks; something follows."""
    mark, before = match["mark"], text[max(start, match.start() - _BACK) : match.start()]
    following = text[match.end() : min(end, match.end() + _BACK)]
    if not re.search(r"\w", before):
        return False
    if mark[0] in "。！？｡":
        return match["closing"] == "" or following[0] in _OPENING or match["space"] != ""
    if not match["space"] or following[0] in ",;:":
        return False
    following = following.lstrip(_OPENING)
    if following[:1].islower():
        return False
    return mark != "." or match["closing"] != "" or _stop_ends(before.split(), following)


def _stop_ends(before: list[str], following: str) -> bool:
    """Whether a full stop between words ends a sentence; `before` are those since it began."""
    word = before[-1].lstrip(_OPENING)
    low, following = word.lower(), _first_word(following.lower())
    if low in _NUMBERED or low in _MONTHS:
        return not following[:1].isdigit()
    if word.isdigit():
        return len(before) > 1 and following not in _WRITTEN_MONTHS
    if low in _EITHER or re.fullmatch(r"([^\W\d_]\.)+[^\W\d_]", word):
        return low not in _INSIDE and following in _OPENERS
    is_initial = re.fullmatch(r"[^\W\d_](-[^\W\d_])?", word) and word != "I" and not word.islower()
    return low not in _INSIDE and not is_initial


def _first_word(text: str) -> str:
    match = re.match(r"[\w'’-]+", text)
    return match[0] if match else ""
