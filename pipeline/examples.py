"""What a student learns from: sentences, gold tags and targets, memory-mapped from one Arrow file.

Memory does not grow with the corpus: the file is written part by part, and a batch touches only
the pages that it reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from pipeline.corpus import Split
from pipeline.errors import InputError
from pipeline.objectives import Gold, Targets
from pipeline.targets import PART, TargetRows

_SCHEMA = pa.schema(
    {
        "words": pa.list_(pa.string()),
        "gold": pa.list_(pa.int16()),
        "paths": pa.list_(pa.int16()),
        "path_log_probs": pa.list_(pa.float32()),
        "log_marginals": pa.list_(pa.float16()),
    }
)


def write_examples(
    path: Path, parts: Iterable[tuple[Split, Iterable[TargetRows] | None]], limit: int
) -> None:
    """Write splits, each with its targets where it has any, as one Arrow file.

    At most `limit` sentences are taken of an unlabelled split. Raises InputError where targets do
    not belong to the sentences.
    """
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as file:
        for split, targets in parts:
            size = len(split) if split.tags is not None else min(limit, len(split))
            for batch in (
                _untaught(split, size) if targets is None else _taught(split, targets, size)
            ):
                file.write_batch(batch)


class Examples:
    """Random access to the sentences of a file that `write_examples` wrote."""

    def __init__(self, path: Path, tags: int) -> None:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._parts = [_Part(batch, tags) for batch in table.to_batches() if len(batch)]
        self._borders = np.cumsum([0, *(len(part.lengths) for part in self._parts)])
        self._tags = tags
        self.lengths: list[int] = [n for part in self._parts for n in part.lengths.tolist()]

    def __len__(self) -> int:
        return len(self.lengths)

    def words(self) -> Iterator[list[str]]:
        """The words of every sentence, in order."""
        return (part.words(row) for part in self._parts for row in range(len(part.lengths)))

    def batch(self, chosen: Sequence[int]) -> tuple[list[list[str]], tuple[Gold, Targets]]:
        """Words, gold and targets of some sentences, padded to the longest; no targets: no path."""
        rows = [self._row(index) for index in chosen]
        longest = max(self.lengths[index] for index in chosen)
        k = max(1, *(len(part.log_probs(row)) for part, row in rows))
        gold = np.zeros((len(rows), longest), dtype=np.int64)
        paths = np.zeros((len(rows), k, longest), dtype=np.int64)
        log_probs = np.full((len(rows), k), -np.inf, dtype=np.float32)
        marginals = np.zeros((len(rows), longest, self._tags), dtype=np.float32)
        for place, (part, row) in enumerate(rows):
            length = part.lengths[row]
            if part.labelled[row]:
                gold[place, :length] = part.gold(row)
            probabilities = part.log_probs(row)
            if len(probabilities):
                log_probs[place, : len(probabilities)] = probabilities
                paths[place, : len(probabilities), :length] = part.paths(row)
                marginals[place, :length] = part.log_marginals(row)
        labelled = torch.tensor([bool(part.labelled[row]) for part, row in rows])
        targets = Targets(*map(torch.from_numpy, (paths, log_probs, marginals)))
        words = [part.words(row) for part, row in rows]
        return words, (Gold(torch.from_numpy(gold), labelled), targets)

    def _row(self, index: int) -> tuple["_Part", int]:
        number = int(np.searchsorted(self._borders, index, side="right")) - 1
        return self._parts[number], index - int(self._borders[number])


@dataclass(frozen=True)
class _Column:
    """Offsets and values of a list column, views of the file."""

    offsets: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, column: pa.ListArray) -> "_Column":
        return cls(column.offsets.to_numpy(), column.values.to_numpy(zero_copy_only=False))

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]


class _Part:
    """One record batch, its columns as views."""

    def __init__(self, batch: pa.RecordBatch, tags: int) -> None:
        words = batch.column("words")
        self._words, self._borders, self._tags = words.values, words.offsets.to_numpy(), tags
        self.lengths = np.diff(self._borders)
        self.labelled = batch.column("gold").is_valid().to_numpy(zero_copy_only=False)
        self.gold, self.log_probs = (
            _Column.of(batch.column(name)).__getitem__ for name in ("gold", "path_log_probs")
        )
        self._paths, self._marginals = (
            _Column.of(batch.column(name)) for name in ("paths", "log_marginals")
        )

    def words(self, row: int) -> list[str]:
        first, end = self._borders[row], self._borders[row + 1]
        return self._words.slice(first, end - first).to_pylist()

    def paths(self, row: int) -> np.ndarray:
        return self._paths[row].reshape(-1, self.lengths[row])

    def log_marginals(self, row: int) -> np.ndarray:
        return self._marginals[row].reshape(self.lengths[row], self._tags)


def _sentences(split: Split, first: int, count: int) -> tuple[pa.Array, pa.Array]:
    """Words and gold of some sentences: tags as numbers, null where the split is unlabelled."""
    rows = split.table.slice(first, count)
    words = pa.array(rows["words"].to_pylist(), pa.list_(pa.string()))
    index = {tag: number for number, tag in enumerate(split.tag_set)}
    gold = [
        None if tags is None else [index[tag] for tag in tags] for tags in rows["tags"].to_pylist()
    ]
    return words, pa.array(gold, pa.list_(pa.int16()))


def _untaught(split: Split, size: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, size, PART):
        count = min(PART, size - first)
        empty = [pa.array([[]] * count, _SCHEMA.field(name).type) for name in _SCHEMA.names[2:]]
        columns = [*_sentences(split, first, count), *empty]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _taught(split: Split, targets: Iterable[TargetRows], size: int) -> Iterator[pa.RecordBatch]:
    first = 0
    for rows in targets:
        if first >= size:
            return
        count = min(len(rows.sentence_ids), size - first)
        words, gold = _sentences(split, first, count)
        _refuse_strangers(split, rows, first, words)
        columns = [
            words,
            gold,
            _lists([paths.ravel() for paths in rows.paths[:count]], np.int16),
            _lists(rows.path_log_probs[:count], np.float32),
            _marginals(rows, count),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
        first += count
    if first < size:
        raise InputError(
            f"{split.path}: expected targets for {size} sentences, found {first}; "
            "run the stages score and extract again"
        )


def _refuse_strangers(split: Split, rows: TargetRows, first: int, words: pa.Array) -> None:
    ids = split.table["sentence_id"].slice(first, len(words)).to_numpy()
    lengths = np.diff(words.offsets.to_numpy())
    same = np.array_equal(rows.sentence_ids[: len(ids)], ids)
    if not same or not np.array_equal(np.diff(rows.offsets)[: len(ids)], lengths):
        raise InputError(
            f"{split.path}: expected targets of these sentences, found those of other text; "
            "run the stages score and extract again"
        )


def _lists(rows: Sequence[np.ndarray], kind: type) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    flat = np.concatenate([*rows, np.zeros(0)]).astype(kind)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def _marginals(rows: TargetRows, count: int) -> pa.ListArray:
    tags = rows.log_marginals.shape[1]
    flat = rows.log_marginals[: rows.offsets[count]].ravel()
    offsets = (rows.offsets[: count + 1] * tags).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
