"""Targets on disk: the best paths and the marginals of every sentence, in Parquet parts.

Numbers are those at temperature 1. Marginals are stored whole (`log_marginals`), or only those that
are large enough: `kept_tags` and `kept_log_marginals` then list, for every word, the tags that were
kept, lowest first, and what reads them here makes each word's sum to 1 again. Both are plain lists,
so that any program can read them; metadata `keep_above` says which it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.parts import (
    lists,
    metadata_of,
    parts_of,
    read_part,
    rows_by_sentence,
    rows_of,
    schema_of,
    write_part,
)

_PATHS = {
    "sentence_id": pa.int32(),
    "paths": pa.list_(pa.list_(pa.int16())),
    "path_log_probs": pa.list_(pa.float32()),
    "log_partition": pa.float32(),
}
_KEPT = {
    "kept_tags": pa.list_(pa.list_(pa.int16())),
    "kept_log_marginals": pa.list_(pa.list_(pa.float16())),
}
_ENCODINGS = {
    "sentence_id": "DELTA_BINARY_PACKED",
    "paths.list.element.list.element": "BYTE_STREAM_SPLIT",
    "path_log_probs.list.element": "BYTE_STREAM_SPLIT",
    "log_partition": "BYTE_STREAM_SPLIT",
}


@dataclass(frozen=True)
class TargetRows:
    """Targets of some sentences, one after the other.

    `offsets` [sentences + 1] into the words; `counts` [sentences]: how many paths each has; `paths`
    [Σ counts · words]: path after path, best first, a tag a word; `path_log_probs` [Σ counts];
    `log_partition` [sentences]; `log_marginals` [words, tags].
    """

    sentence_ids: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray
    paths: np.ndarray
    path_log_probs: np.ndarray
    log_partition: np.ndarray
    log_marginals: np.ndarray

    def __len__(self) -> int:
        return len(self.sentence_ids)


@dataclass(frozen=True)
class Dropped:
    """Marginals that are not stored: their sum over so many words, each of which has 1 in all."""

    words: int = 0
    mass: float = 0.0

    def __add__(self, other: "Dropped") -> "Dropped":
        return Dropped(self.words + other.words, self.mass + other.mass)


def write_targets(
    path: Path, groups: Iterable[TargetRows], tags: Sequence[str], k: int, keep_above: float = 0.0
) -> None:
    """Write one part of targets, a row group for each of `groups`.

    Marginals below `keep_above` are dropped, unless they are the largest of their word.
    """
    about: dict[str, object] = {"tags": list(tags), "k": k}
    if not keep_above:
        whole = {"log_marginals": pa.list_(pa.list_(pa.float16(), len(tags)))}
        leaf = {"log_marginals.list.element.list.element": "BYTE_STREAM_SPLIT"}
        columns = ([*_paths(rows), _whole(rows)] for rows in groups)
        write_part(path, schema_of(_PATHS | whole, about), _ENCODINGS | leaf, columns)
        return
    dropped: list[Dropped] = []
    leaves = {f"{name}.list.element.list.element": "BYTE_STREAM_SPLIT" for name in _KEPT}
    columns = ([*_paths(rows), *_kept(rows, keep_above, dropped)] for rows in groups)
    schema = schema_of(_PATHS | _KEPT, about | {"keep_above": keep_above})
    encodings = _ENCODINGS | leaves
    write_part(path, schema, encodings, columns, lambda: asdict(sum(dropped, Dropped())))


def read_targets(folder: Path) -> Iterator[TargetRows]:
    """The targets of a folder, a row group at a time, in order; marginals that were dropped are
    -inf. InputError where a part is missing or damaged.
    """
    for path in parts_of(folder):
        about = metadata_of(path)
        names = _KEPT if about.get("keep_above") else ("log_marginals",)
        for table in read_part(path, [*_PATHS, *names]):
            if "log_marginals" in names:
                offsets, marginals = rows_of(table["log_marginals"])
            else:
                offsets, marginals = _renormalised(table, len(about["tags"]))
            log_probs = table["path_log_probs"].combine_chunks()
            yield TargetRows(
                table["sentence_id"].to_numpy(),
                offsets,
                np.diff(log_probs.offsets.to_numpy()),
                table["paths"].combine_chunks().values.values.to_numpy(),
                log_probs.values.to_numpy(),
                table["log_partition"].to_numpy(),
                marginals,
            )


def dropped_in(folder: Path) -> Dropped:
    """What the parts of a folder say was dropped of their marginals; nothing where all are kept."""
    abouts = [metadata_of(path) for path in parts_of(folder)]
    each = (Dropped(about["words"], about["mass"]) for about in abouts if "mass" in about)
    return sum(each, Dropped())


def _paths(rows: TargetRows) -> list[pa.Array]:
    """Everything but the marginals."""
    lengths = np.repeat(np.diff(rows.offsets), rows.counts)
    each = lists(_offsets(lengths), pa.array(rows.paths, pa.int16()))
    counts = _offsets(rows.counts)
    return [
        pa.array(rows.sentence_ids, pa.int32()),
        lists(counts, each),
        lists(counts, pa.array(rows.path_log_probs.astype(np.float32))),
        pa.array(rows.log_partition.astype(np.float32)),
    ]


def _whole(rows: TargetRows) -> pa.Array:
    with np.errstate(over="ignore"):  # under e^-65504 is -inf
        return rows_by_sentence(rows.offsets, rows.log_marginals.astype(np.float16))


def _kept(rows: TargetRows, keep_above: float, dropped: list[Dropped]) -> list[pa.Array]:
    """Tags and their log-marginals, word by word; adds to `dropped` what the rest weighed."""
    logs = rows.log_marginals
    kept = logs >= np.log(keep_above)
    flat = np.flatnonzero(~kept.any(axis=1))
    best = logs[flat].argmax(axis=1)
    # A sentence that no path fits has no largest marginal either.
    kept[flat, best] = logs[flat, best] > -np.inf
    counts, values = np.count_nonzero(kept, axis=1), logs[kept]
    mass = np.count_nonzero(counts) - np.exp(values, dtype=np.float64).sum()
    dropped.append(Dropped(len(logs), float(mass)))
    words = _offsets(counts)
    tags = np.nonzero(kept)[1].astype(np.int16)
    return [
        lists(rows.offsets, lists(words, pa.array(column)))
        for column in (tags, values.astype(np.float16))
    ]


def _renormalised(table: pa.Table, tags: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of sentences; log-marginals [words, tags], those that a word kept summing to 1."""
    sentences = table["kept_log_marginals"].combine_chunks()
    counts = np.diff(sentences.values.offsets.to_numpy())
    word = np.repeat(np.arange(len(counts)), counts)
    logs = sentences.values.values.to_numpy(zero_copy_only=False).astype(np.float32)
    kept = np.bincount(word, weights=np.exp(logs), minlength=len(counts))
    rows = np.full((len(counts), tags), -np.inf, dtype=np.float16)
    tag = table["kept_tags"].combine_chunks().values.values.to_numpy()
    rows[word, tag] = logs - np.log(kept[word])
    return sentences.offsets.to_numpy().astype(np.int64), rows


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])
