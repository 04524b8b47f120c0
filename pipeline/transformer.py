"""A transformer encoder over words: pieces in overlapping windows, one vector a word."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.words import SHAPES, shape

Pooling: TypeAlias = Literal["first", "mean"]
"""A word's vector: that of its first piece, or the mean over its pieces."""


class Window(NamedTuple):
    """Words `first` to `end` (exclusive) are read; those from `own` to `own_end` take it."""

    first: int
    end: int
    own: int
    own_end: int


def windows(pieces: Sequence[int], room: int, overlap: int) -> list[Window]:
    """Windows over words with so many pieces each, every word in exactly one window's own part.

    A sentence that fits is one window. Others move on by `room - overlap` pieces; a word in two
    windows belongs to the one in which it stands further from the border. Borders depend on
    lengths alone, never on tags. A word of more than `room` pieces is cut by the caller.
    """
    spans, first = [], 0
    while True:
        end = _fill(pieces, first, room)
        spans.append((first, end))
        if end == len(pieces):
            break
        first = max(first + 1, _back(pieces, end, overlap))
    borders = [0, *(_middle(left, right) for left, right in pairwise(spans)), len(pieces)]
    owned = zip(spans, pairwise(borders), strict=True)
    return [Window(first, end, own, own_end) for (first, end), (own, own_end) in owned]


def _fill(pieces: Sequence[int], first: int, room: int) -> int:
    used, end = 0, first
    while end < len(pieces) and (used + pieces[end] <= room or end == first):
        used += pieces[end]
        end += 1
    return end


def _back(pieces: Sequence[int], end: int, overlap: int) -> int:
    used, first = 0, end
    while first > 0 and used + pieces[first - 1] <= overlap:
        first -= 1
        used += pieces[first]
    return first


def _middle(left: tuple[int, int], right: tuple[int, int]) -> int:
    return (right[0] + left[1]) // 2


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
        self._pieces: dict[str, list[int]] = {}
        embedding = model.get_input_embeddings()
        # Zero at first, so that pretrained behaviour is where training starts from.
        self.shapes = nn.Embedding(len(SHAPES) + 1, embedding.embedding_dim) if shapes else None
        if self.shapes is not None:
            nn.init.zeros_(self.shapes.weight)

    def inputs(self, sentences: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """Windows of all sentences as rows.

        `pieces`, `attend`, `shape` [rows, pieces]; `word` [rows, pieces] numbers the word of the
        padded batch that a piece counts for (0: none); `lengths` [batch] counts words.
        """
        self._learn(sentences)
        longest = max(map(len, sentences), default=0)
        rows = [
            row
            for index, words in enumerate(sentences)
            for row in self._rows(words, 1 + index * longest)
        ]
        wide = max((len(row[0]) for row in rows), default=0)
        pieces, shapes, word = (
            torch.tensor([row[part] + [0] * (wide - len(row[0])) for row in rows], dtype=torch.long)
            for part in range(3)
        )
        counts = torch.tensor([len(row[0]) for row in rows], dtype=torch.long)
        return {
            "pieces": pieces,
            "attend": torch.arange(wide) < counts.unsqueeze(1),
            "shape": shapes,
            "word": word,
            "lengths": torch.tensor([len(words) for words in sentences], dtype=torch.long),
        }

    def forward(self, inputs: dict[str, Tensor]) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        embedded = self.model.get_input_embeddings()(inputs["pieces"])
        if self.shapes is not None:
            embedded = embedded + self.shapes(inputs["shape"])
        vectors = self.model(
            inputs_embeds=embedded, attention_mask=inputs["attend"].long()
        ).last_hidden_state
        batch, longest = len(inputs["lengths"]), int(inputs["lengths"].max())
        place = inputs["word"].flatten()
        # Slot 0 collects what counts for no word and is dropped.
        summed = vectors.new_zeros(1 + batch * longest, self.width)
        summed = summed.index_add(0, place, vectors.flatten(0, 1))
        counts = torch.bincount(place, minlength=1 + batch * longest).clamp(min=1)
        pooled = summed[1:] / counts[1:].unsqueeze(1).to(summed.dtype)
        return pooled.view(batch, longest, self.width)

    def save(self, folder: Path) -> None:
        """Write configuration and tokenizer below `encoder/`."""
        self.model.config.save_pretrained(folder / "encoder")
        self.tokenizer.save_pretrained(folder / "encoder")

    def size(self, words: Sequence[str]) -> int:
        """Pieces of a sentence: one long address may have more than the words around it."""
        self._learn([words])
        return sum(len(self._pieces[word]) for word in words)

    def windowed(self, words: Sequence[str]) -> bool:
        """Whether a sentence is longer than one window."""
        return self.size(words) > self._room

    def _rows(
        self, words: Sequence[str], base: int
    ) -> list[tuple[list[int], list[int], list[int]]]:
        """Pieces, shapes and word numbers of each window of one sentence."""
        spelled = [self._pieces[word] for word in words]
        rows = []
        for window in windows([len(pieces) for pieces in spelled], self._room, self._overlap):
            row: tuple[list[int], list[int], list[int]] = (list(self._before), [], [])
            row[1].extend([0] * len(self._before))
            row[2].extend([0] * len(self._before))
            for index in range(window.first, window.end):
                owned = window.own <= index < window.own_end
                self._append(row, words[index], spelled[index], base + index if owned else 0)
            row[0].extend(self._after)
            row[1].extend([0] * len(self._after))
            row[2].extend([0] * len(self._after))
            rows.append(row)
        return rows

    def _append(
        self,
        row: tuple[list[int], list[int], list[int]],
        word: str,
        pieces: list[int],
        number: int,
    ) -> None:
        counted = len(pieces) if self.pooling == "mean" else 1
        row[0].extend(pieces)
        row[1].extend([1 + shape(word)] * len(pieces))
        row[2].extend([number] * counted + [0] * (len(pieces) - counted))

    def _learn(self, sentences: Sequence[Sequence[str]]) -> None:
        """Look up the pieces of words not met before; a word without any reads as unknown."""
        new = sorted({word for words in sentences for word in words} - self._pieces.keys())
        if not new:
            return
        unknown = self.tokenizer.unk_token_id
        encoded = self.tokenizer(
            [[word] for word in new], is_split_into_words=True, add_special_tokens=False
        )["input_ids"]
        for word, pieces in zip(new, encoded, strict=True):
            # A word longer than a whole window is cut: its first pieces stand for it.
            self._pieces[word] = list(pieces[: self._room]) or [unknown]


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
