"""Vectors of pieces, reduced: the embeddings of a pretrained encoder in fewer numbers each.

Source: Mukherjee and Awadallah 2020 (XtremeDistil), §3.2.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.device import one_thread
from pipeline.errors import InputError
from pipeline.places import file_of
from pipeline.reading.stored import read_tokenizer
from pipeline.reading.words import PieceTable

_TABLES = ("word_embeddings.weight", "embed_tokens.weight", "tok_embeddings.weight", "wte.weight")
"""How the input embeddings of BERT's kind, of Llama's, ModernBERT's and GPT's are called."""


class Reduced(NamedTuple):
    """A tokenizer, and a vector of each of its pieces."""

    pieces: PieceTable
    vectors: Float[Tensor, "pieces width"]


def reduced(place: str, width: int, revision: str | None = None) -> Reduced:
    """The pieces of the encoder at a place, their embeddings reduced to `width` numbers each.

    The weights' file alone is read; no network is built. Raises InputError where there is no
    tokenizer.json, no table of embeddings, or one too narrow.
    """
    tokenizer = read_tokenizer(file_of(place, "tokenizer.json", revision))
    pieces = PieceTable(tokenizer, _unknown(tokenizer))
    # A trained teacher keeps its weights under another name.
    own = Path(place) / "weights.safetensors"
    weights = own if own.is_file() else file_of(place, "model.safetensors", revision)
    table = _table(weights)[: len(pieces)]
    if len(table) < len(pieces) or table.shape[1] < width:
        raise InputError(
            f"{weights}: expected embeddings of {len(pieces)} pieces, {width} wide or wider, found "
            f"{len(table)}, {table.shape[1]} wide; choose another encoder or a smaller width"
        )
    return Reduced(pieces, principal(table, width))


def principal(table: Float[Tensor, "pieces wide"], width: int) -> Float[Tensor, "pieces width"]:
    """U_k S_k of the singular value decomposition of the centred table, scaled.

    Each row's squared length is 1 on average: as long as a fresh embedding of a word.
    """
    with one_thread():
        centred = table.double()
        centred = centred - centred.mean(dim=0)
        scores = centred @ axes(centred, width)
        return (scores / scores.square().sum(dim=1).mean().sqrt()).float()


def axes(table: Float[Tensor, "rows wide"], count: int) -> Float[Tensor, "wide count"]:
    """The right singular vectors of the largest singular values, largest first."""
    # They are the eigenvectors of a matrix as wide as the table: a small one.
    with one_thread():
        found = torch.linalg.eigh(table.T @ table).eigenvectors.flip(1)[:, :count]
    # A vector and its negative serve alike: the largest entry is made positive.
    return found * found.gather(0, found.abs().argmax(dim=0, keepdim=True)).sign()


def _table(path: Path) -> Float[Tensor, "pieces wide"]:
    try:
        with safe_open(path, framework="pt") as weights:
            names = sorted(filter(lambda name: name.endswith(_TABLES), weights.keys()))
            if names:
                return weights.get_tensor(names[0])
    except SafetensorError as error:
        raise InputError(f"{path}: expected a whole safetensors file, found {error}") from None
    raise InputError(f"{path}: expected embeddings of pieces, found no tensor *{_TABLES[0]}")


def _unknown(tokenizer: Any) -> int:
    """The piece of what the tokenizer cannot spell; 0 where it has none."""
    model = json.loads(tokenizer.to_str())["model"]
    named = tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None
    return named if named is not None else model.get("unk_id") or 0
