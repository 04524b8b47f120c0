"""A recipe: which student learns what, from which text. Sections `recipes` and `distill`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import settings
from pipeline.objectives import GoldNLL, Objective
from pipeline.students import Student
from pipeline.training import Training
from pipeline.transitions import Head


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

    @property
    def taught(self) -> bool:
        """Whether any objective reads what a teacher says."""
        return any(not isinstance(objective, GoldNLL) for objective in self.objectives)

    @property
    def limit(self) -> int:
        """The number of transfer sentences of a corpus, a very large one for all."""
        return 2**31 if self.transfer == "all" else self.transfer

    def training(self, shared: Training, seed: int) -> Training:
        """The shared training settings with this recipe's epochs and a seed of the grid."""
        own = {**vars(shared), "epochs": self.epochs or shared.epochs, "seed": seed}
        return Training(**{name: own[name] for name in Training.__dataclass_fields__})
