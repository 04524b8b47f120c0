"""Networks without pretrained weights: what students are made of, and teachers made larger.

An encoder owes one vector a word. `inputs` turns sentences into tensors, `forward` those into
vectors; padding changes nothing. A teacher may be built of these, so an edit here retrains
teachers; what only students use stands in students.py.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import settings
from pipeline.kernels.recurrence import bilstm
from pipeline.spelling import spell
from pipeline.words import CHARACTERS, SHAPES, Sentences, WordReader

Inputs: TypeAlias = dict[str, Tensor]
Share = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1)]


@settings
class BiLSTM:
    """Word, character and shape features, then a bidirectional LSTM.

    Source: the students of Wang et al. 2020 (§4.1), with characters as in Ma and Hovy 2016.
    """

    kind: Literal["bilstm"] = "bilstm"
    words: Width = 64
    """Width of a word's own embedding."""
    characters: Width = 32
    """Width of the convolution over a word's characters."""
    hidden: Width = 128
    """Width of the LSTM in each direction."""
    layers: Width = 1
    dropout: Share = 0.3
    word_dropout: Share = 0.1
    """Share of training words read as unknown: it teaches the network to use spelling."""
    minimum_count: Width = 1
    """Words seen less often than this share the embedding of unknown words."""

    def build(self, sentences: Iterable[Sequence[str]]) -> "BiLSTMEncoder":
        """A network with fresh weights over the words of its training text."""
        return BiLSTMEncoder(self, WordReader(vocabulary(sentences, self.minimum_count)))

    def load(self, folder: Path) -> "BiLSTMEncoder":
        """The network that `save` described, its weights still fresh."""
        return BiLSTMEncoder(self, WordReader.load(folder))


def vocabulary(sentences: Iterable[Sequence[str]], minimum_count: int) -> list[str]:
    """Lower-cased words seen at least so often, most frequent first, ties by the alphabet."""
    counts = Counter(word.lower() for words in sentences for word in words)
    kept = [(-count, word) for word, count in counts.items() if count >= minimum_count]
    return [word for _, word in sorted(kept)]


class BiLSTMEncoder(nn.Module):
    """The network of `BiLSTM`; word 0 is padding, word 1 unknown."""

    def __init__(self, parameters: BiLSTM, reader: WordReader) -> None:
        super().__init__()
        self.parameters_, self.reader = parameters, reader
        self.width = 2 * parameters.hidden
        shape_width = len(SHAPES)
        self.word = nn.Embedding(len(reader.vocabulary) + 2, parameters.words, padding_idx=0)
        self.shape = nn.Embedding(len(SHAPES), shape_width)
        self.character = nn.Embedding(CHARACTERS, 24, padding_idx=0)
        self.spelling = nn.Conv1d(24, parameters.characters, kernel_size=3, padding=1)
        self.lstm = nn.LSTM(
            parameters.words + parameters.characters + shape_width,
            parameters.hidden,
            num_layers=parameters.layers,
            dropout=parameters.dropout if parameters.layers > 1 else 0.0,
            bidirectional=True,
            batch_first=True,
        )
        nn.init.normal_(self.word.weight, std=parameters.words**-0.5)

    def inputs(self, sentences: Sentences) -> Inputs:
        """What `WordReader` reads, as tensors."""
        return {name: torch.from_numpy(array) for name, array in self.reader(sentences).items()}

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        place, spelled = inputs["place"], spell(inputs["character"], self.character, self.spelling)
        distinct = torch.cat([self.shape(inputs["shape"]), spelled], dim=1)
        words = self._forget(inputs["word"][place])
        features = torch.cat([self.word(words), nn.functional.embedding(place, distinct)], dim=2)
        hidden = bilstm(self.lstm, self._dropped(features), inputs["lengths"])
        return self._dropped(hidden)

    def save(self, folder: Path) -> None:
        """Write what the reader needs: `reader.json` and `vocabulary.json`."""
        self.reader.save(folder)

    def sizes(self, sentences: Sentences) -> list[int]:
        """Words of each sentence."""
        return self.reader.sizes(sentences)

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once: none."""
        return self.reader.windowed(sentences)

    def _dropped(self, x: Tensor) -> Tensor:
        share = self.parameters_.dropout
        if not self.training or not share:
            return x
        # Dropout as ever, but a CPU has uniform numbers in a third of the time of its Bernoulli's.
        kept = torch.rand(x.shape, device=x.device).ge_(share)
        return x * kept.mul_(1 / (1 - share)).to(x.dtype)

    def _forget(self, words: Int[Tensor, "batch words"]) -> Int[Tensor, "batch words"]:
        if not self.training or not self.parameters_.word_dropout:
            return words
        forgotten = torch.rand(words.shape, device=words.device) < self.parameters_.word_dropout
        return words.masked_fill(forgotten, 1)
