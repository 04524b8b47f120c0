"""What a student learns from: sentences, gold tags and targets, memory-mapped from one Arrow file.

Memory does not grow with the corpus: the file is written part by part, and a batch touches only
the pages that it reads. A batch is gathered from the file's own bytes; of objects there is one for
each distinct word, not for each word.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pipeline.corpus import Split
from pipeline.errors import InputError
from pipeline.kernels.padding import gather
from pipeline.objectives import Gold, Targets
from pipeline.parts import PART, lists
from pipeline.targets import TargetRows

_SCHEMA = pa.schema(
    {
        "words": pa.list_(pa.dictionary(pa.int32(), pa.string())),
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
    # Words that a part adds are written with it; all that came before are in the file.
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    numbered = _Vocabulary().numbered
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA, options=options) as file,
    ):
        for split, targets in parts:
            size = len(split) if split.tags is not None else min(limit, len(split))
            for batch in (
                _untaught(split, size, numbered)
                if targets is None
                else _taught(split, targets, size, numbered)
            ):
                file.write_batch(batch)


class Examples:
    """Random access to the sentences of a file that `write_examples` wrote.

    `lengths` counts the words of each.
    """

    def __init__(self, path: Path, tags: int) -> None:
        file = pa.memory_map(str(path)).read_buffer()
        reader = pa.ipc.open_file(file)
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._columns = {name: _Column(file, batches, name) for name in _SCHEMA.names}
        self._tags, self._lengths = tags, self._columns["words"].lengths
        self.lengths: list[int] = self._lengths.tolist()
        known = batches[-1].column("words").values.dictionary.to_pylist() if batches else []
        self._vocabulary = np.array(known, dtype=object)

    def __len__(self) -> int:
        return len(self.lengths)

    def words(self) -> Iterator[list[str]]:
        """The words of every sentence, in order."""
        for first in range(0, len(self), PART):
            yield from self._words(np.arange(first, min(first + PART, len(self))))

    def batch(self, chosen: Sequence[int]) -> tuple[list[list[str]], tuple[Gold, Targets]]:
        """Words, gold and targets of some sentences, padded to the longest; no targets: no path."""
        rows = np.asarray(chosen)
        return self._words(rows), (self._gold(rows), self._targets(rows))

    def _words(self, rows: np.ndarray) -> list[list[str]]:
        lengths = self._lengths[rows]
        batch = np.zeros((len(rows), 1, lengths.max(initial=0)), dtype=np.int64)
        numbers = self._columns["words"].gathered(rows, np.ones_like(lengths), lengths, batch)
        padded = self._vocabulary[numbers[:, 0]].tolist()
        return [words[:n] for words, n in zip(padded, lengths.tolist(), strict=True)]

    def _gold(self, rows: np.ndarray) -> Gold:
        lengths, column = self._lengths[rows], self._columns["gold"]
        labelled = column.lengths[rows] > 0
        batch = np.zeros((len(rows), 1, lengths.max()), dtype=np.int64)
        tags = column.gathered(rows, labelled.astype(np.int64), lengths, batch)[:, 0]
        return Gold(torch.from_numpy(tags), torch.from_numpy(labelled))

    def _targets(self, rows: np.ndarray) -> Targets:
        lengths, columns = self._lengths[rows], self._columns
        counts = columns["path_log_probs"].lengths[rows]
        size, longest, k = len(rows), lengths.max(), max(1, counts.max())
        once = (counts > 0).astype(np.int64)
        paths = np.zeros((size, k, longest), dtype=np.int64)
        log_probs = np.full((size, 1, k), -np.inf, dtype=np.float32)
        marginals = np.zeros((size, 1, longest * self._tags), dtype=np.uint16)
        columns["paths"].gathered(rows, counts, lengths, paths)
        columns["path_log_probs"].gathered(rows, once, counts, log_probs)
        columns["log_marginals"].gathered(rows, once, lengths * self._tags, marginals)
        halves = torch.from_numpy(marginals.view(np.float16)).view(size, longest, self._tags)
        return Targets(torch.from_numpy(paths), torch.from_numpy(log_probs[:, 0]), halves.float())


class _Column:
    """Where each sentence's numbers of one column lie in the file, seen as one array of numbers.

    `starts`, `lengths` [sentences]. Halves are gathered as 16 bits: the kernels know no such float.
    """

    def __init__(self, file: pa.Buffer, batches: Sequence[pa.RecordBatch], name: str) -> None:
        kind = np.dtype(_KINDS[name])
        self._values = np.frombuffer(file, kind, file.size // kind.itemsize)
        starts, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for batch in batches:
            column = batch.column(name)
            values = column.values.indices if name == "words" else column.values
            borders = column.offsets.to_numpy().astype(np.int64)
            if len(values):
                address = values.buffers()[1].address - file.address
                borders += address // kind.itemsize + values.offset
            starts.append(borders[:-1])
            lengths.append(np.diff(borders))
        self.starts, self.lengths = np.concatenate(starts), np.concatenate(lengths)

    def gathered(
        self, chosen: np.ndarray, rows: np.ndarray, lengths: np.ndarray, batch: np.ndarray
    ) -> np.ndarray:
        """`batch` [chosen, rows, numbers], into which so many rows of so many numbers are read."""
        gather(self._values, self.starts[chosen], rows, lengths, batch)
        return batch


_KINDS = {
    "words": np.int32,
    "gold": np.int16,
    "paths": np.int16,
    "path_log_probs": np.float32,
    "log_marginals": np.uint16,
}


class _Vocabulary:
    """The distinct words so far, in order of their first occurrence."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._known = pa.array([], pa.string())

    def numbered(self, words: pa.Array) -> pa.DictionaryArray:
        """Words as their places in the vocabulary, which learns those that are new."""
        encoded = words.dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        new = [word for word in distinct if word not in self._places]
        for word in new:
            self._places[word] = len(self._places)
        self._known = pa.concat_arrays([self._known, pa.array(new, pa.string())])
        places = np.array([self._places[word] for word in distinct], dtype=np.int32)
        numbers = places[encoded.indices.to_numpy()]
        return pa.DictionaryArray.from_arrays(pa.array(numbers), self._known)


_Numbered: TypeAlias = Callable[[pa.Array], pa.DictionaryArray]


def _labelled(split: Split) -> bool:
    """Whether it has gold tags; asked of the table, for `split.tags` makes a string of each."""
    return split.table["tags"].null_count < len(split)


def _sentences(
    split: Split, first: int, count: int, numbered: _Numbered
) -> tuple[pa.ListArray, pa.ListArray]:
    """Words and gold of some sentences: tags as numbers, null where the split is unlabelled."""
    rows = split.table.slice(first, count)
    words = rows["words"].combine_chunks()
    offsets = np.concatenate([[0], np.cumsum(words.value_lengths().to_numpy())])
    spelled = lists(offsets, numbered(words.flatten()))
    if not _labelled(split):
        return spelled, pa.nulls(count, pa.list_(pa.int16()))
    options = pc.SetLookupOptions(value_set=pa.array(split.tag_set, pa.string()))
    tags = pc.call_function("index_in", [rows["tags"].combine_chunks().flatten()], options)
    return spelled, lists(offsets, tags.cast(pa.int16()))


def _untaught(split: Split, size: int, numbered: _Numbered) -> Iterator[pa.RecordBatch]:
    for first in range(0, size, PART):
        count = min(PART, size - first)
        empty = [pa.array([[]] * count, _SCHEMA.field(name).type) for name in _SCHEMA.names[2:]]
        columns = [*_sentences(split, first, count, numbered), *empty]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _taught(
    split: Split, targets: Iterable[TargetRows], size: int, numbered: _Numbered
) -> Iterator[pa.RecordBatch]:
    first = 0
    for rows in targets:
        if first >= size:
            return
        count = min(len(rows), size - first)
        words, gold = _sentences(split, first, count, numbered)
        _refuse_strangers(split, rows, first, words)
        columns = [words, gold, *_taught_columns(rows, count)]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
        first += count
    if first < size:
        raise InputError(
            f"{split.path}: expected targets for {size} sentences, found {first}; "
            "run the stages score and extract again"
        )


def _taught_columns(rows: TargetRows, count: int) -> list[pa.ListArray]:
    """Paths, their log-probabilities and log-marginals of the first `count` sentences."""
    offsets, counts = rows.offsets[: count + 1], rows.counts[:count]
    paths = np.concatenate([[0], np.cumsum(counts * np.diff(offsets))])
    log_probs = np.concatenate([[0], np.cumsum(counts)])
    marginals = rows.log_marginals[: offsets[-1]].astype(np.float16, copy=False)
    return [
        lists(paths, pa.array(rows.paths[: paths[-1]])),
        lists(log_probs, pa.array(rows.path_log_probs[: log_probs[-1]], pa.float32())),
        lists(offsets * marginals.shape[1], pa.array(marginals.ravel())),
    ]


def _refuse_strangers(split: Split, rows: TargetRows, first: int, words: pa.ListArray) -> None:
    ids = split.table["sentence_id"].slice(first, len(words)).to_numpy()
    same = np.array_equal(rows.sentence_ids[: len(ids)], ids)
    lengths = words.value_lengths().to_numpy()
    if not same or not np.array_equal(np.diff(rows.offsets)[: len(ids)], lengths):
        raise InputError(
            f"{split.path}: expected targets of these sentences, found those of other text; "
            "run the stages score and extract again"
        )
