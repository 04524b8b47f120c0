"""The teacher's pass: emissions for every word, part by part, each written once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from pipeline.emitter import Emitter, Sentences
from pipeline.parts import PART, part_name
from pipeline.running.artifacts import writing
from pipeline.running.background import in_background


@settings
class Score:
    """Section `score`: what changes the files that hold emissions, not the emissions."""

    part: Annotated[int, Field(ge=1, le=100_000)] = PART
    """Sentences a Parquet part."""


def score_split(
    teacher: Emitter,
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
    parts = [slice(first, first + part) for first in range(0, len(sentences), part)]
    paths = {folder / part_name(number): chosen for number, chosen in enumerate(parts)}
    todo = {path: chosen for path, chosen in paths.items() if not path.exists()}
    scored(sum(len(sentences[chosen]) for path, chosen in paths.items() if path not in todo))
    found = emissions(teacher, (sentences[chosen] for chosen in todo.values()), batch_words)
    with in_background() as later:
        for (path, chosen), rows in zip(todo.items(), found, strict=True):
            ids = np.asarray(sentence_ids[chosen], dtype=np.int32)
            later(partial(_write, path, Emissions(ids, *rows), teacher.tags))
            scored(len(ids))


def _write(path: Path, rows: Emissions, tags: Sequence[str]) -> None:
    refuse_non_numbers(rows, "the teacher")
    with writing(path) as temporary:
        write_emissions(temporary, rows, tags)


def emissions(
    teacher: Emitter, parts: Iterable[Sentences], batch_words: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Offsets [sentences + 1] and emissions [words, tags] float32 of each part, in their order.

    A GPU computes a batch while the one before it is copied and the next one is made ready, also
    from one part to the next.
    """
    teacher.eval()
    under_way: deque[tuple[_Part, list[int], _Copy]] = deque()
    for sentences in parts:
        part = _Part(sentences, len(teacher.tags))
        for batch in in_order(teacher.encoder.sizes(sentences), batch_words):
            under_way.extend((part, *some) for some in _forward(teacher, sentences, batch))
            yield from _landed(under_way, 1)
    yield from _landed(under_way, 0)


def _landed(
    under_way: "deque[tuple[_Part, list[int], _Copy]]", left: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Wait for all batches but so many; yields the parts that they complete."""
    while len(under_way) > left:
        part, batch, padded = under_way.popleft()
        if part.place(batch, padded.arrived()):
            yield part.offsets, part.scores


class _Part:
    """The emissions of some sentences, as far as they are known."""

    def __init__(self, sentences: Sentences, tags: int) -> None:
        self.offsets = np.concatenate([[0], np.cumsum([*map(len, sentences)])]).astype(np.int64)
        self.scores = np.empty((self.offsets[-1], tags), dtype=np.float32)
        self._missing = len(sentences)

    def place(self, batch: list[int], padded: np.ndarray) -> bool:
        """Take the padded emissions of some sentences; whether none lacks any more."""
        for index, rows in zip(batch, padded, strict=True):
            first, end = self.offsets[index], self.offsets[index + 1]
            self.scores[first:end] = rows[: end - first]
        self._missing -= len(batch)
        return not self._missing


def _forward(
    teacher: Emitter, sentences: Sentences, batch: list[int]
) -> Iterator[tuple[list[int], "_Copy"]]:
    """A batch and its padded emissions; out of memory halves it."""
    inputs = teacher.encoder.inputs([sentences[index] for index in batch])
    device = teacher.emit.weight.device.type
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device, torch.bfloat16, enabled=device == "cuda"),
        ):
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
