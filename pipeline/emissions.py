"""Emissions on disk: what a teacher says of every word, in Parquet parts, read group by group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.parts import (
    groups_of,
    parts_of,
    read_part,
    rows_by_sentence,
    rows_of,
    schema_of,
    write_part,
)

_ENCODINGS = {
    "sentence_id": "DELTA_BINARY_PACKED",
    "emissions.list.element.list.element": "BYTE_STREAM_SPLIT",
}


@dataclass(frozen=True)
class Emissions:
    """The emissions of some sentences, one after the other.

    `sentence_ids` [sentences]; `offsets` [sentences + 1] into the words; `scores` [words, tags].
    """

    sentence_ids: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.sentence_ids)

    def __getitem__(self, chosen: slice) -> "Emissions":
        """Some consecutive sentences, without a copy of their scores."""
        offsets = self.offsets[chosen.start : chosen.stop + 1]
        scores = self.scores[offsets[0] : offsets[-1]]
        return Emissions(self.sentence_ids[chosen], offsets - offsets[0], scores)


def write_emissions(path: Path, rows: Emissions, tags: Sequence[str]) -> None:
    """Write one part of emissions."""
    number = pa.list_(pa.list_(pa.float32(), len(tags)))
    schema = schema_of({"sentence_id": pa.int32(), "emissions": number}, {"tags": list(tags)})
    groups = (rows[group] for group in groups_of(rows.offsets, len(tags)))
    write_part(path, schema, _ENCODINGS, map(_columns, groups))


def read_emissions(folder: Path) -> Iterator[Emissions]:
    """The emissions of a folder, a row group at a time, in order; errors as below."""
    for path in parts_of(folder):
        yield from read_emissions_part(path)


def read_emissions_part(path: Path) -> Iterator[Emissions]:
    """The row groups of one part; InputError where it is damaged or holds what is no number."""
    for table in read_part(path, ("sentence_id", "emissions")):
        rows = Emissions(table["sentence_id"].to_numpy(), *rows_of(table["emissions"]))
        refuse_non_numbers(rows, str(path))
        yield rows


def refuse_non_numbers(rows: Emissions, where: str) -> None:
    """Raise InputError where an emission is NaN or +inf; -inf forbids a tag."""
    numbers = rows.scores < np.inf
    if numbers.all():
        return
    word = int(np.argmin(numbers.all(axis=1)))
    sentence = rows.sentence_ids[np.searchsorted(rows.offsets, word, side="right") - 1]
    raise InputError(
        f"{where}: expected emissions that are numbers or -inf, found NaN or +inf in sentence "
        f"{sentence}; train the teacher again with a lower learning_rate or clip"
    )


def _columns(rows: Emissions) -> list[pa.Array]:
    scores = rows_by_sentence(rows.offsets, rows.scores.astype(np.float32, copy=False))
    return [pa.array(rows.sentence_ids, pa.int32()), scores]
