"""How soft beliefs are made before they are compared: one temperature, or one for each target."""

import math
from typing import Annotated, Any, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from pydantic import Discriminator, Field, Tag
from torch import Tensor

from pipeline.config import settings

Number: TypeAlias = Annotated[float, Field(gt=0)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
HALVINGS = 12
"""Of the range of log-temperatures: what remains is under a thousandth of it."""


@settings
class EntropyBand:
    """Temperatures that bring the entropy of each target into a band: softer where too sure.

    An entropy is given as a share of log(tags), the largest there is. It grows with temperature, so
    bisection finds the temperature that just reaches the band. Reconstruction: MiDTD (Li et al.
    2022) regulates "the softness of most student's targets to a moderate range", by a formula that
    we have not seen.
    """

    kind: Literal["entropy"] = "entropy"
    least: Share = 0.1
    most: Share = 0.3
    lowest: Number = 1.0
    """The lowest temperature; below 1, targets that are too soft are sharpened."""
    highest: Number = 10.0
    per: Literal["word", "sentence"] = "word"
    """One for each word, or for each sentence by the mean entropy of its words."""

    def __post_init__(self) -> None:
        for low, high in (("least", "most"), ("lowest", "highest")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"expected {low} up to {high}, found {getattr(self, low)} and "
                    f"{getattr(self, high)}"
                )

    def of(
        self, logs: Float[Tensor, "batch words tags"], mask: Bool[Tensor, "batch words"]
    ) -> Float[Tensor, "batch places"]:
        """The temperature of every word, or one a sentence, for targets with these logarithms."""
        now = self._entropies(logs, mask, torch.zeros_like(logs[:, :1, 0]))
        wanted = now.clamp(self.least, self.most)
        low = torch.full_like(now, math.log(self.lowest))
        high = torch.full_like(now, math.log(self.highest))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            short = self._entropies(logs, mask, middle) < wanted
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        # What lies in the band already stays as it is.
        found = torch.where(now == wanted, torch.zeros_like(now), (low + high) / 2)
        return found.clamp(math.log(self.lowest), math.log(self.highest)).exp()

    def _entropies(self, logs: Tensor, mask: Tensor, log_temperatures: Tensor) -> Tensor:
        """Of words [batch, words] or, as means, of sentences [batch, 1], as shares of log(tags)."""
        tempered = torch.log_softmax(logs / log_temperatures.exp()[:, :, None], dim=2)
        nats = -(tempered.exp() * tempered.clamp(min=-1e4)).sum(dim=2)
        shares = nats / math.log(max(2, logs.shape[2]))
        if self.per == "word":
            return shares
        mean = torch.where(mask, shares, 0.0).sum(dim=1) / mask.sum(dim=1)
        return mean[:, None]


def _branch(value: Any) -> str:
    return "EntropyBand" if isinstance(value, dict | EntropyBand) else "number"


Temperature: TypeAlias = Annotated[
    Annotated[Number, Tag("number")] | Annotated[EntropyBand, Tag("EntropyBand")],
    Discriminator(_branch),
]
"""In YAML a number, or a mapping for a band."""
