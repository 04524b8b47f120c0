"""Parquet parts: the numbered files of a folder, written and read one row group at a time.

Every column has one encoding, chosen by measurement (`benchmarks/extraction.py`): bytes of a kind
together (BYTE_STREAM_SPLIT) under zstd at level 1; dictionaries only cost.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError

PART = 2000
"""Sentences a part: some MB, a second of work."""

SENTENCES, NUMBERS = 2000, 2**20
"""What a row group holds at most: sentences, and numbers of one column, unless one sentence has
more. Whoever reads or writes a part holds a group, whatever the part's size."""

REMEDY = "remove the folder and run the stage that writes it again"


def part_name(number: int) -> str:
    """The file name of a part, so that names sort as numbers do."""
    return f"part-{number:05d}.parquet"


def parts_of(folder: Path) -> list[Path]:
    """The parts of a folder, in order; InputError where there is none, or one is missing."""
    paths = sorted(folder.glob("part-*.parquet"))
    if [path.name for path in paths] != [part_name(number) for number in range(len(paths))]:
        raise InputError(f"{folder}: expected parts 0, 1, 2 …, found a gap; {REMEDY}")
    if not paths:
        raise InputError(f"{folder}: expected Parquet parts, found none; {REMEDY}")
    return paths


def groups_of(offsets: np.ndarray, width: int) -> Iterator[slice]:
    """Which sentences go into each row group, given where their words begin [sentences + 1].

    `width` is how many numbers a word has.
    """
    first = 0
    while first < len(offsets) - 1:
        end = int(np.searchsorted(offsets, offsets[first] + NUMBERS // width, side="right")) - 1
        end = max(first + 1, min(end, first + SENTENCES))
        yield slice(first, end)
        first = end


def write_part(
    path: Path,
    schema: pa.Schema,
    encodings: Mapping[str, str],
    groups: Iterable[list[pa.Array]],
    ending: Callable[[], Mapping[str, object]] = dict,
) -> None:
    """Write row groups, each the arrays of all columns; `encodings` names every leaf column.

    `ending` gives the metadata that only the last group tells.
    """
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding=dict(encodings),
        write_page_checksum=True,
    ) as file:
        for columns in groups:
            table = pa.Table.from_arrays(columns, schema=schema)
            file.write_table(table, row_group_size=max(1, len(table)))
        file.add_key_value_metadata(_encoded(ending()))


def columns_of(path: Path) -> list[str]:
    """The names of a part's columns."""
    with closing(_open(path)) as file:
        return file.schema_arrow.names


def type_of(path: Path, column: str) -> pa.DataType:
    """The type of one of a part's columns."""
    with closing(_open(path)) as file:
        return file.schema_arrow.field(column).type


def read_part(path: Path, columns: Iterable[str]) -> Iterator[pa.Table]:
    """Columns of a part, a row group at a time; InputError where it is damaged or lacks one."""
    wanted = [*columns]
    with closing(_open(path)) as file:
        lacking = sorted({*wanted} - {*file.schema_arrow.names})
        if lacking:
            found = ", ".join(file.schema_arrow.names)
            raise InputError(f"{path}: expected columns {lacking}, found {found}; {REMEDY}")
        for group in range(file.num_row_groups):
            try:
                yield file.read_row_group(group, columns=wanted, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(path, error) from None


def metadata_of(path: Path) -> dict[str, Any]:
    """What a part says of itself; InputError where it lacks its tag set."""
    with closing(_open(path)) as file:
        encoded = file.metadata.metadata or {}
    if b"tags" not in encoded:
        raise InputError(f"{path}: expected the metadata `tags`, found none; {REMEDY}")
    own = {key.decode(): value for key, value in encoded.items() if key != b"ARROW:schema"}
    return {key: json.loads(value) for key, value in own.items()}


def read_tags(folder: Path) -> tuple[str, ...]:
    """The tag set that the parts of a folder were written with."""
    return tuple(metadata_of(parts_of(folder)[0])["tags"])


def schema_of(columns: Mapping[str, pa.DataType], metadata: Mapping[str, object]) -> pa.Schema:
    """Columns without nulls, and metadata as JSON."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in columns.items()]
    return pa.schema(fields, metadata=_encoded(metadata))


def lists(offsets: np.ndarray, values: pa.Array) -> pa.ListArray:
    """Consecutive values as lists, the n-th from offsets[n] to offsets[n + 1]."""
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def rows_by_sentence(offsets: np.ndarray, rows: np.ndarray) -> pa.ListArray:
    """Rows [words, …] as a list of fixed-size lists for every sentence."""
    return lists(offsets, pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1]))


def rows_of(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of sentences [sentences + 1] and the rows of their words [words, …]."""
    sentences = column.combine_chunks()
    rows = sentences.values
    flat = rows.flatten().to_numpy(zero_copy_only=False)
    return sentences.offsets.to_numpy().astype(np.int64), flat.reshape(-1, rows.type.list_size)


def _encoded(metadata: Mapping[str, object]) -> dict[str, str]:
    return {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    found = str(error).splitlines()[0]
    return InputError(
        f"{path}: expected a whole Parquet file, found a damaged one ({found}); {REMEDY}"
    )
