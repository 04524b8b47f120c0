"""A recipe: which student learns what, from which text. Sections `recipes` and `distill`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import settings
from pipeline.description import Head
from pipeline.losses.supervision import Reading, Trust
from pipeline.objectives import Objective
from pipeline.students import Student
from pipeline.training import Rate, Training


@settings
class Recipe:
    """One student and what it minimises; the grid names the seeds."""

    student: Student
    head: Head = "crf"
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)]
    transfer: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Sentences of each corpus's unlabelled text that are learnt from too."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """Instead of `distill.epochs`; an epoch over transfer text is a longer one."""
    learning_rate: Rate | None = None
    """Instead of `distill.learning_rate`: a transformer wants a smaller one than an LSTM."""
    head_learning_rate: Rate | None = None
    """Instead of `distill.head_learning_rate`."""
    confidence: Trust | None = None
    """How much a sentence's teacher counts by how sure it is, in every objective that reads it."""

    @property
    def reads(self) -> frozenset[Reading]:
        """What of the teacher's the objectives read."""
        return frozenset(reading for each in self.objectives for reading in each.reads)

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
        own = {
            name: getattr(self, name) for name in ("epochs", "learning_rate", "head_learning_rate")
        }
        own = {name: value for name, value in own.items() if value is not None}
        settings = {**vars(shared), **own, "seed": seed}
        return Training(**{name: settings[name] for name in Training.__dataclass_fields__})
