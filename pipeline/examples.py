"""What a student learns from: sentences, gold tags and targets, memory-mapped from one Arrow file.

Memory does not grow with the corpus: a batch touches only the pages that it reads, and is gathered
from the file's own bytes; of objects there is one for each distinct word, not for each word.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pipeline.arrays import KINDS, Column
from pipeline.losses.supervision import Gold, Spoken, Targets, Teacher, nobody
from pipeline.parts import PART

Scores: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Of a teacher: transitions [from, to], start [tags], end [tags]."""


class Examples:
    """Random access to the sentences of a file that `write_examples` wrote.

    `lengths` counts the words of each; by a teacher's number, `teachers` are scores between tags,
    and `widths` how many numbers its vectors have.
    """

    def __init__(
        self,
        path: Path,
        tags: int,
        teachers: Sequence[Scores] = (),
        widths: Sequence[int] = (),
    ) -> None:
        file = pa.memory_map(str(path)).read_buffer()
        reader = pa.ipc.open_file(file)
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._columns = {name: Column(file, batches, name) for name in reader.schema.names}
        self._tags, self._lengths = tags, self._columns["words"].lengths
        self.lengths: list[int] = self._lengths.tolist()
        known = batches[-1].column("words").values.dictionary.to_pylist() if batches else []
        self._vocabulary = np.array(known, dtype=object)
        self._teachers, self._widths = teachers, widths

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def labelled(self) -> np.ndarray:
        """Which sentences have gold tags [sentences]; the others are transfer text."""
        return self._columns["gold"].lengths > 0

    def words(self) -> Iterator[list[str]]:
        """The words of every sentence, in order."""
        for first in range(0, len(self), PART):
            yield from self._words(np.arange(first, min(first + PART, len(self))))

    def batch(self, chosen: Sequence[int]) -> tuple[list[list[str]], tuple[Gold, Targets]]:
        """Words, gold and targets of some sentences, padded to the longest; no targets: no path."""
        rows = np.asarray(chosen)
        return self._words(rows), (self._gold(rows), self._targets(rows))

    def _words(self, rows: np.ndarray) -> list[list[str]]:
        lengths = self._lengths[rows]
        batch = np.zeros((len(rows), 1, lengths.max(initial=0)), dtype=np.int64)
        numbers = self._columns["words"].gathered(rows, np.ones_like(lengths), lengths, batch)
        padded = self._vocabulary[numbers[:, 0]].tolist()
        return [words[:n] for words, n in zip(padded, lengths.tolist(), strict=True)]

    def _gold(self, rows: np.ndarray) -> Gold:
        lengths, column = self._lengths[rows], self._columns["gold"]
        labelled = column.lengths[rows] > 0
        batch = np.zeros((len(rows), 1, lengths.max()), dtype=np.int64)
        tags = column.gathered(rows, labelled.astype(np.int64), lengths, batch)[:, 0]
        return Gold(torch.from_numpy(tags), torch.from_numpy(labelled))

    def _targets(self, rows: np.ndarray) -> Targets:
        longest = int(self._lengths[rows].max())
        if "path_log_probs" not in self._columns:
            return nobody(len(rows), longest)
        column = self._columns["path_log_probs"]
        counts = column.lengths[rows]
        once = (counts > 0).astype(np.int64)
        log_probs = np.full((len(rows), 1, max(1, counts.max())), -np.inf, dtype=np.float32)
        column.gathered(rows, once, counts, log_probs)
        marginals = self._by_word("log_marginals", self._tags, rows, once).view(np.float16)
        emissions = self._by_word("emissions", self._tags, rows, once)
        saliency = self._by_word("saliency", 1, rows, once)
        return Targets(
            self._paths(rows, counts),
            torch.from_numpy(log_probs[:, 0]),
            torch.from_numpy(marginals).float(),
            torch.from_numpy(emissions) if emissions.size else None,
            self._taught_by(rows, once),
            torch.from_numpy(saliency[:, :, 0]) if saliency.size else None,
            tuple(self._spoken(rows, once)),
        )

    def _paths(self, rows: np.ndarray, counts: np.ndarray) -> Tensor:
        """[sentences, k, words]; no path where none is read."""
        lengths, read = self._lengths[rows], "paths" in self._columns
        k = max(1, counts.max()) if read else 0
        paths = np.zeros((len(rows), k, lengths.max()), dtype=np.int64)
        if read:
            self._columns["paths"].gathered(rows, counts, lengths, paths)
        return torch.from_numpy(paths)

    def _by_word(self, name: str, width: int, rows: np.ndarray, once: np.ndarray) -> np.ndarray:
        """[sentences, words, width]; no number where the column is not read."""
        lengths, width = self._lengths[rows], width if name in self._columns else 0
        batch = np.zeros((len(rows), 1, lengths.max() * width), dtype=KINDS[name])
        if width:
            self._columns[name].gathered(rows, once, lengths * width, batch)
        return batch.reshape(len(rows), lengths.max(), width)

    def _taught_by(self, rows: np.ndarray, once: np.ndarray) -> tuple[Teacher, ...]:
        """The teachers of some sentences, in the order of their numbers."""
        numbers = self._teacher_numbers(rows, once)
        return tuple(
            Teacher(torch.from_numpy(np.flatnonzero(numbers == number)), *scores)
            for number, scores in enumerate(self._teachers)
            if number in numbers
        )

    def _spoken(self, rows: np.ndarray, once: np.ndarray) -> Iterator[Spoken]:
        """The vectors of each teacher, in the order of their numbers; none where none are read."""
        if "vectors" not in self._columns:
            return
        numbers, longest = self._teacher_numbers(rows, once), self._lengths[rows].max()
        for number, first in enumerate(accumulate(self._widths[:-1], initial=0)):
            some, width = np.flatnonzero(numbers == number), self._widths[number]
            if len(some):
                lengths = self._lengths[rows[some]]
                batch = np.zeros((len(some), 1, longest * width), dtype=KINDS["vectors"])
                self._columns["vectors"].gathered(rows[some], once[some], lengths * width, batch)
                vectors = torch.from_numpy(batch.view(np.float16)).float()
                shaped = vectors.view(len(some), longest, width)
                yield Spoken(torch.from_numpy(some), shaped, first)

    def _teacher_numbers(self, rows: np.ndarray, once: np.ndarray) -> np.ndarray:
        """The number of each sentence's teacher [sentences]; -1 where it has none."""
        batch = np.full((len(rows), 1, 1), -1, dtype=np.int64)
        if "teacher" in self._columns:
            self._columns["teacher"].gathered(rows, once, once, batch)
        return batch[:, 0, 0]
