"""Self-distillation: a student labels its own text, and a fresh one learns from that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.config import settings
from pipeline.corpus import read_split
from pipeline.extraction import Extract, extract_part
from pipeline.labelling import Answers
from pipeline.losses.supervision import Reading
from pipeline.objectives import Objective
from pipeline.parts import parts_of
from pipeline.running.progress import progress
from pipeline.scoring import Score, score_split
from pipeline.students import Student, save_student
from pipeline.tagger import Tagger
from pipeline.training import Count

SAID: tuple[Reading, ...] = ("paths", "marginals", "emissions")
"""What a student leaves for the one after it."""
SELF = "self"
"""The name that a student has as a teacher."""
BATCH_WORDS = 2048


@settings
class SelfDistillation:
    """Generations after the first, each taught by the one before it, on all text of the recipe.

    Source: noisy self-distillation (Liu, Shen and Lapata 2021): a teacher of the student's own
    make, with dropout on while it labels, and noise on the student's side. One generation there;
    more of them, and the mean over passes, are ours. As there, the student is what the last one
    is, whatever its teacher scored.
    """

    generations: Count = 1
    passes: Count = 1
    """Passes with dropout over a sentence to be labelled, whose mean counts; 1: one without."""
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Best paths of each sentence that are learnt from."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] | None = None
    """What later generations minimise; null: what the recipe says, phases and all."""


def labelled(
    student: Tagger, kind: Student, paths: Sequence[Path], own: SelfDistillation, folder: Path
) -> Answers:
    """What a student says about splits, below a folder, as `score` and `extract` would write it.

    Files that a killed run left there are kept.
    """
    said = Answers(*(folder / name for name in ("emissions", "targets", "teachers", "none")))
    of = said.of(SELF)
    save_student(student, kind, of.teacher)
    score, extract = Score(passes=own.passes), Extract(k=own.k)
    for path in paths:
        split, name = read_split(path), f"{path.parent.name}/{path.stem}"
        with progress(len(split), f"labelling {name}", "sentences") as advance:
            score_split(
                student,
                split.words,
                split.sentence_ids,
                of.emissions / name,
                score=score,
                batch_words=BATCH_WORDS,
                scored=advance,
            )
        transitions = student.transitions.cpu()
        for part in parts_of(of.emissions / name):
            out = of.targets / name / part.name
            out.parent.mkdir(parents=True, exist_ok=True)
            extract_part(extract, transitions, split.tag_set, part, out)
    return said
