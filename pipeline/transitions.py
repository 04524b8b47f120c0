"""The part of a tagger that holds its tags: the scores between them, and what `tagger.json` says.

Extraction needs this much of a teacher and no more, so it never waits for an encoder to load.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.lattice import Lattice
from pipeline.tags import Scheme, allowed

Head: TypeAlias = Literal["crf", "softmax"]
"""crf: learnt transitions, those that the scheme forbids at -inf; softmax: all of them zero."""


@dataclass(frozen=True)
class Description:
    """What `tagger.json` says: enough to build the tagger whose weights lie beside it."""

    encoder: dict[str, Any]
    head: Head
    tags: tuple[str, ...]
    scheme: Scheme


class Transitions(nn.Module):
    """Scores between tags [from, to], of first tags and of last tags; forbidden ones are -inf."""

    forbidden_between: Tensor
    forbidden_start: Tensor
    forbidden_end: Tensor

    def __init__(self, tags: Sequence[str], scheme: Scheme, head: Head) -> None:
        super().__init__()
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


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a tagger; InputError where the file is missing or cut short."""
    path = folder / "weights.safetensors"
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected the weights of a tagger, found no file; "
            "run the stage that writes this folder again"
        ) from None
    except SafetensorError as error:
        raise InputError(
            f"{path}: expected a whole safetensors file, found a damaged one ({error}); "
            "run the stage that writes this folder again"
        ) from None


def read_description(folder: Path) -> Description:
    """`tagger.json` of a tagger's folder; InputError where it is missing or damaged."""
    path = folder / "tagger.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Description(data["encoder"], data["head"], tuple(data["tags"]), data["scheme"])
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected the description of a tagger, found no file; "
            "run the stage that writes this folder first"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the description of a tagger, found {error!r}") from None


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
