"""The teacher's pass: emissions for every word, part by part, each written once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from pipeline.batching import in_order
from pipeline.config import settings
from pipeline.running.artifacts import writing
from pipeline.tagger import Sentences, Tagger
from pipeline.targets import PART, Emissions, part_name, write_emissions


@settings
class Score:
    """Section `score`: what changes the files that hold emissions, not the emissions."""

    part: Annotated[int, Field(ge=1, le=100_000)] = PART
    """Sentences a Parquet part."""


def score_split(
    teacher: Tagger,
    sentences: Sentences,
    sentence_ids: Sequence[int],
    folder: Path,
    *,
    part: int,
    batch_words: int,
    scored: Callable[[int], None],
) -> None:
    """Write the emissions of a split below `folder`; parts that lie there already are kept.

    `scored` is told how many sentences each part added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, len(sentences), part)):
        path = folder / part_name(number)
        chosen = slice(first, first + part)
        if not path.exists():
            rows = emissions(teacher, sentences[chosen], batch_words)
            ids = np.asarray(sentence_ids[chosen], dtype=np.int32)
            with writing(path) as temporary:
                write_emissions(temporary, Emissions(ids, *rows), teacher.tags)
        scored(len(sentences[chosen]))


@torch.inference_mode()
def emissions(
    teacher: Tagger, sentences: Sentences, batch_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets [sentences + 1] and emissions [words, tags] float32 of sentences, in their order."""
    teacher.eval()
    lengths = [len(words) for words in sentences]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    scores = np.empty((offsets[-1], len(teacher.tags)), dtype=np.float32)
    sizes = [teacher.encoder.size(words) for words in sentences]
    for batch in in_order(sizes, batch_words):
        for index, rows in zip(batch, _forward(teacher, sentences, batch), strict=True):
            scores[offsets[index] : offsets[index + 1]] = rows[: lengths[index]]
    return offsets, scores


def windowed(teacher: Tagger, sentences: Sentences) -> int:
    """How many sentences are longer than the encoder reads at once."""
    return sum(teacher.encoder.windowed(words) for words in sentences)


def _forward(teacher: Tagger, sentences: Sentences, batch: list[int]) -> list[np.ndarray]:
    """Padded emissions of each sentence of a batch; out of memory halves the batch."""
    try:
        inputs = teacher.encoder.inputs([sentences[index] for index in batch])
        return list(teacher(inputs).emissions.float().cpu().numpy())
    except torch.cuda.OutOfMemoryError:
        if len(batch) == 1:
            raise
        torch.cuda.empty_cache()
        middle = len(batch) // 2
        return _forward(teacher, sentences, batch[:middle]) + _forward(
            teacher, sentences, batch[middle:]
        )
