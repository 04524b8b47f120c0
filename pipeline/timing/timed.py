"""Taggers of every kind, loaded to be timed. `python -m pipeline.timing.timed` answers orders.

Nothing heavy is imported before it is asked for: what a process holds in memory is measured.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.timing.stopwatch import Timed, serve


class InTorch:
    """A teacher or a student as it was trained."""

    def __init__(self, tagger: Any) -> None:
        import torch

        self.parameters, self.tag, self.threads = tagger.weights, tagger.tag, torch.set_num_threads


class Exported:
    """An exported student: ONNX Runtime, and decoding without PyTorch."""

    def __init__(self, folder: Path) -> None:
        self.parameters, self._folder, self._threads = None, folder, 0

    def threads(self, number: int) -> None:
        """Threads are chosen where a session begins: for another number, a new one begins."""
        from pipeline.predictor import Predictor

        if number != self._threads:
            self._predictor = Predictor.load(self._folder, threads=number)
            self._threads = number

    def tag(self, sentences: Sequence[Sequence[str]]) -> object:
        """The best tags alone, as taggers in PyTorch give them."""
        return self._predictor.tag(sentences)


def _teacher(folder: Path) -> Timed:
    from pipeline.teachers import load_teacher

    return InTorch(load_teacher(folder))


def _student(folder: Path) -> Timed:
    from pipeline.students import load_student

    return InTorch(load_student(folder))


def _bert_base(folder: Path) -> Timed:
    from pipeline.timing.references import bert_base

    return InTorch(bert_base(folder))


LOADERS: dict[str, Callable[[Path], Timed]] = {
    "teacher": _teacher,
    "student": _student,
    "exported": Exported,
    "bert-base": _bert_base,
}
"""By kind, from a folder; of `bert-base`, the teacher's whose tokenizer and tags it takes."""


def load(order: dict[str, str]) -> Timed:
    """The tagger that an order `{"kind": …, "folder": …}` names, on one thread."""
    tagger = LOADERS[order["kind"]](Path(order["folder"]))
    tagger.threads(1)
    return tagger


if __name__ == "__main__":
    serve(load)
