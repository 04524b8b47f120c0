"""Predictions as others read them: JSON Lines, columns, and rows of a table.

To add a format, write what makes its bytes and name it in `WRITERS`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, Protocol, TypeAlias

from pipeline.errors import InputError
from pipeline.predictor import PredictedSpan, Prediction
from pipeline.raw.segments import TextSentence
from pipeline.raw.untagged import Untagged

Answered: TypeAlias = tuple[Untagged, Prediction]


class Writer(Protocol):
    """Writes answers in their order to a file that is open for bytes."""

    def write(self, answers: Iterable[Answered]) -> None:
        """Write some more."""
        ...

    def close(self) -> None:
        """Write what stands at the end."""
        ...


class Lines:
    """Answers that are written as they come, each by itself."""

    def __init__(self, file: IO[bytes], text: Callable[[Answered], str]) -> None:
        self._file, self._text = file, text

    def write(self, answers: Iterable[Answered]) -> None:
        """Write some more, and let whoever reads have them."""
        self._file.write("".join(map(self._text, answers)).encode())
        self._file.flush()

    def close(self) -> None:
        """Nothing stands at the end."""


def as_json(answer: Answered) -> str:
    """One object on a line."""
    return json.dumps(record_of(answer), ensure_ascii=False) + "\n"


def as_columns(answer: Answered) -> str:
    """Comments, then a word and its tag a line, apart by a tab, then an empty line.

    Raises InputError where a word holds a line break or a tab.
    """
    asked, predicted = answer
    comments = asked.comments
    if asked.of_text:
        comments = (f"# text = {' '.join(asked.sentence.text.splitlines())}",)
    rows = list(map("{}\t{}".format, asked.sentence.words, predicted.tags))
    if any(len(row.split("\t")) != 2 or len(row.splitlines()) != 1 for row in rows):
        raise InputError(
            f"{asked.source}:{asked.line}: expected words without tabs and line breaks, found "
            f"{asked.sentence.words!r:.120}; write them with --to jsonl"
        )
    return "".join(f"{line}\n" for line in (*comments, *rows, ""))


def record_of(answer: Answered) -> dict[str, Any]:
    """All that is known of a sentence; character offsets count in its own `text`."""
    asked, predicted = answer
    sentence = asked.sentence
    placed = {"start": sentence.start} if asked.of_text else {}
    record = {
        "source": asked.source,
        "line": asked.line,
        **placed,
        "text": sentence.text,
        "words": sentence.words,
        "tags": predicted.tags,
        "spans": [_span(sentence, span) for span in predicted.spans],
    }
    if predicted.alternatives:
        record["alternatives"] = [
            {"tags": each.tags, "probability": _shown(each.probability)}
            for each in predicted.alternatives
        ]
    return record


def _span(sentence: TextSentence, span: PredictedSpan) -> dict[str, Any]:
    start, end = sentence.stretch(span.first, span.end)
    return {
        "start": start,
        "end": end,
        "label": span.label,
        "confidence": _shown(span.confidence),
        "text": sentence.text[start:end],
        "words": [span.first, span.end],
    }


def _shown(probability: float) -> float:
    """Six digits, of which the last is beyond what float32 scores tell."""
    return float(f"{probability:.6g}")


class Table:
    """The same as rows of a Parquet file: `words` and `tags` as a corpus has them."""

    def __init__(self, file: IO[bytes], tags: Iterable[str], scheme: str) -> None:
        # Imported here: who writes text need not wait for it.
        import pyarrow as pa
        import pyarrow.parquet as pq

        words = pa.list_(pa.string())
        span = {
            "start": pa.int32(),
            "end": pa.int32(),
            "label": pa.string(),
            "confidence": pa.float64(),
            "text": pa.string(),
            "words": pa.list_(pa.int32()),
        }
        alternative = {"tags": words, "probability": pa.float64()}
        columns = {
            "source": pa.string(),
            "line": pa.int64(),
            "start": pa.int64(),
            "text": pa.string(),
            "words": words,
            "tags": words,
            "spans": pa.list_(pa.struct(span)),
            "alternatives": pa.list_(pa.struct(alternative)),
        }
        metadata = {"tags": json.dumps([*tags], ensure_ascii=False), "scheme": scheme}
        self._schema = pa.schema(columns, metadata=metadata)
        self._rows: list[dict[str, Any]] = []
        self._file = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, answers: Iterable[Answered]) -> None:
        """Take some more; a row group is written whenever enough have come."""
        self._rows += map(record_of, answers)
        if len(self._rows) >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the rows that are left, and the end of the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


_ROW_GROUP = 10_000
"""Sentences."""

WRITERS: Mapping[str, Callable[[IO[bytes], Iterable[str], str], Writer]] = {
    "jsonl": lambda file, tags, scheme: Lines(file, as_json),
    "conll": lambda file, tags, scheme: Lines(file, as_columns),
    "parquet": Table,
}
"""By the name of the format: an open file, the tag set and its scheme, to what writes answers."""
