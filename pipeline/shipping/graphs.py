"""The emissions of a student as an ONNX graph: what runs where PyTorch is not installed.

Inputs are arrays of the student's reader by their names, batch and length free; the output
`emissions` [batch, words, tags] has any value at padding. A sentence has at least one word. Equal
students give equal bytes.

To export another network, write what its encoder computes with `Graph` and name it in `_VECTORS`.
Of transformers, BERT is written so (`bert.py`), others are traced (`traced.py`).
"""

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import nn

from pipeline.features import WordVectors
from pipeline.networks import BiLSTMEncoder
from pipeline.shipping.bert import PIECE_AXES, bert_vectors, is_bert
from pipeline.shipping.nodes import OPSET, Graph
from pipeline.shipping.traced import traced_graph
from pipeline.students import CNNEncoder, WindowEncoder
from pipeline.tagger import Tagger
from pipeline.transformer import TransformerEncoder

_AXES = {
    "word": ["distinct"],
    "shape": ["distinct"],
    "character": ["distinct", "longest"],
    "gram": ["distinct", "grams"],
    "piece": ["distinct", "pieces"],
    "place": ["batch", "words"],
    "lengths": ["batch"],
}
"""The free axes of what a reader of words gives."""


def emissions_graph(student: Tagger) -> onnx.ModelProto:
    """The ONNX model of a student's emissions, in float32."""
    encoder: Any = student.encoder
    if isinstance(encoder, TransformerEncoder) and not is_bert(encoder):
        return traced_graph(student, OPSET)
    graph = Graph()
    vectors = _VECTORS[type(encoder)](graph, encoder)
    weight = graph.weight("emit.weight", student.emit.weight.T)
    product = graph("MatMul", vectors, weight, out="emit.product")
    graph("Add", product, graph.weight("emit.bias", student.emit.bias), out="emissions")
    read = {name: tensor.numpy() for name, tensor in encoder.inputs([["a"]]).items()}
    axes = PIECE_AXES if isinstance(encoder, TransformerEncoder) else _AXES
    return graph.model(read, axes, len(student.tags))


def _bilstm(graph: Graph, encoder: BiLSTMEncoder) -> str:
    """Vectors [batch, words, 2 hidden]; the operator LSTM reads and writes words first."""
    place = graph("Transpose", "place", out="place.steps", perm=[1, 0])
    steps = graph("Gather", _features(graph, encoder), place, out="steps")
    graph("Cast", "lengths", out="lengths.int32", to=TensorProto.INT32)
    graph.weight("joined", [0, 0, -1])
    for layer in range(encoder.lstm.num_layers):
        states = _states(graph, encoder.lstm, layer, steps)
        steps = graph("Transpose", states, out=f"lstm{layer}.sides", perm=[0, 2, 1, 3])
        steps = graph("Reshape", steps, "joined", out=f"lstm{layer}.steps")
    return graph("Transpose", steps, out="vectors", perm=[1, 0, 2])


def _cnn(graph: Graph, encoder: CNNEncoder) -> str:
    """Vectors [batch, words, width].

    A layer over three words is a convolution, here over pictures one line high [batch, width, 1,
    words]: for those ONNX Runtime has kernels twice as fast.
    """
    read = graph("Gather", _features(graph, encoder), "place", out="read")
    rows = graph("Transpose", read, out="read.rows", perm=[0, 2, 1])
    line = graph.weight("line", [2])
    lines = graph("Unsqueeze", rows, line, out="read.lines")
    mask = graph("Unsqueeze", _inside(graph), line, out="inside.lines")
    lines = _layer(graph, encoder.first, "first", lines, mask, 1, "first")
    for n, apart in enumerate(encoder.dilations):
        which = n % len(encoder.layers)
        added = _layer(graph, encoder.layers[which], f"layer{which}", lines, mask, apart, f"{n}")
        lines = graph("Add", lines, added, out=f"{n}.sum")
    rows = graph("Squeeze", lines, line, out="rows")
    return graph("Transpose", rows, out="vectors", perm=[0, 2, 1])


def _layer(
    graph: Graph, linear: Any, weight: str, lines: str, mask: str, apart: int, name: str
) -> str:
    """A linear layer over a word and those so far beside it, and what of it is above zero."""
    masked = graph("Mul", lines, mask, out=f"{name}.masked")
    taps = linear.weight.unflatten(1, (3, 1, -1)).permute(0, 3, 2, 1)
    weights = graph.weight(f"{weight}.weight", taps), graph.weight(f"{weight}.bias", linear.bias)
    convolved = graph(
        "Conv", masked, *weights, out=f"{name}.convolved",
        dilations=[1, apart], pads=[0, apart, 0, apart],
    )  # fmt: skip
    return graph("Relu", convolved, out=f"{name}.above")


def _window(graph: Graph, encoder: WindowEncoder) -> str:
    """Vectors [batch, words, width]: features of so many words beside each other."""
    read = graph("Gather", _features(graph, encoder), "place", out="read")
    mask = graph("Transpose", _inside(graph), out="inside.words", perm=[0, 2, 1])
    reach = max(map(abs, encoder.places))
    pads = graph.weight("pads", [0, reach, 0, 0, reach, 0])
    padded = graph("Pad", graph("Mul", read, mask, out="masked"), pads, out="padded")
    graph.weight("axis", [1])
    beside = []
    for n in encoder.places:
        first = graph.weight(f"first{n}", [reach + n])
        # Counted from the end; the greatest number is the end itself.
        end = graph.weight(f"end{n}", [n - reach if n < reach else 2**63 - 1])
        beside.append(graph("Slice", padded, first, end, "axis", out=f"beside{n}"))
    return graph("Concat", *beside, out="vectors", axis=2)


def _inside(graph: Graph) -> str:
    """[batch, 1, words]: one at words, zero at padding."""
    shape = graph("Shape", "place", out="place.shape", start=1)
    words = graph("Squeeze", shape, out="place.words")
    graph.weight("none", 0)
    graph.weight("next", 1)
    places = graph("Range", "none", words, "next", out="place.numbers")
    lengths = graph("Unsqueeze", "lengths", graph.weight("two", [1, 2]), out="lengths.rows")
    inside = graph("Less", places, lengths, out="is.inside")
    return graph("Cast", inside, out="inside", to=TensorProto.FLOAT)


def _features(graph: Graph, encoder: WordVectors) -> str:
    """[distinct, width]: what `WordVectors.features` gives of each distinct word."""
    tables = {"word": encoder.word, "shape": encoder.shape}
    parts = [
        graph("Gather", graph.weight(f"{name}.table", table.weight), name, out=f"{name}.vector")
        for name, table in tables.items()
    ]
    parts.append(_spelled(graph, encoder.character, encoder.spelling))
    for name, table in (("gram", encoder.gram), ("piece", encoder.piece)):
        if table is not None:
            parts.append(_mean(graph, table, name))
    return graph("Concat", *parts, out="features", axis=1)


def _mean(graph: Graph, table: nn.Embedding, name: str) -> str:
    """The mean over what each word is spelled in, zero where that is nothing; 0 is padding."""
    counted = torch.ones(table.num_embeddings)
    counted[0] = 0
    row = graph.weight(f"{name}.row", [1])
    vectors = graph("Gather", graph.weight(f"{name}.table", table.weight), name, out=f"{name}.all")
    total = graph("ReduceSum", vectors, row, out=f"{name}.sum", keepdims=0)
    ones = graph("Gather", graph.weight(f"{name}.counted", counted), name, out=f"{name}.ones")
    count = graph("ReduceSum", ones, row, out=f"{name}.count", keepdims=1)
    count = graph("Max", count, graph.weight(f"{name}.one", 1.0), out=f"{name}.least")
    return graph("Div", total, count, out=f"{name}.mean")


def _spelled(graph: Graph, character: nn.Embedding, convolution: nn.Conv1d) -> str:
    """As `pipeline.spelling.spell`: the maximum over the characters of each word, 0 left out."""
    table = graph.weight("character.table", character.weight)
    letters = graph("Gather", table, "character", out="letters")
    rows = graph("Transpose", letters, out="letters.rows", perm=[0, 2, 1])
    weights = [
        graph.weight(f"spelling.{name}", values)
        for name, values in convolution.named_parameters(recurse=False)
    ]
    beside = convolution.kernel_size[0] // 2
    convolved = graph("Conv", rows, *weights, out="convolved", pads=[beside, beside])
    # Added to the places of padding, -inf keeps them out of the maximum.
    silence = torch.zeros(character.num_embeddings)
    silence[0] = -torch.inf
    silent = graph("Gather", graph.weight("silence.table", silence), "character", out="silence")
    silent = graph("Unsqueeze", silent, graph.weight("row", [1]), out="silence.rows")
    heard = graph("Add", convolved, silent, out="heard")
    return graph("ReduceMax", heard, graph.weight("places", [2]), out="spelled", keepdims=0)


def _states(graph: Graph, lstm: nn.LSTM, layer: int, steps: str) -> str:
    """Hidden states [words, 2, batch, hidden] of both directions, zero at padding."""

    def both(name: str) -> torch.Tensor:
        sides = [getattr(lstm, f"{name}_l{layer}{side}") for side in ("", "_reverse")]
        return torch.stack([_reordered(side) for side in sides])

    weights = [
        graph.weight(f"lstm{layer}.input", both("weight_ih")),
        graph.weight(f"lstm{layer}.state", both("weight_hh")),
        graph.weight(f"lstm{layer}.bias", torch.cat([both("bias_ih"), both("bias_hh")], dim=1)),
    ]
    return graph(
        "LSTM", steps, *weights, "lengths.int32", out=f"lstm{layer}.states",
        direction="bidirectional", hidden_size=lstm.hidden_size,
    )  # fmt: skip


def _reordered(gates: torch.Tensor) -> torch.Tensor:
    """PyTorch has input, forget, cell, output one after the other; ONNX input, output, forget,
    cell."""
    kept, forgotten, cell, shown = gates.detach().chunk(4)
    return torch.cat([kept, shown, forgotten, cell])


_VECTORS: dict[type, Callable[[Graph, Any], str]] = {
    BiLSTMEncoder: _bilstm,
    CNNEncoder: _cnn,
    WindowEncoder: _window,
    TransformerEncoder: bert_vectors,
}
