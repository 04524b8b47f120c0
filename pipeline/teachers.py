"""Section `teachers`: what a teacher is made of and how it is trained."""

from collections.abc import Iterable, Sequence

from pipeline.config import settings
from pipeline.encoders import Encoder
from pipeline.tagger import Tagger
from pipeline.tags import Scheme
from pipeline.training import Training
from pipeline.transitions import Head


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
