"""Networks without pretrained weights: what students are made of, and teachers made larger.

An encoder owes one vector a word. `inputs` turns sentences into tensors, `forward` those into
vectors; padding changes nothing. A teacher may be built of these, so an edit here retrains
teachers; what only students use stands in students.py.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import settings
from pipeline.errors import InputError
from pipeline.kernels.recurrence import bilstm
from pipeline.spelling import spell
from pipeline.words import CHARACTERS, SHAPES, Lexicon

Inputs: TypeAlias = dict[str, Tensor]
Sentences: TypeAlias = Sequence[Sequence[str]]
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
        return BiLSTMEncoder(self, vocabulary(sentences, self.minimum_count))

    def load(self, folder: Path) -> "BiLSTMEncoder":
        """The network that `save` described, its weights still fresh."""
        return BiLSTMEncoder(self, _read_vocabulary(folder / "vocabulary.json"))


def vocabulary(sentences: Iterable[Sequence[str]], minimum_count: int) -> list[str]:
    """Lower-cased words seen at least so often, most frequent first, ties by the alphabet."""
    counts = Counter(word.lower() for words in sentences for word in words)
    kept = [(-count, word) for word, count in counts.items() if count >= minimum_count]
    return [word for _, word in sorted(kept)]


def _read_vocabulary(path: Path) -> list[str]:
    """Raises InputError where the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected the words that the tagger knows, found no such file, or a damaged "
            f"one ({error}); run the stage that writes this folder again"
        ) from None


SPELLING = 20
"""Characters of a word that are read; the longer rest is cut."""

ROOM = 50_000
"""Words whose features are remembered beside those of the vocabulary, each in two casings."""


class BiLSTMEncoder(nn.Module):
    """The network of `BiLSTM`; word 0 is padding, word 1 unknown."""

    def __init__(self, parameters: BiLSTM, words: Sequence[str]) -> None:
        super().__init__()
        self.parameters_ = parameters
        self.vocabulary = list(words)
        self.width = 2 * parameters.hidden
        numbers = {word: number for number, word in enumerate(words, start=2)}
        self._lexicon = Lexicon(numbers, 1, SPELLING, ROOM + 2 * len(words))
        shape_width = len(SHAPES)
        self.word = nn.Embedding(len(words) + 2, parameters.words, padding_idx=0)
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
        """Each distinct word of the batch once: `word`, `shape` [distinct], `character` [distinct,
        longest]; `place` [batch, words] says which stands where; `lengths` [batch]."""
        lengths = np.array([len(words) for words in sentences], dtype=np.int64)
        flat = list(chain.from_iterable(sentences))
        places = {word: place for place, word in enumerate(dict.fromkeys(flat))}
        place = np.zeros((len(lengths), lengths.max(initial=0)), dtype=np.int64)
        place[np.arange(place.shape[1]) < lengths[:, None]] = [places[word] for word in flat]
        number, shape, characters = self._lexicon(list(places))
        parts = {"word": number, "shape": shape, "character": characters}
        parts |= {"place": place, "lengths": lengths}
        return {name: torch.from_numpy(part) for name, part in parts.items()}

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        place, spelled = inputs["place"], spell(inputs["character"], self.character, self.spelling)
        distinct = torch.cat([self.shape(inputs["shape"]), spelled], dim=1)
        words = self._forget(inputs["word"][place])
        features = torch.cat([self.word(words), nn.functional.embedding(place, distinct)], dim=2)
        hidden = bilstm(self.lstm, self._dropped(features), inputs["lengths"])
        return self._dropped(hidden)

    def save(self, folder: Path) -> None:
        """Write `vocabulary.json`, most frequent word first."""
        text = json.dumps(self.vocabulary, ensure_ascii=False, indent=0)
        (folder / "vocabulary.json").write_text(text + "\n", encoding="utf-8")

    def sizes(self, sentences: Sentences) -> list[int]:
        """Words of each sentence."""
        return [len(words) for words in sentences]

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once: none."""
        return 0

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
