"""Vectors of words from what they look like: what every network that reads words begins with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import settings
from pipeline.places import located, teacher_in
from pipeline.reading.lexicon import CHARACTERS, SHAPES
from pipeline.reading.words import Sentences, WordReader
from pipeline.reduction import Reduced, reduced
from pipeline.spelling import spell

Inputs: TypeAlias = dict[str, Tensor]
Share = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1)]


@settings
class Grams:
    """Hashed n-grams of characters: a word's vector is the mean over its n-grams.

    Source: Bojanowski et al. 2017 (fastText).
    """

    buckets: Width = 4096
    """Embeddings that all n-grams share by their hash."""
    width: Width = 32


@settings
class ReducedPieces:
    """Embeddings of a pretrained encoder's pieces, reduced: a word's vector is their mean."""

    name: str
    """An encoder as for `pretrained`, `teacher:NAME`, or `teacher`: the first that reads pieces."""
    revision: str | None = None
    width: Width = 64

    def read(self, teachers: Path | None) -> Reduced:
        """The pieces and their vectors; InputError where there are none."""
        return reduced(located(self.name, teachers), self.width, self.revision)


@settings
class WordFeatures:
    """What networks over words share: how a word becomes a vector."""

    kind: str = ""
    words: Width = 64
    """Width of a word's own embedding."""
    characters: Width = 32
    """Width of the convolution over a word's characters."""
    grams: Grams | None = None
    pieces: ReducedPieces | None = None
    dropout: Share = 0.3
    word_dropout: Share = 0.1
    """Share of training words read as unknown: it teaches the network to use spelling."""
    minimum_count: Width = 1
    """Words seen less often than this share the embedding of unknown words."""

    def network(self, reader: WordReader) -> Any:
        """The network with fresh weights over what a reader reads; each kind has its own."""
        raise NotImplementedError

    def build(self, sentences: Iterable[Sequence[str]], teachers: Path | None = None) -> Any:
        """A network with fresh weights over the words of its training text.

        `teachers` is the folder of trained teachers, of which pieces may be borrowed.
        """
        table = None if self.pieces is None else self.pieces.read(teachers)
        reader = WordReader(
            vocabulary(sentences, self.minimum_count),
            grams=0 if self.grams is None else self.grams.buckets,
            pieces=None if table is None else table.pieces,
        )
        network = self.network(reader)
        if table is not None:
            with torch.no_grad():
                network.piece.weight[1:] = table.vectors
        return network

    def load(self, folder: Path) -> Any:
        """The network that `save` described, its weights still fresh."""
        return self.network(WordReader.load(folder))

    @property
    def teacher(self) -> str | None:
        """The teacher that the network borrows from, if any; "" for whichever there is."""
        return None if self.pieces is None else teacher_in(self.pieces.name)

    def lent_by(self, teacher: str) -> Any:
        """The same settings, borrowing from that teacher."""
        assert self.pieces is not None
        return replace(self, pieces=replace(self.pieces, name=f"teacher:{teacher}"))


def vocabulary(sentences: Iterable[Sequence[str]], minimum_count: int) -> list[str]:
    """Lower-cased words seen at least so often, most frequent first, ties by the alphabet."""
    counts = Counter(word.lower() for words in sentences for word in words)
    kept = [(-count, word) for word, count in counts.items() if count >= minimum_count]
    return [word for _, word in sorted(kept)]


class WordVectors(nn.Module):
    """A network over words without its upper part: `features` gives a vector a word.

    Word 0 is padding, word 1 unknown. What is built on it defines `width` and `forward`.
    """

    def __init__(self, parameters: WordFeatures, reader: WordReader) -> None:
        super().__init__()
        self.parameters_, self.reader = parameters, reader
        grams, pieces, shape_width = parameters.grams, parameters.pieces, len(SHAPES)
        self.word = nn.Embedding(len(reader.vocabulary) + 2, parameters.words, padding_idx=0)
        self.shape = nn.Embedding(len(SHAPES), shape_width)
        self.character = nn.Embedding(CHARACTERS, 24, padding_idx=0)
        self.spelling = nn.Conv1d(24, parameters.characters, kernel_size=3, padding=1)
        self.gram = None if grams is None else _means(grams.buckets, grams.width)
        self.piece = None
        if pieces is not None and reader.pieces is not None:
            self.piece = _means(len(reader.pieces), pieces.width)
        means = [table.embedding_dim for table in (self.gram, self.piece) if table is not None]
        self.features_width = parameters.words + parameters.characters + shape_width + sum(means)

    def inputs(self, sentences: Sentences) -> Inputs:
        """What `WordReader` reads, as tensors."""
        return {name: torch.from_numpy(array) for name, array in self.reader(sentences).items()}

    def features(self, inputs: Inputs) -> Float[Tensor, "batch words features"]:
        """Vectors of words by themselves; any value past a sentence's length."""
        place = inputs["place"]
        distinct = [self.shape(inputs["shape"])]
        distinct.append(spell(inputs["character"], self.character, self.spelling))
        if self.gram is not None:
            distinct.append(_mean(self.gram, inputs["gram"]))
        if self.piece is not None:
            distinct.append(_mean(self.piece, inputs["piece"]))
        words = self._forget(inputs["word"][place])
        parts = [self.word(words), nn.functional.embedding(place, torch.cat(distinct, dim=1))]
        return self._dropped(torch.cat(parts, dim=2))

    def save(self, folder: Path) -> None:
        """Write what the reader needs."""
        self.reader.save(folder)

    def sizes(self, sentences: Sentences) -> list[int]:
        """Words of each sentence."""
        return self.reader.sizes(sentences)

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are too long to be read at once: none."""
        return self.reader.windowed(sentences)

    def _narrow(self) -> None:
        """Draw word embeddings anew, each about as long as 1.

        Networks do so last: a seed has always given them these weights.
        """
        nn.init.normal_(self.word.weight, std=self.word.embedding_dim**-0.5)

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


def _means(rows: int, width: int) -> nn.Embedding:
    """Embeddings that are averaged; row 0 is padding."""
    table = nn.Embedding(rows + 1, width, padding_idx=0)
    nn.init.normal_(table.weight[1:].detach(), std=width**-0.5)
    return table


def _mean(
    table: nn.Embedding, numbers: Int[Tensor, "words longest"]
) -> Float[Tensor, "words width"]:
    """The mean over what each word is spelled in, zero where that is nothing; 0 is padding."""
    counts = (numbers > 0).sum(dim=1, keepdim=True).clamp(min=1)
    return table(numbers).sum(dim=1) / counts
