"""Formats with one sentence a record: JSON Lines and Parquet."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import settings
from pipeline.errors import InputError
from pipeline.raw.sentences import Sentence, json_object, numbered_lines
from pipeline.raw.text import words_with_offsets
from pipeline.tags import Span, tags_of


@settings
class JsonLines:
    """One object a line: `words` with `tags`, or `text` with `spans` of characters.

    A span is `{"start": 0, "end": 5, "label": "PER"}` or `[0, 5, "PER"]`, its end exclusive; the
    words of a text are those of `text.py`, and its tags become IOB2. White space at the ends of a
    span is ignored. A span that cuts a word is refused, as the label would name other text than
    the annotator's, unless `cut: widen` lets it take in the whole word.
    """

    kind: Literal["jsonl"] = "jsonl"
    words: str = "words"
    tags: str | None = "tags"  # None: unlabelled
    text: str = "text"
    spans: str | None = "spans"  # None: unlabelled
    cut: Literal["error", "widen"] = "error"

    def read(self, path: str) -> Iterator[Sentence]:
        """The sentences of a UTF-8 file; empty lines and sentences without words are left out."""
        for number, line in numbered_lines(path):
            if line.strip():
                sentence = self._sentence(json_object(line, f"{path}:{number}"), path, number)
                if sentence.words:
                    yield sentence

    def _sentence(self, record: dict[str, Any], path: str, number: int) -> Sentence:
        where = f"{path}:{number}"
        # Tables that hold both kinds write null for what a row has not.
        if record.get(self.words) is not None or self.text not in record:
            words = _field(record, self.words, where)
            tags = _field(record, self.tags, where) if self.tags else None
            return sentence_of(words, tags, path, number)
        text = _field(record, self.text, where)
        if not isinstance(text, str):
            raise InputError(f"{where}: expected text in `{self.text}`, found {text!r:.80}")
        words = words_with_offsets(text)
        spans = _field(record, self.spans, where) if self.spans else None
        tags = None if spans is None else self._tags(text, words, spans, where)
        return Sentence([word for word, _, _ in words], tags, path, [number] * len(words))

    def _tags(
        self, text: str, words: list[tuple[str, int, int]], spans: Any, where: str
    ) -> list[str]:
        try:
            characters = [_span(span) for span in spans]
        except (TypeError, ValueError, KeyError):
            expected = "spans as {start, end, label} or [start, end, label]"
            raise InputError(f"{where}: expected {expected}, found {spans!r:.120}") from None
        found = [self._words_of(span, text, words, where) for span in characters]
        try:
            return tags_of(found, len(words), "iob2")
        except ValueError:
            raise InputError(
                f"{where}: expected spans without overlap, found {characters}; keep one of them"
            ) from None

    def _words_of(
        self, span: Span, text: str, words: list[tuple[str, int, int]], where: str
    ) -> Span:
        """A span of characters as a span of words."""
        named = text[span.first : span.end]
        if not 0 <= span.first < span.end <= len(text) or not named.strip():
            found = f"{span.first} to {span.end} in a text of {len(text)} characters"
            raise InputError(f"{where}: expected a span around some words, found {found}")
        first = span.first + len(named) - len(named.lstrip())
        end = span.end - len(named) + len(named.rstrip())
        within = [n for n, (_, start, stop) in enumerate(words) if start < end and stop > first]
        outer = (words[within[0]][1], words[within[-1]][2])
        if outer != (first, end) and self.cut == "error":
            raise InputError(
                f"{where}: expected a span of whole words, found {text[first:end]!r} in "
                f"{text[slice(*outer)]!r}; mend the span, or set `cut: widen` in `format`"
            )
        return Span(within[0], within[-1] + 1, span.label)


@settings
class ParquetTable:
    """A table with one sentence a row: lists of words and of tags.

    Tags may be integers where the file says their names, as files of Hugging Face `datasets` do.
    """

    kind: Literal["parquet"] = "parquet"
    words: str = "words"
    tags: str | None = "tags"  # None: unlabelled

    def read(self, path: str) -> Iterator[Sentence]:
        """The sentences of a file that have words; `lines` are rows from 1."""
        try:
            with pq.ParquetFile(path) as file:
                yield from self._sentences(file, path)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{path}: expected a whole Parquet file: {reason}; fetch or write it again"
            ) from None

    def _sentences(self, file: pq.ParquetFile, path: str) -> Iterator[Sentence]:
        wanted = [self.words] if self.tags is None else [self.words, self.tags]
        names = file.schema_arrow.names
        if not set(wanted) <= set(names):
            lacking = ", ".join(f"`{name}`" for name in wanted if name not in names)
            raise InputError(
                f"{path}: expected the column {lacking}, found {', '.join(names)}; "
                f"name the columns with `words` and `tags` in `format`"
            )
        labels, row = _class_names(file.schema_arrow, self.tags), 0
        for batch in file.iter_batches(columns=wanted):
            for record in batch.to_pylist():
                row += 1
                tags = named(record[self.tags] if self.tags else None, labels)
                if record[self.words]:
                    yield sentence_of(record[self.words], tags, path, row)


def sentence_of(words: Any, tags: Any, source: str, line: int) -> Sentence:
    """A sentence of a record, its lists checked: strings, as many tags as words."""
    where = f"{source}:{line}"
    for name, values in (("words", words), ("tags", tags)):
        texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
        if not texts and (name, values) != ("tags", None):
            raise InputError(f"{where}: expected {name} as a list of strings, found {values!r:.80}")
    if tags is not None and len(tags) != len(words):
        raise InputError(
            f"{where}: expected a tag for each word, found {len(words)} words and {len(tags)} tags"
        )
    return Sentence(words, tags, source, [line] * len(words))


def named(tags: list[Any] | None, names: Sequence[str] | None) -> list[Any] | None:
    """Tags by name, where they are numbers and the names are known."""
    if tags is None or names is None:
        return tags
    return [names[tag] if isinstance(tag, int) and 0 <= tag < len(names) else tag for tag in tags]


def _field(record: dict[str, Any], key: str, where: str) -> Any:
    if key not in record:
        raise InputError(
            f"{where}: expected the key `{key}`, found {', '.join(record) or 'none'}; "
            f"name the keys in `format`, or set those of the labels to null for unlabelled text"
        )
    return record[key]


def _span(span: Any) -> Span:
    if isinstance(span, dict):
        span = [span["start"], span["end"], span["label"]]
    first, end, label = span
    if not (isinstance(first, int) and isinstance(end, int) and isinstance(label, str) and label):
        raise TypeError(span)
    return Span(first, end, label)


def _class_names(schema: pa.Schema, column: str | None) -> list[str] | None:
    """The names of integer tags that `datasets` writes into a file's metadata, None without."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return features[column]["feature"]["names"]
    except (TypeError, KeyError, ValueError):
        return None
