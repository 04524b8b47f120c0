"""A tagger: an encoder, a linear head and transitions, which together map words to a lattice."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.batching import in_order
from pipeline.decoding import viterbi
from pipeline.lattice import Lattice
from pipeline.tags import Scheme
from pipeline.transitions import Head, Transitions, read_weights

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


class Tagger(nn.Module):
    """Words to a lattice. The head always computes in float32, whatever the encoder computes in."""

    def __init__(self, encoder: Encoder, tags: Sequence[str], scheme: Scheme, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.tags, self.scheme, self.head = tuple(tags), scheme, head
        self.emit = nn.Linear(encoder.width, len(tags))
        self.transitions = Transitions(tags, scheme, head)

    def forward(self, inputs: Inputs) -> Lattice:
        """The lattice of a batch of `encoder.inputs`."""
        return self.transitions.lattice(self.emissions(inputs), inputs["lengths"])

    def emissions(self, inputs: Inputs) -> Float[Tensor, "batch words tags"]:
        """Emissions of a batch alone, unchecked; any value at padding."""
        device = self.emit.weight.device
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in inputs.items()}
        vectors = self.encoder(moved)
        with torch.autocast(device.type, enabled=False):
            return self.emit(vectors.float())

    @torch.inference_mode()
    def tag(self, sentences: Sentences, batch_words: int = 2048) -> list[list[str]]:
        """The best tags of each sentence, in order; empty sentences have none."""
        self.eval()
        tagged: list[list[str]] = [[] for _ in sentences]
        for batch in in_order(self.encoder.sizes(sentences), batch_words):
            # An empty sentence has no lattice and no tags.
            batch = [index for index in batch if sentences[index]]
            paths = viterbi(self(self.encoder.inputs([sentences[i] for i in batch]))).tolist()
            for index, path in zip(batch, paths, strict=True):
                tagged[index] = [self.tags[tag] for tag in path[: len(sentences[index])]]
        return tagged

    @property
    def weights(self) -> int:
        """How many numbers are learnt or stored as weights."""
        return sum(parameter.numel() for parameter in self.parameters())

    def save(self, folder: Path, encoder: dict[str, Any]) -> None:
        """Write weights, `tagger.json` and the encoder's own files; `encoder`: its settings."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, folder / "weights.safetensors")
        description = {
            "encoder": encoder,
            "head": self.head,
            "scheme": self.scheme,
            "tags": list(self.tags),
        }
        text = json.dumps(description, ensure_ascii=False, indent=1, sort_keys=True)
        (folder / "tagger.json").write_text(text + "\n", encoding="utf-8")
        self.encoder.save(folder)

    def load_weights(self, folder: Path) -> "Tagger":
        """Read the weights that `save` wrote."""
        self.load_state_dict(read_weights(folder))
        return self.eval()
