"""Examples written: sentences, gold tags and what is read of their teacher's, in one Arrow file.

Part by part, so that memory does not grow with the corpus.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays import Vocabulary
from pipeline.corpus import Split
from pipeline.emissions import Emissions, joined
from pipeline.errors import InputError
from pipeline.losses.supervision import Reading
from pipeline.parts import PART, lists
from pipeline.targets import TargetRows

_SENTENCES = {
    "words": pa.list_(pa.dictionary(pa.int32(), pa.string())),
    "gold": pa.list_(pa.int16()),
}
_TAUGHT = {"path_log_probs": pa.list_(pa.float32())}
_SPEAKER = {"teacher": pa.list_(pa.int16())}
_READ: dict[Reading, dict[str, pa.DataType]] = {
    "paths": {"paths": pa.list_(pa.int16())},
    "marginals": {"log_marginals": pa.list_(pa.float16())},
    "emissions": {"emissions": pa.list_(pa.float32()), **_SPEAKER},
    "vectors": {"vectors": pa.list_(pa.float16()), **_SPEAKER},
    "saliency": {"saliency": pa.list_(pa.float32())},
}


@dataclass(frozen=True)
class Lesson:
    """A split, and what its teacher says of its sentences, in their order; by nobody: nothing.

    `emissions` has the columns that are read beside targets: emissions, vectors, saliency.
    `teacher` is its number among those whose scores between tags `Examples` is given.
    """

    split: Split
    targets: Iterable[TargetRows] | None = None
    emissions: Iterable[Emissions] | None = None
    teacher: int = 0


def write_examples(
    path: Path, lessons: Iterable[Lesson], limit: int, reads: Collection[Reading]
) -> None:
    """Write splits, each with what is read of its teacher's, as one Arrow file.

    At most `limit` sentences are taken of an unlabelled split. Raises InputError where targets do
    not belong to the sentences.
    """
    # Words that a part adds are written with it; all that came before are in the file.
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    numbered, schema = Vocabulary().numbered, _schema(reads)
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=options) as file,
    ):
        for lesson in lessons:
            for columns in _parts(lesson, taken(lesson.split, limit), numbered):
                nothing = [[]] * len(columns["words"])
                arrays = [
                    pa.array(nothing, field.type)
                    if (known := columns.get(field.name)) is None
                    else known
                    for field in schema
                ]
                file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def taken(split: Split, limit: int) -> int:
    """How many of its sentences are learnt from: of an unlabelled split at most `limit`."""
    return len(split) if split.tags is not None else min(limit, len(split))


_Numbered: TypeAlias = Callable[[pa.Array], pa.DictionaryArray]
_Columns: TypeAlias = dict[str, pa.Array]


def _schema(reads: Collection[Reading]) -> pa.Schema:
    """Words and gold, and of the teacher's what is read."""
    columns = _SENTENCES | (_TAUGHT if reads else {})
    for reading, more in _READ.items():
        columns |= more if reading in reads else {}
    return pa.schema(columns)


def _labelled(split: Split) -> bool:
    """Whether it has gold tags; asked of the table, for `split.tags` makes a string of each."""
    return split.table["tags"].null_count < len(split)


def _sentences(split: Split, first: int, count: int, numbered: _Numbered) -> _Columns:
    """Words and gold of some sentences: tags as numbers, null where the split is unlabelled."""
    rows = split.table.slice(first, count)
    words = rows["words"].combine_chunks()
    offsets = np.concatenate([[0], np.cumsum(words.value_lengths().to_numpy())])
    spelled = lists(offsets, numbered(words.flatten()))
    if not _labelled(split):
        return {"words": spelled, "gold": pa.nulls(count, pa.list_(pa.int16()))}
    options = pc.SetLookupOptions(value_set=pa.array(split.tag_set, pa.string()))
    tags = pc.call_function("index_in", [rows["tags"].combine_chunks().flatten()], options)
    return {"words": spelled, "gold": lists(offsets, tags.cast(pa.int16()))}


def _parts(lesson: Lesson, size: int, numbered: _Numbered) -> Iterator[_Columns]:
    """The columns of its first `size` sentences, part by part."""
    if lesson.targets is None:
        for first in range(0, size, PART):
            yield _sentences(lesson.split, first, min(PART, size - first), numbered)
        return
    split, first = lesson.split, 0
    emissions = None if lesson.emissions is None else _Stream(lesson.emissions, split)
    for rows in lesson.targets if size else ():
        count = min(len(rows), size - first)
        columns = _sentences(split, first, count, numbered)
        _refuse_strangers(split, "targets", rows.sentence_ids, rows.offsets, first, columns)
        columns |= _taught_columns(rows, count, lesson.teacher)
        if emissions is not None:
            scores = emissions.take(count)
            found = scores.sentence_ids, scores.offsets
            _refuse_strangers(split, "emissions", *found, first, columns)
            columns |= _said(scores)
        yield columns
        first += count
        if first >= size:
            return
    if first < size:
        raise InputError(
            f"{split.path}: expected targets for {size} sentences, found {first}; "
            "run the stages score and extract again"
        )


def _taught_columns(rows: TargetRows, count: int, teacher: int) -> _Columns:
    """Paths, their log-probabilities and log-marginals of the first `count` sentences."""
    offsets, counts = rows.offsets[: count + 1], rows.counts[:count]
    paths = np.concatenate([[0], np.cumsum(counts * np.diff(offsets))])
    log_probs = np.concatenate([[0], np.cumsum(counts)])
    taught = np.concatenate([[0], np.cumsum(counts > 0)])
    marginals = rows.log_marginals[: offsets[-1]].astype(np.float16, copy=False)
    return {
        "paths": lists(paths, pa.array(rows.paths[: paths[-1]])),
        "path_log_probs": lists(
            log_probs, pa.array(rows.path_log_probs[: log_probs[-1]], pa.float32())
        ),
        "log_marginals": _numbers(offsets, marginals),
        # No number where no path fits: such a sentence has no teacher.
        "teacher": lists(taught, pa.array(np.full(taught[-1], teacher, dtype=np.int16))),
    }


def _said(rows: Emissions) -> _Columns:
    """What a teacher says of each word; of scores that are not read, no number."""
    return {
        name: _numbers(rows.offsets, said.reshape(len(said), *said.shape[1:] or (1,)))
        for name, said in rows.said.items()
    }


def _numbers(offsets: np.ndarray, rows: np.ndarray) -> pa.ListArray:
    """Rows [words, numbers] as one list for every sentence."""
    return lists(offsets * rows.shape[1], pa.array(rows.ravel()))


def _refuse_strangers(
    split: Split,
    what: str,
    ids: np.ndarray,
    offsets: np.ndarray,
    first: int,
    columns: _Columns,
) -> None:
    lengths = columns["words"].value_lengths().to_numpy()
    wanted = split.table["sentence_id"].slice(first, len(lengths)).to_numpy()
    same = np.array_equal(ids[: len(lengths)], wanted)
    if not same or not np.array_equal(np.diff(offsets)[: len(lengths)], lengths):
        raise InputError(
            f"{split.path}: expected {what} of these sentences, found those of other text; "
            "run the stages score and extract again"
        )


class _Stream:
    """Emissions, any number of sentences at a time: targets have row groups of other sizes."""

    def __init__(self, groups: Iterable[Emissions], split: Split) -> None:
        self._groups, self._split = iter(groups), split
        self._rest: Emissions | None = None

    def take(self, count: int) -> Emissions:
        """The next sentences."""
        parts: list[Emissions] = []
        while count:
            rows = self._rest or next(self._groups, None)
            if rows is None:
                raise InputError(
                    f"{self._split.path}: expected emissions of all sentences, found those of "
                    "fewer; run the stages score and extract again"
                )
            parts.append(rows[: min(count, len(rows))])
            self._rest = rows[len(parts[-1]) : len(rows)] if len(rows) > count else None
            count -= len(parts[-1])
        return joined(parts)
