"""Students: small encoders for CPUs, and how a student is made, stored and read.

To add one, write a settings class with `build` and `load` and put its name in `Student`; the
contract tests then run over it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from pipeline.config import parse, plain
from pipeline.networks import BiLSTM
from pipeline.tagger import Tagger
from pipeline.tags import Scheme
from pipeline.transitions import Head, read_description

Student: TypeAlias = Annotated[BiLSTM, Field()]


def new_student(
    student: Student,
    sentences: Iterable[Sequence[str]],
    tags: Sequence[str],
    scheme: Scheme,
    head: Head,
) -> Tagger:
    """A student before training; `sentences` are its training text, whose words it may know."""
    return Tagger(student.build(sentences), tags, scheme, head)


def save_student(tagger: Tagger, student: Student, folder: Path) -> None:
    """Write a student so that `load_student` reads it."""
    tagger.save(folder, plain(student))


def load_student(folder: Path) -> Tagger:
    """The student in a folder; InputError where a file is missing or damaged."""
    description = read_description(folder)
    student = parse(Student, description.encoder, f"{folder / 'tagger.json'}: encoder")
    tagger = Tagger(student.load(folder), description.tags, description.scheme, description.head)
    return tagger.load_weights(folder)
