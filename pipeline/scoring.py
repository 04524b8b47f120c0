"""The teacher's pass: emissions for every word, part by part, each written once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from pipeline.batching import in_order
from pipeline.config import settings
from pipeline.emissions import Emissions, refuse_non_numbers, write_emissions
from pipeline.parts import PART, part_name
from pipeline.running.artifacts import writing
from pipeline.running.background import in_background
from pipeline.tagger import Sentences, Tagger


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

    While one part is written, the teacher reads the next. `scored` is told how many sentences each
    part added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with in_background() as later:
        for number, first in enumerate(range(0, len(sentences), part)):
            path = folder / part_name(number)
            chosen = slice(first, first + part)
            if not path.exists():
                ids = np.asarray(sentence_ids[chosen], dtype=np.int32)
                rows = Emissions(ids, *emissions(teacher, sentences[chosen], batch_words))
                refuse_non_numbers(rows, "the teacher")
                later(partial(_write, path, rows, teacher.tags))
            scored(len(sentences[chosen]))


def _write(path: Path, rows: Emissions, tags: Sequence[str]) -> None:
    with writing(path) as temporary:
        write_emissions(temporary, rows, tags)


@torch.inference_mode()
def emissions(
    teacher: Tagger, sentences: Sentences, batch_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets [sentences + 1] and emissions [words, tags] float32 of sentences, in their order.

    A GPU computes a batch while the one before it is copied and the next one is made ready.
    """
    teacher.eval()
    lengths = [len(words) for words in sentences]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    scores = np.empty((offsets[-1], len(teacher.tags)), dtype=np.float32)

    def place(batch: list[int], padded: "_Copy") -> None:
        for index, rows in zip(batch, padded.arrived(), strict=True):
            scores[offsets[index] : offsets[index + 1]] = rows[: lengths[index]]

    under_way: deque[tuple[list[int], _Copy]] = deque()
    for batch in in_order(teacher.encoder.sizes(sentences), batch_words):
        under_way.extend(_forward(teacher, sentences, batch))
        while len(under_way) > 1:
            place(*under_way.popleft())
    while under_way:
        place(*under_way.popleft())
    return offsets, scores


def _forward(
    teacher: Tagger, sentences: Sentences, batch: list[int]
) -> Iterator[tuple[list[int], "_Copy"]]:
    """A batch and its padded emissions; out of memory halves it."""
    inputs = teacher.encoder.inputs([sentences[index] for index in batch])
    device = teacher.emit.weight.device
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            found = _Copy(teacher.emissions(inputs))
    except torch.cuda.OutOfMemoryError:
        if len(batch) == 1:
            raise
    else:
        yield batch, found
        return
    torch.cuda.empty_cache()
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        yield from _forward(teacher, sentences, half)


class _Copy:
    """Emissions of a batch on their way to main memory, while the device goes on."""

    def __init__(self, found: Float[Tensor, "batch words tags"]) -> None:
        self._here, self._copied = found.float(), None
        if found.is_cuda:
            there = self._here
            self._here = torch.empty(there.shape, pin_memory=True)
            self._here.copy_(there, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def arrived(self) -> np.ndarray:
        """Emissions [batch, words, tags], once they are there."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._here.numpy()
