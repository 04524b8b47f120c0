"""Sentences with the spans that their scheme reads in them, and what was wrong with their tags."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from pipeline.raw.detection import Detected
from pipeline.raw.formats import Sentence
from pipeline.tags import Span, repair, spans_of, violations


class Fault(NamedTuple):
    """One thing wrong in a tag sequence: its kind, in words to be counted, and `file:line`."""

    kind: str
    place: str


@dataclass(frozen=True)
class Row:
    """One sentence; `spans` are those of its repaired tags, None where it is unlabelled."""

    sentence: Sentence
    spans: tuple[Span, ...] | None
    faults: tuple[Fault, ...]

    @property
    def words(self) -> Sequence[str]:
        """The words, at least one."""
        return self.sentence.words

    @property
    def labels(self) -> frozenset[str]:
        """The labels of the spans."""
        return frozenset(span.label for span in self.spans or ())

    @cached_property
    def text(self) -> str:
        """What two sentences share that say the same, however they are cut into words."""
        return "".join(self.words)

    def place(self, word: int = 0) -> str:
        """`file:line` of a word."""
        return self.sentence.place(word)


Rows = Sequence[Row]


def rows_of(sentences: Iterable[Sentence], detected: Detected | None) -> Iterator[Row]:
    """The sentences as rows; without a scheme their tags, if any, are not read."""
    for sentence in sentences:
        if detected is None or sentence.tags is None:
            yield Row(sentence, None, ())
        else:
            yield _labelled(sentence, sentence.tags, detected)


def _labelled(sentence: Sentence, tags: Sequence[str], detected: Detected) -> Row:
    scheme, outside, _ = detected
    found = violations(tags, scheme, outside)
    faults = tuple(Fault(fault.kind, sentence.place(fault.index)) for fault in found)
    valid = repair(tags, scheme, outside) if found else tags
    return Row(sentence, tuple(spans_of(valid, scheme, outside)), faults)
