"""A transformer encoder over words: pieces in overlapping windows, one vector a word."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.reading.lexicon import SHAPES
from pipeline.reading.pieces import PieceReader, Pooling, Reading
from pipeline.reading.words import Sentences


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
        before, after = _special_pieces(tokenizer)
        reading = Reading(
            before=before,
            after=after,
            unknown=tokenizer.unk_token_id or 0,
            window=min(window, _longest(model)),
            overlap=overlap,
            pooling=pooling,
        )
        self.reader = PieceReader(_plain_tokenizer(tokenizer), reading)
        embedding = model.get_input_embeddings()
        # Zero at first, so that pretrained behaviour is where training starts from.
        self.shapes = nn.Embedding(len(SHAPES) + 1, embedding.embedding_dim) if shapes else None
        if self.shapes is not None:
            nn.init.zeros_(self.shapes.weight)

    def inputs(self, sentences: Sentences) -> dict[str, Tensor]:
        """What `PieceReader` reads, as tensors."""
        return {name: torch.from_numpy(array) for name, array in self.reader(sentences).items()}

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
        summed = vectors.new_zeros(1 + shape[0] * shape[1], self.width)
        summed = summed.index_add(0, place, vectors.flatten(0, 1))
        counts = torch.zeros(1 + shape[0] * shape[1], device=place.device)
        counts = counts.index_add(0, place, torch.ones_like(place, dtype=counts.dtype)).clamp(min=1)
        pooled = summed[1:] / counts[1:].unsqueeze(1).to(summed.dtype)
        return pooled.view(*shape, self.width)

    def save(self, folder: Path) -> None:
        """Write configuration and tokenizer below `encoder/`, and what the reader needs."""
        self.model.config.save_pretrained(folder / "encoder")
        self.tokenizer.save_pretrained(folder / "encoder")
        self.reader.save(folder)

    def sizes(self, sentences: Sentences) -> list[int]:
        """Pieces of each sentence."""
        return self.reader.sizes(sentences)

    def windowed(self, sentences: Sentences) -> int:
        """How many sentences are longer than one window."""
        return self.reader.windowed(sentences)


def _plain_tokenizer(tokenizer: Any) -> Any:
    """The `tokenizers.Tokenizer` within; a copy, for the library changes its own at each call."""
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None:
        raise InputError(
            f"encoder.name: expected a fast tokenizer, one with tokenizer.json, found "
            f"{type(tokenizer).__name__}; save the encoder again with a fast one"
        )
    plain = type(inner).from_str(inner.to_str())
    # Neither is part of a text, whatever the file of the tokenizer asks for.
    plain.no_truncation()
    plain.no_padding()
    return plain


def _special_pieces(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before and after a text, such as [CLS] and [SEP]."""
    encoded: Any = tokenizer("a", return_special_tokens_mask=True)
    pieces, special = encoded["input_ids"], encoded["special_tokens_mask"]
    inner = [index for index, flag in enumerate(special) if not flag]
    return tuple(pieces[: inner[0]]), tuple(pieces[inner[-1] + 1 :])


def _longest(model: Any) -> int:
    """Positions that the model has; RoBERTa's table holds two that no piece may use."""
    positions = getattr(model.config, "max_position_embeddings", None) or 10**6
    reserved = 2 if getattr(model.config, "pad_token_id", 0) == 1 else 0
    return positions - reserved
