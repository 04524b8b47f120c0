"""A tagger: an encoder, a linear head and transitions, which together map words to a lattice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.batching import in_order
from pipeline.decoding import viterbi
from pipeline.description import Description, Head, read_weights, write_description
from pipeline.emitter import Emitter, Encoder, Inputs, Sentences
from pipeline.lattice import Lattice
from pipeline.tags import Scheme
from pipeline.transitions import Transitions


class Tagger(Emitter):
    """Words to a lattice, with vectors where there is a `projection` of those of the encoder.

    It serves training alone: checkpoints hold it, what `save` writes does not.
    """

    def __init__(self, encoder: Encoder, tags: Sequence[str], scheme: Scheme, head: Head) -> None:
        super().__init__(encoder, tags)
        self.scheme: Scheme = scheme
        self.head: Head = head
        self.transitions = Transitions(tags, scheme, head)
        self.projection: nn.Linear | None = None

    def forward(self, inputs: Inputs) -> Lattice:
        """The lattice of a batch of `encoder.inputs`."""
        vectors = self.vectors(inputs)
        lattice = self.transitions.lattice(self.emitted(vectors), inputs["lengths"])
        if self.projection is None:
            return lattice
        with torch.autocast(vectors.device.type, enabled=False):
            return replace(lattice, vectors=self.projection(vectors.float()))

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

    def save(self, folder: Path, encoder: dict[str, Any]) -> None:
        """Write weights, `tagger.json` and the encoder's own files; `encoder`: its settings."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = [name for name in self.state_dict() if not name.startswith("projection.")]
        state = {name: self.state_dict()[name].contiguous() for name in kept}
        save_file(state, folder / "weights.safetensors")
        write_description(folder, Description(encoder, self.head, self.tags, self.scheme))
        self.encoder.save(folder)

    def load_weights(self, folder: Path) -> "Tagger":
        """Read the weights that `save` wrote."""
        self.load_state_dict(read_weights(folder))
        return self.eval()
