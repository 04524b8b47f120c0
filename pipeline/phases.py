"""Phases of a recipe: stretches of training, each with objectives, text and rates of its own."""

from dataclasses import replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from pipeline.config import settings
from pipeline.device import seed_of
from pipeline.noise import Noise
from pipeline.objectives import Objective
from pipeline.training import Count, Rate, Training
from pipeline.unfreezing import Unfreeze

Text: TypeAlias = Literal["labelled", "transfer", "all"]
"""Which sentences: those with gold tags, those without, or both."""
Mix: TypeAlias = Annotated[float, Field(gt=0)]
Keep: TypeAlias = Literal["best", "last"]


@settings
class Phase:
    """A stretch of training; what it leaves open is as in the recipe.

    Source: the stages of XtremeDistil (Mukherjee and Hassan Awadallah 2020, algorithm 1), each
    with an optimiser of its own here. The best weights of one are where the next begins.
    """

    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] | None = None
    text: Text = "all"
    mix: Mix | None = None
    """Transfer sentences for each labelled one in an epoch."""
    epochs: Count | None = None
    learning_rate: Rate | None = None
    head_learning_rate: Rate | None = None
    unfreeze: Unfreeze | None = None
    """Whether all is trained at once, or the head first and then part by part below it."""
    noise: tuple[Noise, ...] | None = None
    """What happens to the student's words; its teacher read them as they were."""
    keep: Keep | None = None
    """Which weights the phase leaves; those of its last epoch where dev F1 says nothing."""

    @property
    def minimised(self) -> tuple[Objective, ...]:
        """Its objectives, once the recipe has filled in what it left open."""
        return self.objectives or ()

    @property
    def taught(self) -> bool:
        """Whether any objective reads what a teacher says."""
        return any(objective.reads for objective in self.minimised)

    @property
    def golden(self) -> bool:
        """Whether any objective reads gold tags alone."""
        return any(not objective.reads for objective in self.minimised)

    def training(self, shared: Training, number: int) -> Training:
        """How it is trained: the recipe's way, what it has of its own, and luck of its own."""
        names = ("epochs", "learning_rate", "head_learning_rate", "keep")
        own = {name: value for name in names if (value := getattr(self, name)) is not None}
        # The first phase is trained as a recipe without phases is.
        seed = seed_of(shared.seed, number) if number else shared.seed
        return replace(shared, **own, seed=seed)
