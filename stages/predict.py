"""`limbeck predict`: a tagger's spans in text, columns, records or tables, sentence by sentence.

A student that was exported is used without PyTorch; the folder of a student or teacher with it.
"""

import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.prediction.answers import WRITERS, Writer
from pipeline.prediction.chains import Links
from pipeline.predictor import Predictor, is_exported
from pipeline.raw.sentences import STANDARD_INPUT
from pipeline.raw.untagged import READERS, Untagged, guessed
from pipeline.reading.words import Arrays
from pipeline.running.artifacts import space_for, writing
from pipeline.running.progress import log, progress

_BATCHES_AHEAD = 8
"""Batches' worth of sentences that are read before they are sorted by length and tagged."""


@dataclass(frozen=True)
class Wanted:
    """What the options say; an empty string is one that was not given."""

    source: str
    """The format of what is read."""
    target: str
    """The format of what is written."""
    out: Path | None
    """None: standard output."""
    word: str
    k: int
    batch_words: int
    threads: int


def run(model: Path, paths: Sequence[Path], wanted: Wanted) -> None:
    """Tag the sentences of files, or of standard input where there are none or one is `-`.

    Raises InputError for options that do not go together, for a model that cannot be used, and for
    input that cannot be read; what stood ahead of that is written, unless to a file.
    """
    target = _target(wanted)
    sentences = _sentences([str(path) for path in paths] or ["-"], wanted)
    predictor = _predictor(model, wanted.threads)
    try:
        with _output(wanted.out, target, predictor) as writer, _shown(wanted.out) as advance:
            for some in _portions(sentences, _BATCHES_AHEAD * wanted.batch_words):
                words = [each.sentence.words for each in some]
                found = predictor.predict(words, k=wanted.k, batch_words=wanted.batch_words)
                writer.write(zip(some, found, strict=True))
                advance(len(some))
    except BrokenPipeError:
        _give_up_output()  # whoever read has had enough
    except InputError:
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_output()
        raise


def _give_up_output() -> None:
    """Let nothing be written when Python ends, either: that would fail, and change the status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _target(wanted: Wanted) -> str:
    """The format to write: as told, or by the name of the file, or JSON Lines."""
    suffix = "" if wanted.out is None else wanted.out.suffix.removeprefix(".")
    target = wanted.target or (suffix if suffix in WRITERS else "jsonl")
    for option, name, known in (("from", wanted.source, READERS), ("to", target, WRITERS)):
        if name and name not in known:
            raise InputError(f"--{option}: expected one of {', '.join(known)}, found {name}")
    for option, number, least in (("k", wanted.k, 0), ("batch-words", wanted.batch_words, 1),
                                  ("threads", wanted.threads, 1)):  # fmt: skip
        if number < least:
            raise InputError(f"--{option}: expected {least} or more, found {number}")
    if target == "parquet" and wanted.out is None:
        raise InputError("--to parquet: expected a file to write, found none; name it with --out")
    if target == "conll" and wanted.k:
        raise InputError("--k: columns hold one tag a word; write alternatives with --to jsonl")
    if wanted.out is not None and wanted.out.is_dir():
        raise InputError(f"--out: expected the name of a file, found the folder {wanted.out}")
    return target


def _sentences(paths: Sequence[str], wanted: Wanted) -> Iterator[Untagged]:
    """The sentences of all files, one after the other."""
    for path in paths:
        if path != "-" and not Path(path).exists():
            raise InputError(f"{path}: expected a file to tag, found none")
        if Path(path).is_dir():
            raise InputError(f"{path}: expected a file to tag, found a folder; name its files")
    read: Callable[[str, str], Iterator[Untagged]] = READERS.get(wanted.source, guessed)
    names = [STANDARD_INPUT if path == "-" else path for path in paths]
    if STANDARD_INPUT in names and sys.stdin is not None and sys.stdin.isatty():
        log("reading from the terminal; Ctrl-D ends it")
    return chain.from_iterable(read(name, wanted.word) for name in names)


def _predictor(model: Path, threads: int) -> Predictor:
    if is_exported(model) or not (model / "tagger.json").exists():
        return Predictor.load(model, threads=threads)
    return _in_torch(model, threads)


def _in_torch(folder: Path, threads: int) -> Predictor:
    """A student or teacher as training left it."""
    import torch

    from pipeline.description import read_description
    from pipeline.device import found_device
    from pipeline.students import load_student
    from pipeline.teachers import load_teacher

    about = read_description(folder)
    # Of what is neither of these, teachers are made as students are.
    is_teacher = about.encoder.get("kind") in ("pretrained", "configured")
    tagger = (load_teacher if is_teacher else load_student)(folder).to(found_device(threads))

    @torch.inference_mode()
    def emissions(arrays: Arrays) -> np.ndarray:
        inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return tagger.emissions(inputs).cpu().numpy()

    with torch.inference_mode():
        links = Links(*(scores.double().cpu().numpy() for scores in tagger.transitions.scores()))
    encoder: Any = tagger.encoder
    return Predictor(encoder.reader, emissions, links, about.tags, about.scheme)


def _portions(sentences: Iterator[Untagged], words: int) -> Iterator[list[Untagged]]:
    """Sentences that are tagged together, in order: so many words, or all that has come so far.

    Before input that cannot be read is refused, what came ahead of it is given out.
    """
    portion, held = [], 0
    try:
        for each in sentences:
            portion.append(each)
            held += len(each.sentence.words) + 1
            if held >= words or (each.source == STANDARD_INPUT and not _more_waits()):
                yield portion
                portion, held = [], 0
    except InputError:
        if portion:
            yield portion
        raise
    if portion:
        yield portion


def _more_waits() -> bool:
    """Whether standard input has something to read at this moment, or has ended."""
    try:
        return bool(select.select([sys.stdin.buffer], [], [], 0)[0])
    except (OSError, ValueError):
        return True  # no file of the system's, as in tests


@contextmanager
def _output(out: Path | None, target: str, predictor: Predictor) -> Iterator[Writer]:
    """What writes to standard output, or to a file that appears once it is whole."""

    def closing(file: IO[bytes]) -> Iterator[Writer]:
        writer = WRITERS[target](file, predictor.tags, predictor.scheme)
        yield writer
        writer.close()

    if out is None:
        with space_for(Path("standard output")):
            yield from closing(sys.stdout.buffer)
        return
    try:
        with writing(out) as partial, partial.open("wb") as file:
            yield from closing(file)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(
            f"--out: expected a place that may be written to, found {error}; name another"
        ) from None


def _shown(out: Path | None) -> AbstractContextManager[Callable[[int], None]]:
    """How far it is; answers that appear on a terminal show that themselves."""
    if out is None and sys.stdout.isatty():
        return nullcontext(lambda sentences: None)
    return progress(None, "predicting", "sentences")
