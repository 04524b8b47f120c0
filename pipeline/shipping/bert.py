"""The vectors of words that BERT gives, as ONNX: written so that one sentence costs little.

With a small network and one sentence, to pass the nodes of a traced graph takes as long as what
they compute. Here they are few, in patterns that ONNX Runtime fuses, and in the last layer what
follows on attention is computed at the first piece of each word alone: nobody reads the others.

Source: Devlin et al. 2019 (BERT); formulas as in the library `transformers`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.shipping.nodes import Graph
from pipeline.transformer import TransformerEncoder

_ROWS = ["rows", "pieces"]
_WORDS = ["batch", "words"]
PIECE_AXES = {
    "pieces": _ROWS,
    "attend": _ROWS,
    "shape": _ROWS,
    "word": _ROWS,
    "first": _WORDS,
    "mask": _WORDS,
    "lengths": ["batch"],
}
"""The axes of what a reader of pieces gives."""

_BARRED = -1e30
"""Added to the scores of padding: their share is exactly 0."""


def is_bert(encoder: TransformerEncoder) -> bool:
    """Whether `bert_vectors` says what this encoder says: BERT, and a word is its first piece."""
    config = encoder.model.config
    usual = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    decodes = config.is_decoder or config.add_cross_attention
    alike = all(getattr(config, name, value) == value for name, value in usual.items())
    return alike and not decodes and encoder.pooling == "first"


def bert_vectors(graph: Graph, encoder: TransformerEncoder) -> str:
    """Vectors [batch, words, width]."""
    config, vectors = encoder.model.config, _embedded(graph, encoder)
    heads, width = config.num_attention_heads, config.hidden_size
    graph.weight("apart", [0, 0, 3 * heads, width // heads])
    graph.weight("joined", [0, 0, width])
    graph.weight("flat", [-1, width])
    attend = graph("Unsqueeze", "attend", graph.weight("beside", [1, 2]), out="attend.heads")
    graph("Where", attend, graph.weight("open", 0.0), graph.weight("shut", _BARRED), out="barred")
    layers = [*encoder.model.encoder.layer]
    for number, layer in enumerate(layers):
        name = f"layer{number}"
        attended = _attended(graph, layer.attention.self, vectors, name)
        if layer is layers[-1]:
            vectors = _at_words(graph, vectors, f"{name}.read")
            attended = _at_words(graph, attended, f"{name}.attended")
        vectors = _residual(graph, layer.attention.output, attended, vectors, f"{name}.mixed")
        inner = _gelu(graph, _linear(graph, layer.intermediate.dense, vectors, f"{name}.inner"))
        vectors = _residual(graph, layer.output, inner, vectors, f"{name}.outer")
    return vectors


def _embedded(graph: Graph, encoder: TransformerEncoder) -> str:
    """[rows, pieces, width]: pieces, shapes and positions; all pieces are of one text, number 0."""
    embeddings = encoder.model.embeddings
    vectors = _pieces(graph, embeddings.word_embeddings)
    if encoder.shapes is not None:
        table = graph.weight("shape.table", encoder.shapes.weight)
        shapes = graph("Gather", table, "shape", out="shape.vectors")
        vectors = graph("Add", vectors, shapes, out="pieces.shaped")
    both = embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]
    count = graph("Shape", "pieces", out="pieces.count", start=1)
    first = graph.weight("place", [0])
    places = graph("Slice", graph.weight("place.table", both), first, count, first, out="places")
    summed = graph("Add", vectors, places, out="pieces.placed")
    return _norm(graph, embeddings.LayerNorm, summed, "embedded")


def _pieces(graph: Graph, table: Any) -> str:
    """The vectors of pieces; of thin embeddings, a table and a matrix."""
    if isinstance(table, nn.Embedding):
        return graph(
            "Gather", graph.weight("pieces.table", table.weight), "pieces", out="pieces.vectors"
        )
    thin = graph("Gather", graph.weight("pieces.table", table.table.weight), "pieces", out="thin")
    matrix = graph.weight("pieces.widen", table.widen.weight.T)
    return graph("MatMul", thin, matrix, out="pieces.vectors")


def _attended(graph: Graph, attention: Any, vectors: str, name: str) -> str:
    """[rows, pieces, width]: what each head has read, beside each other.

    Queries, keys and values are one product: so the vectors become integers once.
    """
    three = (attention.query, attention.key, attention.value)
    weight, bias = (torch.cat([getattr(each, key) for each in three]) for key in ("weight", "bias"))
    product = _affine(graph, weight, bias, vectors, f"{name}.all")
    apart = graph("Reshape", product, "apart", out=f"{name}.apart")
    heads = graph("Transpose", apart, out=f"{name}.heads", perm=[0, 2, 1, 3])
    names = [f"{name}.{each}" for each in ("query", "key", "value")]
    query, key, value = graph.split(heads, names, axis=1)
    turned = graph("Transpose", key, out=f"{name}.turned", perm=[0, 1, 3, 2])
    scores = graph("MatMul", query, turned, out=f"{name}.products")
    scores = graph("Mul", scores, graph.weight("scale", attention.scaling), out=f"{name}.scaled")
    scores = graph("Add", scores, "barred", out=f"{name}.scores")
    shares = graph("Softmax", scores, out=f"{name}.shares", axis=-1)
    read = graph("MatMul", shares, value, out=f"{name}.values")
    read = graph("Transpose", read, out=f"{name}.pieces", perm=[0, 2, 1, 3])
    return graph("Reshape", read, "joined", out=f"{name}.joined")


def _at_words(graph: Graph, vectors: str, name: str) -> str:
    """[batch, words, width] of [rows, pieces, width]: of each word its first piece."""
    flat = graph("Reshape", vectors, "flat", out=f"{name}.flat")
    return graph("Gather", flat, "first", out=f"{name}.words")


def _residual(graph: Graph, part: Any, vectors: str, before: str, name: str) -> str:
    """A linear layer added to what was before it, then normalised.

    Not by the operator Add: ONNX Runtime would join it with the norm in one kernel for both, which
    takes six times as long as the two (1.31, a sentence, 384 wide).
    """
    summed = graph("Sum", _linear(graph, part.dense, vectors, name), before, out=f"{name}.sum")
    return _norm(graph, part.LayerNorm, summed, f"{name}.norm")


def _gelu(graph: Graph, vectors: str) -> str:
    """x (1 + erf(x / √2)) / 2, in the order that ONNX Runtime knows for one operator."""
    root, one = graph.weight("root", 2**0.5), graph.weight("one", 1.0)
    erf = graph("Erf", graph("Div", vectors, root, out=f"{vectors}.root"), out=f"{vectors}.erf")
    twice = graph(
        "Mul", vectors, graph("Add", erf, one, out=f"{vectors}.share"), out=f"{vectors}.twice"
    )
    return graph("Mul", twice, graph.weight("half", 0.5), out=f"{vectors}.gelu")


def _norm(graph: Graph, norm: nn.LayerNorm, vectors: str, name: str) -> str:
    weights = graph.weight(f"{name}.scale", norm.weight), graph.weight(f"{name}.shift", norm.bias)
    return graph("LayerNormalization", vectors, *weights, out=name, axis=-1, epsilon=norm.eps)


def _linear(graph: Graph, linear: nn.Linear, vectors: str, name: str) -> str:
    return _affine(graph, linear.weight, linear.bias, vectors, name)


def _affine(graph: Graph, weight: Tensor, bias: Tensor, vectors: str, name: str) -> str:
    product = graph(
        "MatMul", vectors, graph.weight(f"{name}.weight", weight.T), out=f"{name}.product"
    )
    return graph("Add", product, graph.weight(f"{name}.bias", bias), out=name)
