"""The teacher's pass: emissions for every word, part by part, each written once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from pipeline.asking import Answers, Questions, asked
from pipeline.batching import in_order
from pipeline.config import settings
from pipeline.emissions import Emissions, refuse_non_numbers, write_emissions
from pipeline.emitter import Emitter, Sentences
from pipeline.parts import PART, part_name
from pipeline.running.artifacts import writing
from pipeline.running.background import in_background


@settings
class Score(Questions):
    """Section `score`: what a teacher is asked, and how its answers are cut into files."""

    part: Annotated[int, Field(ge=1, le=100_000)] = PART
    """Sentences a Parquet part."""


def score_split(
    teacher: Emitter,
    sentences: Sentences,
    sentence_ids: Sequence[int],
    folder: Path,
    *,
    score: Score,
    batch_words: int,
    scored: Callable[[int], None],
) -> None:
    """Write the answers about a split below `folder`; parts that lie there already are kept.

    While one part is written, the teacher reads the next. `scored` is told how many sentences each
    part added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [slice(n, n + score.part) for n in range(0, len(sentences), score.part)]
    paths = {folder / part_name(number): chosen for number, chosen in enumerate(parts)}
    todo = {path: chosen for path, chosen in paths.items() if not path.exists()}
    scored(sum(len(sentences[chosen]) for path, chosen in paths.items() if path not in todo))
    texts = (sentences[chosen] for chosen in todo.values())
    found = answers(teacher, score, texts, batch_words)
    with in_background() as later:
        for (path, chosen), rows in zip(todo.items(), found, strict=True):
            ids = np.asarray(sentence_ids[chosen], dtype=np.int32)
            later(partial(_write, path, replace(rows, sentence_ids=ids), teacher.tags))
            scored(len(ids))


def _write(path: Path, rows: Emissions, tags: Sequence[str]) -> None:
    refuse_non_numbers(rows, "the teacher")
    with writing(path) as temporary:
        write_emissions(temporary, rows, tags)


def answers(
    teacher: Emitter, questions: Questions, parts: Iterable[Sentences], batch_words: int
) -> Iterator[Emissions]:
    """What a teacher answers about each part, in their order; sentences are numbered from 0.

    A GPU computes a batch while the one before it is copied and the next one is made ready, also
    from one part to the next.
    """
    teacher.eval()
    under_way: deque[tuple[_Part, list[int], _Copy]] = deque()
    for sentences in parts:
        part = _Part(sentences)
        for batch in in_order(teacher.encoder.sizes(sentences), batch_words):
            found = _forward(teacher, questions, sentences, batch)
            under_way.extend((part, *some) for some in found)
            yield from _landed(under_way, 1)
    yield from _landed(under_way, 0)


def _landed(under_way: "deque[tuple[_Part, list[int], _Copy]]", left: int) -> Iterator[Emissions]:
    """Wait for all batches but so many; yields the parts that they complete."""
    while len(under_way) > left:
        part, batch, padded = under_way.popleft()
        if part.place(batch, padded.arrived()):
            yield part.whole()


class _Part:
    """The answers about some sentences, as far as they are known."""

    def __init__(self, sentences: Sentences) -> None:
        self.offsets = np.concatenate([[0], np.cumsum([*map(len, sentences)])]).astype(np.int64)
        self._said: dict[str, np.ndarray] = {}
        self._missing = len(sentences)

    def place(self, batch: list[int], found: Mapping[str, np.ndarray]) -> bool:
        """Take the padded answers about some sentences; whether none lacks any more."""
        for name, padded in found.items():
            if name not in self._said:
                shape = (self.offsets[-1], *padded.shape[2:])
                self._said[name] = np.empty(shape, dtype=padded.dtype)
            said = self._said[name]
            for index, rows in zip(batch, padded, strict=True):
                first, end = self.offsets[index], self.offsets[index + 1]
                said[first:end] = rows[: end - first]
        self._missing -= len(batch)
        return not self._missing

    def whole(self) -> Emissions:
        """All answers, once none lacks."""
        ids, said = np.arange(len(self.offsets) - 1, dtype=np.int32), self._said
        more = said.get("saliency"), said.get("vectors")
        return Emissions(ids, self.offsets, said["emissions"], *more)


def _forward(
    teacher: Emitter, questions: Questions, sentences: Sentences, batch: list[int]
) -> Iterator[tuple[list[int], "_Copy"]]:
    """A batch and the padded answers about it; out of memory halves it."""
    texts = [sentences[index] for index in batch]
    device = teacher.emit.weight.device.type
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device, torch.bfloat16, enabled=device == "cuda"),
        ):
            found = _Copy(asked(teacher, questions, texts))
    except torch.cuda.OutOfMemoryError:
        if len(batch) == 1:
            raise
    else:
        yield batch, found
        return
    torch.cuda.empty_cache()
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        yield from _forward(teacher, questions, sentences, half)


class _Copy:
    """Answers about a batch on their way to main memory, while the device goes on."""

    def __init__(self, found: Answers) -> None:
        self._here, self._copied = found, None
        if found["emissions"].is_cuda:
            self._here = Answers()
            for name, there in found.items():
                self._here[name] = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
                self._here[name].copy_(there, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def arrived(self) -> Mapping[str, np.ndarray]:
        """The answers [batch, words, …], once they are there."""
        if self._copied is not None:
            self._copied.synchronize()
        return {name: here.numpy() for name, here in self._here.items()}
