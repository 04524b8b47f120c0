"""Networks without pretrained weights: what students are made of, and teachers made larger.

An encoder owes one vector a word. `inputs` turns sentences into tensors, `forward` those into
vectors; padding changes nothing. A teacher may be built of these, so an edit here retrains
teachers; what only students use stands in students.py.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline.config import settings
from pipeline.errors import InputError
from pipeline.words import CHARACTERS, SHAPES, characters, shapes_of

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


class BiLSTMEncoder(nn.Module):
    """The network of `BiLSTM`; word 0 is padding, word 1 unknown."""

    def __init__(self, parameters: BiLSTM, words: Sequence[str]) -> None:
        super().__init__()
        self.parameters_ = parameters
        self.vocabulary = list(words)
        self.width = 2 * parameters.hidden
        self._index = {word: index for index, word in enumerate(words, start=2)}
        self._spelling: dict[str, tuple[int, int, np.ndarray]] = {}
        shape_width = len(SHAPES)
        self.word = nn.Embedding(len(words) + 2, parameters.words, padding_idx=0)
        self.shape = nn.Embedding(len(SHAPES), shape_width)
        self.character = nn.Embedding(CHARACTERS, 24, padding_idx=0)
        self.spelling = nn.Conv1d(24, parameters.characters, kernel_size=3, padding=1)
        self.dropout = nn.Dropout(parameters.dropout)
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
        """Each distinct word of the batch once: `word`, `shape` [distinct], `character`
        [distinct, SPELLING]; `place` [batch, words] says which stands where; `lengths` [batch]."""
        lengths = [len(words) for words in sentences]
        distinct = {
            word: i for i, word in enumerate(dict.fromkeys(w for s in sentences for w in s))
        }
        place = np.zeros((len(sentences), max(lengths, default=0)), dtype=np.int64)
        for row, words in enumerate(sentences):
            place[row, : len(words)] = [distinct[word] for word in words]
        features = [self._features(word) for word in distinct]
        return {
            "word": torch.tensor([word for word, _, _ in features], dtype=torch.long),
            "shape": torch.tensor([shape for _, shape, _ in features], dtype=torch.long),
            "character": torch.from_numpy(
                np.stack([spelling for _, _, spelling in features])
                if features
                else np.zeros((0, SPELLING), dtype=np.int64)
            ),
            "place": torch.from_numpy(place),
            "lengths": torch.tensor(lengths, dtype=torch.long),
        }

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        distinct = torch.cat([self.shape(inputs["shape"]), self._spell(inputs["character"])], dim=1)
        words = self._forget(inputs["word"][inputs["place"]])
        features = torch.cat([self.word(words), distinct[inputs["place"]]], dim=2)
        packed = pack_padded_sequence(
            self.dropout(features), inputs["lengths"].cpu(), batch_first=True, enforce_sorted=False
        )
        hidden, _ = self.lstm(packed)
        padded, _ = pad_packed_sequence(
            hidden, batch_first=True, total_length=inputs["place"].shape[1]
        )
        return self.dropout(padded)

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

    def _features(self, word: str) -> tuple[int, int, np.ndarray]:
        known = self._spelling.get(word)
        if known is None:
            index = self._index.get(word.lower(), 1)
            known = (index, int(shapes_of([word])[0]), characters(word, SPELLING))
            self._spelling[word] = known
        return known

    def _spell(self, spelled: Int[Tensor, "distinct characters"]) -> Float[Tensor, "distinct wide"]:
        convolved = self.spelling(self.character(spelled).transpose(1, 2))
        # Padding takes no part in the maximum, so a word's vector does not depend on the table.
        return convolved.masked_fill((spelled == 0).unsqueeze(1), -torch.inf).amax(dim=2)

    def _forget(self, words: Int[Tensor, "batch words"]) -> Int[Tensor, "batch words"]:
        if not self.training or not self.parameters_.word_dropout:
            return words
        forgotten = torch.rand(words.shape, device=words.device) < self.parameters_.word_dropout
        return words.masked_fill(forgotten, 1)
