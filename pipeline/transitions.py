"""The part of a tagger that holds its tags: the scores between them.

Extraction needs this much of a teacher and no more, so it never waits for an encoder to load.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.description import Head, read_description, read_weights
from pipeline.lattice import Lattice
from pipeline.tags import Scheme, allowed


class Transitions(nn.Module):
    """Scores between tags [from, to], of first tags and of last tags; forbidden ones are -inf."""

    forbidden_between: Tensor
    forbidden_start: Tensor
    forbidden_end: Tensor

    def __init__(self, tags: Sequence[str], scheme: Scheme, head: Head) -> None:
        super().__init__()
        self.head: Head = head
        count, learnt = len(tags), head == "crf"
        self.between = nn.Parameter(torch.zeros(count, count), requires_grad=learnt)
        self.start = nn.Parameter(torch.zeros(count), requires_grad=learnt)
        self.end = nn.Parameter(torch.zeros(count), requires_grad=learnt)
        rules = allowed(tags, scheme)
        masks = {"between": rules.transitions, "start": rules.start, "end": rules.end}
        for name, permitted in masks.items():
            forbidden = ~torch.from_numpy(permitted) & learnt
            self.register_buffer(f"forbidden_{name}", forbidden, persistent=False)

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Transitions [tags, tags], start [tags], end [tags]."""
        return (
            self.between.masked_fill(self.forbidden_between, -torch.inf),
            self.start.masked_fill(self.forbidden_start, -torch.inf),
            self.end.masked_fill(self.forbidden_end, -torch.inf),
        )

    def lattice(self, emissions: Float[Tensor, "batch words tags"], lengths: Tensor) -> Lattice:
        """The lattice over these emissions; `lengths` [batch] counts the words of each sentence."""
        places = torch.arange(emissions.shape[1], device=emissions.device)
        between, start, end = self.scores()
        mask = places < lengths.to(emissions.device).unsqueeze(1)
        return Lattice(emissions, between, start, end, mask)


def read_transitions(folder: Path) -> Transitions:
    """The transitions of a stored tagger alone: all that extraction needs of a teacher."""
    description = read_description(folder)
    transitions = Transitions(description.tags, description.scheme, description.head)
    prefix = "transitions."
    weights = read_weights(folder).items()
    transitions.load_state_dict(
        {name.removeprefix(prefix): tensor for name, tensor in weights if name.startswith(prefix)}
    )
    return transitions.eval().requires_grad_(requires_grad=False)
