"""Emissions and targets on disk: Parquet parts of a fixed number of sentences, read by column.

Metadata `tags` names the tag set; numbers are always those at temperature 1. A part is written
whole or not at all, so that a stage can go on where it stopped.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError

PART = 2000
"""Sentences a part: some MB, a second of work."""


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


@dataclass(frozen=True)
class TargetRows:
    """Targets of some sentences, one after the other, as the file holds them.

    `paths` [sentence][path][word] best first; `path_log_probs` [sentence][path];
    `log_partition` [sentences]; `log_marginals` [words, tags] float16, words as in `offsets`.
    """

    sentence_ids: np.ndarray
    offsets: np.ndarray
    paths: list[np.ndarray]
    path_log_probs: list[np.ndarray]
    log_partition: np.ndarray
    log_marginals: np.ndarray


def part_name(number: int) -> str:
    """The file name of a part, so that names sort as numbers do."""
    return f"part-{number:05d}.parquet"


def write_emissions(path: Path, rows: Emissions, tags: Sequence[str]) -> None:
    """Write one part of emissions."""
    columns = {
        "sentence_id": pa.array(rows.sentence_ids, pa.int32()),
        "emissions": _by_sentence(rows.offsets, rows.scores.astype(np.float32)),
    }
    _write(path, columns, {"tags": list(tags)})


def write_targets(path: Path, rows: TargetRows, tags: Sequence[str], k: int) -> None:
    """Write one part of targets."""
    counts = np.array([len(probabilities) for probabilities in rows.path_log_probs])
    words = np.repeat(np.diff(rows.offsets), counts)
    flat = np.concatenate([paths.ravel() for paths in rows.paths] or [np.zeros(0)])
    each = pa.ListArray.from_arrays(_offsets(words), pa.array(flat.astype(np.int16)))
    columns = {
        "sentence_id": pa.array(rows.sentence_ids, pa.int32()),
        "paths": pa.ListArray.from_arrays(_offsets(counts), each),
        "path_log_probs": pa.ListArray.from_arrays(
            _offsets(counts),
            pa.array(np.concatenate([*rows.path_log_probs, np.zeros(0)]).astype(np.float32)),
        ),
        "log_partition": pa.array(rows.log_partition, pa.float32()),
        "log_marginals": _by_sentence(rows.offsets, rows.log_marginals.astype(np.float16)),
    }
    _write(path, columns, {"tags": list(tags), "k": k})


def read_emissions(folder: Path) -> Iterator[Emissions]:
    """The parts of a folder, in order; InputError where one is missing or damaged."""
    for table in _tables(folder):
        offsets, scores = _words(table["emissions"])
        yield Emissions(table["sentence_id"].to_numpy(), offsets, scores)


def read_targets(folder: Path) -> Iterator[TargetRows]:
    """The parts of a folder, in order; InputError where one is missing or damaged."""
    for table in _tables(folder):
        offsets, log_marginals = _words(table["log_marginals"])
        counts = table["path_log_probs"].combine_chunks()
        borders = counts.offsets.to_numpy()
        paths = table["paths"].combine_chunks().values.values.to_numpy()
        lengths = np.diff(offsets)
        starts = np.concatenate([[0], np.cumsum(np.diff(borders) * lengths)])
        yield TargetRows(
            table["sentence_id"].to_numpy(),
            offsets,
            [paths[starts[i] : starts[i + 1]].reshape(-1, lengths[i]) for i in range(len(lengths))],
            np.split(counts.values.to_numpy(), borders[1:-1]),
            table["log_partition"].to_numpy(),
            log_marginals,
        )


def read_tags(folder: Path) -> tuple[str, ...]:
    """The tag set that the parts of a folder were written with."""
    path = _parts(folder)[0]
    with _open(path) as file:
        metadata = file.schema_arrow.metadata or {}
    if b"tags" not in metadata:
        raise InputError(f"{path}: expected the metadata `tags`, found none; {_REMEDY}")
    return tuple(json.loads(metadata[b"tags"]))


def padded(rows: np.ndarray, offsets: np.ndarray, sentences: Sequence[int]) -> np.ndarray:
    """Rows of words [words, …] as a padded batch [batch, longest, …] of the named sentences."""
    lengths = [int(offsets[i + 1] - offsets[i]) for i in sentences]
    batch = np.zeros((len(lengths), max(lengths, default=0), *rows.shape[1:]), dtype=rows.dtype)
    for place, (sentence, length) in enumerate(zip(sentences, lengths, strict=True)):
        batch[place, :length] = rows[offsets[sentence] : offsets[sentence] + length]
    return batch


_REMEDY = "remove the folder and run the stage that writes it again"


def _offsets(counts: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))


def _by_sentence(offsets: np.ndarray, rows: np.ndarray) -> pa.ListArray:
    values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _words(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of sentences and the rows of their words [words, tags]."""
    sentences = column.combine_chunks()
    rows = sentences.values
    return (
        sentences.offsets.to_numpy(),
        rows.flatten().to_numpy(zero_copy_only=False).reshape(-1, rows.type.list_size),
    )


def _write(path: Path, columns: dict[str, pa.Array], metadata: dict[str, object]) -> None:
    encoded = {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
    schema = pa.schema(
        [pa.field(name, column.type, nullable=False) for name, column in columns.items()],
        metadata=encoded,
    )
    # Dictionaries only cost on floats; a tag recurs, so paths keep theirs.
    pq.write_table(
        pa.Table.from_arrays(list(columns.values()), schema=schema),
        path,
        compression="zstd",
        use_dictionary=["paths.list.element.list.element"],  # pyright: ignore[reportArgumentType]
        write_page_checksum=True,
    )


def _tables(folder: Path) -> Iterator[pa.Table]:
    for path in _parts(folder):
        with _open(path) as file:
            try:
                yield file.read()
            except (pa.ArrowException, OSError) as error:
                raise _damaged(path, error) from None


def _parts(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("part-*.parquet"))
    if [path.name for path in paths] != [part_name(number) for number in range(len(paths))]:
        raise InputError(f"{folder}: expected parts 0, 1, 2 …, found a gap; {_REMEDY}")
    if not paths:
        raise InputError(f"{folder}: expected Parquet parts, found none; {_REMEDY}")
    return paths


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    found = str(error).splitlines()[0]
    return InputError(
        f"{path}: expected a whole Parquet file, found a damaged one ({found}); {_REMEDY}"
    )
