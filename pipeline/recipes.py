"""A recipe: which student learns what, from which text. Sections `recipes` and `distill`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import settings
from pipeline.description import Head
from pipeline.emphasis import Emphasis
from pipeline.fusion import Fusion
from pipeline.generations import SelfDistillation
from pipeline.losses.supervision import Reading, Trust
from pipeline.noise import Noise
from pipeline.objectives import Objective
from pipeline.phases import Keep, Mix, Phase
from pipeline.students import Student
from pipeline.training import Rate, Training
from pipeline.unfreezing import Unfreeze

ASKED: dict[Reading, str] = {
    "saliency": "score.saliency, for instance {every: 4}",
    "vectors": "score.vectors: true",
}
"""How `score` is asked for what it does not write of itself."""


@settings
class Recipe:
    """One student and what it minimises; the grid names the seeds."""

    student: Student
    head: Head = "crf"
    objectives: tuple[Objective, ...] = ()
    """Of every phase that has none of its own."""
    phases: tuple[Phase, ...] = ()
    """Stretches of training, one after the other; none: a single one, as the recipe says."""
    teachers: tuple[str, ...] = ()
    """Who labels its text: of each corpus the first of these; none: the first of its teachers."""
    transfer: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Sentences of each corpus's unlabelled text that are learnt from too."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """Instead of `distill.epochs`; an epoch over transfer text is a longer one."""
    learning_rate: Rate | None = None
    """Instead of `distill.learning_rate`: a transformer wants a smaller one than an LSTM."""
    head_learning_rate: Rate | None = None
    """Instead of `distill.head_learning_rate`."""
    keep: Keep | None = None
    """Instead of `distill.keep`."""
    unfreeze: Unfreeze = "at_once"
    noise: tuple[Noise, ...] = ()
    """What happens to words of training batches, in this order; never in validation."""
    mix: Mix | None = None
    """Transfer sentences for each labelled one in an epoch; null: all that there are."""
    confidence: Trust | None = None
    """How much a sentence's teacher counts by how sure it is, in every objective that reads it."""
    saliency: Emphasis | None = None
    """How much a word counts by its saliency, in objectives that add up words; null: all alike."""
    fusion: Fusion | None = None
    """Marginals mixed with those of the same word elsewhere; null: as the teacher has them."""
    self_distillation: SelfDistillation | None = None
    """Further generations, each taught by the one before it."""

    @property
    def reborn(self) -> "Recipe":
        """What a later generation of self-distillation learns, the one before it for a teacher."""
        own = self.self_distillation
        if own is None or own.objectives is None:
            return self
        return replace(self, objectives=own.objectives, phases=())

    @property
    def course(self) -> tuple[Phase, ...]:
        """Its phases, each with what the recipe says where it leaves something open."""
        return tuple(self._filled(phase) for phase in self.phases or (Phase(),))

    def _filled(self, phase: Phase) -> Phase:
        # A first generation that nobody teaches has no transfer text to mix in.
        mixed = phase.text == "all" and (self.taught or self.self_distillation is None)
        return replace(
            phase,
            objectives=phase.objectives or self.objectives or None,
            mix=phase.mix or (self.mix if mixed else None),
            unfreeze=phase.unfreeze or self.unfreeze,
            noise=self.noise if phase.noise is None else phase.noise,
        )

    def placed(self) -> Iterator[tuple[str, Objective]]:
        """Each objective that is minimised, with its key in the recipe."""
        for number, phase in enumerate(self.phases or (Phase(),)):
            where = "" if phase.objectives is None else f"phases.{number}."
            for place, objective in enumerate(phase.objectives or self.objectives):
                yield f"{where}objectives.{place}", objective

    def readers(self) -> Iterator[tuple[str, str, tuple[Reading, ...]]]:
        """Whatever reads of the teacher's: its key in the recipe, its name, and what it reads."""
        yield from ((key, each.kind, each.reads) for key, each in self.placed() if each.reads)
        if self.saliency is not None:
            yield "saliency", "a weight by saliency", ("saliency",)

    @property
    def reads(self) -> frozenset[Reading]:
        """What of the teacher's is read."""
        return frozenset(reading for _, _, reads in self.readers() for reading in reads)

    @property
    def taught(self) -> bool:
        """Whether any objective reads what a teacher says."""
        return bool(self.reads)

    @property
    def limit(self) -> int:
        """The number of transfer sentences of a corpus, a very large one for all."""
        return 2**31 if self.transfer == "all" else self.transfer

    def training(self, shared: Training, seed: int) -> Training:
        """The shared training settings, what this recipe has of its own, a seed of the grid."""
        names = ("epochs", "learning_rate", "head_learning_rate", "keep")
        own = {name: value for name in names if (value := getattr(self, name)) is not None}
        settings = {**vars(shared), **own, "seed": seed}
        return Training(**{name: settings[name] for name in Training.__dataclass_fields__})


def unanswered(where: str, name: str, reading: Reading, found: str) -> str:
    """The line that says which answer is lacking, and how to have it."""
    return f"{where}: {name} reads {reading}; expected {ASKED[reading]}, found {found}"
