"""The tables that every later stage reads: `<corpus>/<split>.parquet`, one sentence a row.

How raw files become these tables is `sources.py` and `splits.py`: training must not run again
because a reader of raw files changed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.tags import Scheme, canonical

SPLITS = ("train", "dev", "test", "transfer")
SENTENCES_PER_GROUP = 1_000

_SCHEMA = pa.schema(
    [
        pa.field("sentence_id", pa.int32(), nullable=False),
        pa.field("words", pa.list_(pa.string()), nullable=False),
        pa.field("tags", pa.list_(pa.string())),
    ]
)
_KEYS = ("tags", "scheme")
_REMEDY = "run `dvc repro prepare` to write it again"


@dataclass(frozen=True)
class Split:
    """One split of one corpus; `table` has the columns of `_SCHEMA`, rows in order of the text."""

    path: Path
    table: pa.Table
    tag_set: tuple[str, ...]
    scheme: Scheme

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def sentence_ids(self) -> list[int]:
        """The id of each sentence: 0, 1, 2 … in what `prepare` writes."""
        return self.table["sentence_id"].to_pylist()

    @cached_property
    def words(self) -> list[list[str]]:
        """The words of each sentence, at least one."""
        return self.table["words"].to_pylist()

    @cached_property
    def tags(self) -> list[list[str]] | None:
        """One tag a word, each in `tag_set`; None where the split is unlabelled."""
        tags = self.table["tags"]
        return None if tags.null_count == len(tags) else tags.to_pylist()


def split_path(folder: Path, corpus: str, split: str) -> Path:
    """Where a split lies; a split that a corpus lacks has no file."""
    return folder / corpus / f"{split}.parquet"


def write_split(
    path: Path,
    words: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]] | None,
    *,
    tag_set: Sequence[str],
    scheme: str,
) -> None:
    """Write one split; equal input gives equal bytes. Sentence ids count from 0."""
    metadata = {"tags": json.dumps(list(tag_set), ensure_ascii=False), "scheme": scheme}
    columns = [range(len(words)), words, [None] * len(words) if tags is None else tags]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, _SCHEMA, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata(metadata))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=SENTENCES_PER_GROUP,
        write_page_checksum=True,
    )


def read_split(path: Path) -> Split:
    """The split at `path`, memory-mapped.

    Raises InputError where the file is missing, damaged, or not a table that `write_split` wrote.
    """
    try:
        table = _mapped(path)
        metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        _refuse_other_columns(path, table.schema, metadata)
        tag_set, scheme = tuple(json.loads(metadata["tags"])), canonical(metadata["scheme"])
    except FileNotFoundError:
        raise InputError(f"{path}: expected a Parquet table, found no file; {_REMEDY}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        found = str(error).splitlines()[0]
        raise InputError(
            f"{path}: expected a Parquet table, found a damaged or other file ({found}); {_REMEDY}"
        ) from None
    split = Split(path, table.select(_SCHEMA.names), tag_set, scheme)
    _refuse_faulty_rows(split)
    return split


def _mapped(path: Path) -> pa.Table:
    # A file alone: `pq.read_table` would make columns of folders named `key=value`.
    return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True).read()


def _refuse_other_columns(path: Path, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
    """Raise InputError unless the columns and metadata are there and of the right type."""
    types = {field.name: field.type for field in schema}
    if all(types.get(field.name) == field.type for field in _SCHEMA) and {*_KEYS} <= {*metadata}:
        return
    raise InputError(
        f"{path}: expected columns {_columns(_SCHEMA)}; metadata {', '.join(_KEYS)}; "
        f"found columns {_columns(schema)}; metadata {', '.join(metadata) or 'none'}; {_REMEDY}"
    )


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema) or "none"


def _refuse_faulty_rows(split: Split) -> None:
    """Raise InputError unless each row has words, and all or none have one known tag a word."""
    words, tags = split.table["words"], split.table["tags"]
    lengths = _call("list_value_length", words)
    if words.null_count or 0 in _call("unique", lengths).to_pylist():
        raise InputError(f"{split.path}: expected words in each row, found rows without; {_REMEDY}")
    if tags.null_count == len(tags):
        return
    if tags.null_count or lengths != _call("list_value_length", tags):
        raise InputError(
            f"{split.path}: expected one tag a word in every row (or null in all of them), "
            f"found rows with more, fewer or none; {_REMEDY}"
        )
    unknown = {*_call("unique", _call("list_flatten", tags)).to_pylist()} - {*split.tag_set}
    if unknown:
        raise InputError(
            f"{split.path}: expected the tags {', '.join(split.tag_set)}; "
            f"found {', '.join(sorted(map(str, unknown)))}; {_REMEDY}"
        )


def _call(function: str, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """An Arrow function by name: as attributes they exist only at run time, unseen by pyright."""
    return pc.call_function(function, [column])
