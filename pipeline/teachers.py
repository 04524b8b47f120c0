"""Teachers: what one is made of, how it is trained, stored and read. Section `teachers`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.config import parse, plain, settings
from pipeline.description import Head, read_description
from pipeline.encoders import Encoder
from pipeline.tagger import Tagger
from pipeline.tags import Scheme
from pipeline.training import Training


@settings
class Teacher:
    """One entry of section `teachers`."""

    encoder: Encoder
    head: Head = "crf"
    training: Training


def new_teacher(
    teacher: Teacher, sentences: Iterable[Sequence[str]], tags: Sequence[str], scheme: Scheme
) -> Tagger:
    """A teacher before training; only encoders without pretrained weights read `sentences`."""
    return Tagger(teacher.encoder.build(sentences), tags, scheme, teacher.head)


def save_teacher(teacher: Tagger, encoder: Encoder, folder: Path) -> None:
    """Write a teacher so that `load_teacher` reads it."""
    teacher.save(folder, plain(encoder))


def load_teacher(folder: Path) -> Tagger:
    """The teacher in a folder; InputError where a file is missing or damaged."""
    description = read_description(folder)
    encoder = parse(Encoder, description.encoder, f"{folder / 'tagger.json'}: encoder")
    tagger = Tagger(encoder.load(folder), description.tags, description.scheme, description.head)
    return tagger.load_weights(folder)
