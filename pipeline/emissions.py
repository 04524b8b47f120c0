"""Emissions on disk: what a teacher says of every word, in Parquet parts, read group by group.

Beside emissions a part may have columns that `score` was asked for: `saliency`, a number a word,
and `vectors`. Whoever reads names the columns; no other is read.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.parts import (
    columns_of,
    groups_of,
    lists,
    parts_of,
    read_part,
    rows_by_sentence,
    rows_of,
    schema_of,
    type_of,
    write_part,
)

Answer: TypeAlias = Literal["emissions", "saliency", "vectors"]
"""What a teacher may have said of each word."""
ANSWERS: tuple[Answer, ...] = get_args(Answer)

_LEAVES: dict[Answer, str] = {
    "emissions": "emissions.list.element.list.element",
    "saliency": "saliency.list.element",
    "vectors": "vectors.list.element.list.element",
}


@dataclass(frozen=True)
class Emissions:
    """The emissions of some sentences, one after the other.

    `sentence_ids` [sentences]; `offsets` [sentences + 1] into the words; `scores` [words, tags];
    `saliency` [words], in nats, and `vectors` [words, width] where they are known. Scores that were
    not read have no tags.
    """

    sentence_ids: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    saliency: np.ndarray | None = None
    vectors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sentence_ids)

    def __getitem__(self, chosen: slice) -> "Emissions":
        """Some consecutive sentences, without a copy of what was said of them."""
        offsets = self.offsets[chosen.start : chosen.stop + 1]
        words = slice(offsets[0], offsets[-1])
        said = (self.scores, self.saliency, self.vectors)
        some = (None if rows is None else rows[words] for rows in said)
        return Emissions(self.sentence_ids[chosen], offsets - offsets[0], *some)  # type: ignore[arg-type]

    @property
    def said(self) -> dict[Answer, np.ndarray]:
        """All that is known of the words, by column."""
        known = {"emissions": self.scores, "saliency": self.saliency, "vectors": self.vectors}
        return {name: known[name] for name in ANSWERS if known[name] is not None}


def joined(groups: Sequence[Emissions]) -> Emissions:
    """Consecutive groups with the same columns, as one."""
    lengths = np.concatenate([np.diff(group.offsets) for group in groups])
    said = {name: np.concatenate([group.said[name] for group in groups]) for name in groups[0].said}
    return Emissions(
        np.concatenate([group.sentence_ids for group in groups]),
        np.concatenate([[0], np.cumsum(lengths)]),
        said["emissions"],
        said.get("saliency"),
        said.get("vectors"),
    )


def write_emissions(path: Path, rows: Emissions, tags: Sequence[str]) -> None:
    """Write one part: emissions, and what else is known of the words."""
    widths = {name: said.shape[1] for name, said in rows.said.items() if said.ndim > 1}
    kinds: dict[Answer, pa.DataType] = {
        "emissions": pa.list_(pa.list_(pa.float32(), len(tags))),
        "saliency": pa.list_(pa.float32()),
        "vectors": pa.list_(pa.list_(pa.float16(), widths.get("vectors", 0))),
    }
    columns = {"sentence_id": pa.int32()} | {name: kinds[name] for name in rows.said}
    encodings = {"sentence_id": "DELTA_BINARY_PACKED"}
    encodings |= {_LEAVES[name]: "BYTE_STREAM_SPLIT" for name in rows.said}
    groups = (rows[group] for group in groups_of(rows.offsets, max(widths.values())))
    write_part(path, schema_of(columns, {"tags": list(tags)}), encodings, map(_columns, groups))


def answered(folder: Path) -> tuple[str, ...]:
    """What the first part of a folder holds of each word: some of `ANSWERS`."""
    return tuple(name for name in columns_of(parts_of(folder)[0]) if name in ANSWERS)


def width_of(folder: Path) -> int:
    """How many numbers the vectors in a folder have."""
    return type_of(parts_of(folder)[0], "vectors").value_type.list_size


def read_emissions(
    folder: Path, columns: Collection[Answer] = ("emissions",)
) -> Iterator[Emissions]:
    """Columns of a folder, a row group at a time, in order; errors as below."""
    for path in parts_of(folder):
        yield from read_emissions_part(path, columns)


def read_emissions_part(
    path: Path, columns: Collection[Answer] = ("emissions",)
) -> Iterator[Emissions]:
    """Columns of one part, a row group at a time, one column at least.

    InputError where it is damaged, lacks one or holds what is no number.
    """
    for table in read_part(path, ("sentence_id", *columns)):
        rows = _rows(table)
        refuse_non_numbers(rows, str(path))
        yield rows


def refuse_non_numbers(rows: Emissions, where: str) -> None:
    """Raise InputError where an emission is NaN or +inf; -inf forbids a tag. Vectors are finite."""
    numbers = (rows.scores < np.inf).all(axis=1)
    if rows.vectors is not None:
        numbers &= np.isfinite(rows.vectors).all(axis=1)
    if numbers.all():
        return
    word = int(np.argmin(numbers))
    sentence = rows.sentence_ids[np.searchsorted(rows.offsets, word, side="right") - 1]
    raise InputError(
        f"{where}: expected emissions that are numbers or -inf, found NaN or +inf in sentence "
        f"{sentence}; train the teacher again with a lower learning_rate or clip"
    )


def _columns(rows: Emissions) -> list[pa.Array]:
    offsets, columns = rows.offsets, [pa.array(rows.sentence_ids, pa.int32())]
    columns.append(rows_by_sentence(offsets, rows.scores.astype(np.float32, copy=False)))
    if rows.saliency is not None:
        columns.append(lists(offsets, pa.array(rows.saliency.astype(np.float32, copy=False))))
    if rows.vectors is not None:
        columns.append(rows_by_sentence(offsets, rows.vectors.astype(np.float16, copy=False)))
    return columns


def _rows(table: pa.Table) -> Emissions:
    """A row group; each column tells where sentences begin."""
    said: dict[str, np.ndarray] = {}
    offsets = np.zeros(1, dtype=np.int64)
    for name in table.column_names:
        if name in ("emissions", "vectors"):
            offsets, said[name] = rows_of(table[name])
        elif name == "saliency":
            column = table[name].combine_chunks()
            offsets, said[name] = (
                column.offsets.to_numpy().astype(np.int64),
                column.flatten().to_numpy(),
            )
    scores = said.get("emissions", np.zeros((offsets[-1], 0), dtype=np.float32))
    ids = table["sentence_id"].to_numpy()
    return Emissions(ids, offsets, scores, said.get("saliency"), said.get("vectors"))
