"""How much an objective weighs as training goes on: constant, or annealed by step or by epoch."""

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from pipeline.config import settings


@settings
class Constant:
    """The same weight throughout."""

    kind: Literal["constant"] = "constant"
    value: Annotated[float, Field(ge=0)] = 1.0

    def at(self, progress: float, epochs: int) -> float:
        """The weight when `progress` (0 to 1) of the training steps are done."""
        return self.value


@settings
class Annealed:
    """A weight that moves in a straight line and then stays.

    Source: teacher annealing, Wang et al. 2020, algorithm 1 (λ from 1 to 0, once an epoch).
    """

    kind: Literal["annealed"] = "annealed"
    start: Annotated[float, Field(ge=0)] = 1.0
    end: Annotated[float, Field(ge=0)] = 0.0
    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the training steps after which the weight stays at `end`."""
    every: Literal["step", "epoch"] = "step"
    """How often it moves; by epochs it has, all through one, what it had at its first step, so that
    of four from 1 to 0 the last has 0.25."""

    def at(self, progress: float, epochs: int) -> float:
        """The weight when `progress` (0 to 1) of the steps of so many epochs are done."""
        if self.every == "epoch":
            # A step's share is a quotient: it may come out just below that of its own epoch.
            progress = math.floor(progress * epochs + 1e-6) / epochs
        return self.start + (self.end - self.start) * min(1.0, progress / self.until)


Weight: TypeAlias = Annotated[Constant | Annealed, Field(discriminator="kind")]
