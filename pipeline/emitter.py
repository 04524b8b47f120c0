"""An encoder and a linear head: words to emissions, which is most of a tagger.

It stands by itself so that a teacher's pass over a corpus depends on nothing that sums over paths.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Inputs: TypeAlias = dict[str, Tensor]
Sentences: TypeAlias = Sequence[Sequence[str]]


@runtime_checkable
class Encoder(Protocol):
    """One vector a word; a `torch.nn.Module` that also turns words into its own inputs."""

    width: int

    def inputs(self, sentences: Sentences) -> Inputs:
        """Tensors of a batch, on the CPU; `lengths` [batch] counts words."""
        ...

    def __call__(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        ...

    def sizes(self, sentences: Sentences) -> list[int]:
        """What each takes of a batch's budget: words, or pieces where pieces are read."""
        ...

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once and are read in windows."""
        ...

    def save(self, folder: Path) -> None:
        """Write what is not a weight: vocabulary, tokenizer, configuration."""
        ...


class Emitter(nn.Module):
    """Words to emissions. The head always computes in float32, whatever the encoder computes in."""

    def __init__(self, encoder: Encoder, tags: Sequence[str]) -> None:
        super().__init__()
        self.encoder, self.tags = encoder, tuple(tags)
        self.emit = nn.Linear(encoder.width, len(tags))

    def emissions(self, inputs: Inputs) -> Float[Tensor, "batch words tags"]:
        """Emissions of a batch alone, unchecked; any value at padding."""
        return self.emitted(self.vectors(inputs))

    def vectors(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """The encoder's vectors of words; zero at padding."""
        device = self.emit.weight.device
        return self.encoder({name: x.to(device, non_blocking=True) for name, x in inputs.items()})

    def emitted(self, vectors: Tensor) -> Float[Tensor, "batch words tags"]:
        """What the head makes of vectors [batch, words, width]."""
        with torch.autocast(vectors.device.type, enabled=False):
            return self.emit(vectors.float())

    @property
    def weights(self) -> int:
        """How many numbers are learnt or stored as weights."""
        return sum(parameter.numel() for parameter in self.parameters())
