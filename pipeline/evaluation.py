"""What a tagger says about a test split, sentence by sentence, and how much of it is right.

`<corpus>.parquet`: `sentence_id` int32; `tags` list<string>, predicted; `correct`, `predicted`,
`gold` list<int16>, spans of each label. Metadata: `labels` (JSON list), `scheme`, `mode` (strict).
Beside these tables `evaluation.json` says how large the tagger is and what its scores are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.metrics import Counts, Tags, f_score, precision, recall
from pipeline.tags import Scheme, canonical

_COUNTS = ("correct", "predicted", "gold")
_NAME = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """Predicted tags and counts of one test split, sentences in its order."""

    sentence_ids: list[int]
    tags: Tags
    counts: Counts
    scheme: Scheme

    def __len__(self) -> int:
        return len(self.sentence_ids)


@dataclass(frozen=True)
class Examined:
    """One tagger: how many weights it has, bytes on disk, and its evaluation by corpus."""

    parameters: int
    size: int
    corpora: Mapping[str, Evaluation]


def write_examined(folder: Path, examined: Examined) -> None:
    """Write a table for each corpus, and `evaluation.json`; equal input gives equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for corpus, evaluation in examined.corpora.items():
        _write_table(folder / f"{corpus}.parquet", evaluation)
    scores = {corpus: _scores(evaluation) for corpus, evaluation in examined.corpora.items()}
    content = {"parameters": examined.parameters, "bytes": examined.size, "corpora": scores}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / _NAME).write_text(text + "\n", encoding="utf-8")


def read_examined(folder: Path) -> Examined:
    """What `write_examined` wrote; InputError where a file is missing or damaged."""
    remedy = f"run the stage that writes {folder} again"
    try:
        about: dict[str, Any] = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        corpora = {name: _read_table(folder / f"{name}.parquet") for name in about["corpora"]}
        return Examined(about["parameters"], about["bytes"], corpora)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: expected a file, found none; {remedy}") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: expected whole files, found {error!r}; {remedy}") from None


def _scores(evaluation: Evaluation) -> dict[str, float | int]:
    """In percent, strict, over all labels; not rounded."""
    total = evaluation.counts.sums().sum(axis=0)
    kinds = {"f1": f_score, "precision": precision, "recall": recall}
    scores = {name: float(score(total)) for name, score in kinds.items()}
    return {**scores, "sentences": len(evaluation), "spans": int(total[2])}


def _write_table(path: Path, evaluation: Evaluation) -> None:
    counts = evaluation.counts
    columns = {
        "sentence_id": pa.array(evaluation.sentence_ids, pa.int32()),
        "tags": pa.array(evaluation.tags, pa.list_(pa.string())),
        **{name: _by_sentence(getattr(counts, name)) for name in _COUNTS},
    }
    labels = json.dumps(counts.labels, ensure_ascii=False)
    metadata = {"labels": labels, "scheme": evaluation.scheme, "mode": "strict"}
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def _read_table(path: Path) -> Evaluation:
    with path.open("rb") as file:  # Arrow would not say which file lacks
        table = pq.ParquetFile(file, page_checksum_verification=True).read()
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    labels = tuple(json.loads(metadata["labels"]))
    counts = Counts(labels, *(_as_counts(table[name], len(labels)) for name in _COUNTS))
    ids, tags = table["sentence_id"].to_pylist(), table["tags"].to_pylist()
    return Evaluation(ids, tags, counts, canonical(metadata["scheme"]))


def _by_sentence(counts: np.ndarray) -> pa.ListArray:
    sentences, labels = counts.shape
    offsets = pa.array(np.arange(sentences + 1, dtype=np.int32) * np.int32(labels))
    return pa.ListArray.from_arrays(offsets, pa.array(counts.ravel().astype(np.int16)))


def _as_counts(column: pa.ChunkedArray, labels: int) -> np.ndarray:
    """Counts [sentences, labels], wide enough to add up."""
    values = column.combine_chunks().flatten().to_numpy().astype(np.int64)
    return values.reshape(len(column), labels)
