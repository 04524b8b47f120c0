"""A transformer encoder over words: pieces in overlapping windows, one vector a word."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.pieces import Pieces, ranges, windows
from pipeline.words import SHAPES

Pooling: TypeAlias = Literal["first", "mean"]
"""A word's vector: that of its first piece, or the mean over its pieces."""


class TransformerEncoder(nn.Module):
    """Any `AutoModel` that takes `inputs_embeds` and gives `last_hidden_state`.

    The library's types are not named here: importing it costs every stage two seconds.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        pooling: Pooling,
        shapes: bool,
        window: int,
        overlap: int,
    ) -> None:
        super().__init__()
        self.model, self.tokenizer, self.pooling = model, tokenizer, pooling
        self.width: int = model.config.hidden_size
        self._before, self._after = _special_pieces(tokenizer)
        self._room = min(window, _longest(model)) - len(self._before) - len(self._after)
        # Half a window: with more, a long sentence would be read many times over.
        self._overlap = min(overlap, self._room // 2)
        self._pieces = Pieces(tokenizer, self._room)
        embedding = model.get_input_embeddings()
        # Zero at first, so that pretrained behaviour is where training starts from.
        self.shapes = nn.Embedding(len(SHAPES) + 1, embedding.embedding_dim) if shapes else None
        if self.shapes is not None:
            nn.init.zeros_(self.shapes.weight)

    def inputs(self, sentences: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """Windows of all sentences as rows.

        `pieces`, `attend`, `shape` [rows, pieces]; `word` [rows, pieces] numbers the word of the
        padded batch that a piece counts for (0: none); `lengths` [batch] counts words, and `mask`
        [batch, words] is True at them.
        """
        known, numbers = self._pieces, self._pieces.numbers(sentences)
        lengths = np.array([len(words) for words in sentences], dtype=np.int64)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        first, end, own, own_end = self._windows(known.counts(numbers), lengths)
        # Every word of every window, then every piece of those.
        row, word = ranges(first, end)
        counts_for = 1 + np.flatnonzero(mask)[word]
        counts_for[(word < own[row]) | (word >= own_end[row])] = 0
        which, place = ranges(known.borders[numbers[word]], known.borders[numbers[word] + 1])
        row = row[which]
        sizes = np.bincount(row, minlength=len(first))
        column = len(self._before) + np.arange(len(row)) - (sizes.cumsum() - sizes)[row]
        whole = len(self._before) + sizes + len(self._after)
        pieces, shape, counted = np.zeros((3, len(first), whole.max(initial=0)), dtype=np.int64)
        pieces[row, column] = known.pieces[place]
        pieces[:, : len(self._before)] = self._before
        for n, piece in enumerate(reversed(self._after), start=1):
            pieces[np.arange(len(first)), whole - n] = piece
        shape[row, column] = 1 + known.shapes[numbers[word]][which]
        if self.pooling == "first":
            is_first = np.diff(which, prepend=-1) > 0
            row, column, which = row[is_first], column[is_first], which[is_first]
        counted[row, column] = counts_for[which]
        attend = np.arange(whole.max(initial=0)) < whole[:, None]
        arrays = {"pieces": pieces, "attend": attend, "shape": shape, "word": counted}
        arrays |= {"lengths": lengths, "mask": mask}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def forward(self, inputs: dict[str, Tensor]) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero.

        Nothing here asks a GPU for a number, so that its next batch can be made ready meanwhile.
        """
        embedded = self.model.get_input_embeddings()(inputs["pieces"])
        if self.shapes is not None:
            embedded = embedded + self.shapes(inputs["shape"])
        vectors = self.model(
            inputs_embeds=embedded, attention_mask=inputs["attend"].long()
        ).last_hidden_state
        place, shape = inputs["word"].flatten(), inputs["mask"].shape
        # Slot 0 collects what counts for no word and is dropped.
        summed = vectors.new_zeros(1 + shape.numel(), self.width)
        summed = summed.index_add(0, place, vectors.flatten(0, 1))
        counts = torch.zeros(1 + shape.numel(), device=place.device)
        counts = counts.index_add(0, place, counts.new_ones(len(place))).clamp(min=1)
        pooled = summed[1:] / counts[1:].unsqueeze(1).to(summed.dtype)
        return pooled.view(*shape, self.width)

    def save(self, folder: Path) -> None:
        """Write configuration and tokenizer below `encoder/`."""
        self.model.config.save_pretrained(folder / "encoder")
        self.tokenizer.save_pretrained(folder / "encoder")

    def sizes(self, sentences: Sequence[Sequence[str]]) -> list[int]:
        """Pieces of each sentence: one long address may have more than the words around it."""
        pieces = self._pieces.counts(self._pieces.numbers(sentences))
        return _sums(pieces, np.array([len(words) for words in sentences], dtype=np.int64)).tolist()

    def windowed(self, sentences: Sequence[Sequence[str]]) -> int:
        """How many sentences are longer than one window."""
        return sum(size > self._room for size in self.sizes(sentences))

    def _windows(self, pieces: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """`Window`s [4, rows] over the words of all sentences, which have so many pieces each."""
        borders = [0, *lengths.cumsum().tolist()]
        rows = []
        for (first, end), size in zip(pairwise(borders), _sums(pieces, lengths), strict=True):
            if size <= self._room:
                rows.append((first, end, first, end))
            else:
                found = windows(pieces[first:end].tolist(), self._room, self._overlap)
                rows += [tuple(first + place for place in window) for window in found]
        return np.array(rows, dtype=np.int64).reshape(-1, 4).T


def _sums(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Σ of consecutive runs of so many values."""
    totals, ends = np.concatenate([[0], values.cumsum()]), lengths.cumsum()
    return totals[ends] - totals[ends - lengths]


def _special_pieces(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text, such as [CLS] and [SEP]."""
    encoded: Any = tokenizer("a", return_special_tokens_mask=True)
    pieces, special = encoded["input_ids"], encoded["special_tokens_mask"]
    inner = [index for index, flag in enumerate(special) if not flag]
    return list(pieces[: inner[0]]), list(pieces[inner[-1] + 1 :])


def _longest(model: Any) -> int:
    """Positions that the model has; RoBERTa's table holds two that no piece may use."""
    positions = getattr(model.config, "max_position_embeddings", None) or 10**6
    reserved = 2 if getattr(model.config, "pad_token_id", 0) == 1 else 0
    return positions - reserved
