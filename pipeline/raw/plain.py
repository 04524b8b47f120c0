"""Plain text as a format: files with one unlabelled sentence a line."""

from collections.abc import Iterator
from typing import Literal

from pipeline.config import settings
from pipeline.raw.sentences import Sentence, numbered_lines
from pipeline.raw.text import words_with_offsets


@settings
class PlainText:
    """Unlabelled text, one sentence a line; empty lines count for nothing.

    Its words follow the rule of `text.py`, or, in text that was cut into words before, stand apart
    by white space.
    """

    kind: Literal["text"] = "text"
    words: Literal["rule", "spaces"] = "rule"

    def read(self, path: str) -> Iterator[Sentence]:
        """The sentences of a UTF-8 file."""
        for number, line in numbered_lines(path):
            by_rule = self.words == "rule"
            words = [word for word, _, _ in words_with_offsets(line)] if by_rule else line.split()
            if words:
                yield Sentence(words, None, path, [number] * len(words))
