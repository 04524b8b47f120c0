"""The emissions of a student as an ONNX graph: what runs where PyTorch is not installed.

Inputs are the arrays of the student's reader by their names, batch and length free; the output
`emissions` [batch, words, tags] has any value at padding. A sentence has at least one word. Equal
students give equal bytes.

To export another network, write what its encoder computes with `Graph` and name it in `_VECTORS`.
Transformers are traced (`traced.py`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pipeline.networks import BiLSTMEncoder
from pipeline.tagger import Tagger
from pipeline.traced import traced_graph
from pipeline.transformer import TransformerEncoder

OPSET = 18
"""Operators as of December 2022: ONNX Runtime 1.14 and later run them."""

IR_VERSION = 8
"""The file format of that time."""

_AXES = {
    "word": ["distinct"],
    "shape": ["distinct"],
    "character": ["distinct", "longest"],
    "place": ["batch", "words"],
    "lengths": ["batch"],
}
"""The free axes of what a reader of words gives."""


class Graph:
    """Nodes and weights under construction; a value goes by the name of what it holds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, out: str, **attributes: Any) -> str:
        """Add a node; the name of its one output is its own too."""
        self.nodes.append(helper.make_node(operator, inputs, [out], name=out, **attributes))
        return out

    def weight(self, name: str, values: torch.Tensor | np.ndarray | list[int] | float) -> str:
        """Add numbers that are known: float32 where they are floats, else int64."""
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu().numpy()
        array = np.asarray(values)
        kind = np.float32 if array.dtype.kind == "f" else np.int64
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, kind), name))
        return name

    def model(self, inputs: Mapping[str, np.ndarray], tags: int) -> onnx.ModelProto:
        """What was added so far, from arrays like `inputs` to `emissions`."""
        given = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), _AXES[name]
            )
            for name, array in inputs.items()
        ]
        output = helper.make_tensor_value_info(
            "emissions", TensorProto.FLOAT, ["batch", "words", tags]
        )
        graph = helper.make_graph(self.nodes, "emissions", given, [output], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version, model.producer_name = IR_VERSION, "limbeck"
        onnx.checker.check_model(model, full_check=True)
        return model


def emissions_graph(student: Tagger) -> onnx.ModelProto:
    """The ONNX model of a student's emissions, in float32."""
    encoder: Any = student.encoder
    if isinstance(encoder, TransformerEncoder):
        return traced_graph(student, OPSET)
    graph = Graph()
    vectors = _VECTORS[type(encoder)](graph, encoder)
    weight = graph.weight("emit.weight", student.emit.weight.T)
    product = graph("MatMul", vectors, weight, out="emit.product")
    graph("Add", product, graph.weight("emit.bias", student.emit.bias), out="emissions")
    read = {name: tensor.numpy() for name, tensor in encoder.inputs([["a"]]).items()}
    return graph.model(read, len(student.tags))


def _bilstm(graph: Graph, encoder: BiLSTMEncoder) -> str:
    """Vectors [batch, words, 2 hidden].

    Features are worked out once for each distinct word, then laid out by `place`, words first,
    which is how the operator LSTM reads them.
    """
    parts = [
        graph("Gather", graph.weight("word.table", encoder.word.weight), "word", out="known"),
        graph("Gather", graph.weight("shape.table", encoder.shape.weight), "shape", out="shaped"),
        _spelled(graph, encoder.character, encoder.spelling),
    ]
    distinct = graph("Concat", *parts, out="distinct", axis=1)
    place = graph("Transpose", "place", out="place.steps", perm=[1, 0])
    steps = graph("Gather", distinct, place, out="steps")
    graph("Cast", "lengths", out="lengths.int32", to=TensorProto.INT32)
    graph.weight("joined", [0, 0, -1])
    for layer in range(encoder.lstm.num_layers):
        states = _states(graph, encoder.lstm, layer, steps)
        steps = graph("Transpose", states, out=f"lstm{layer}.sides", perm=[0, 2, 1, 3])
        steps = graph("Reshape", steps, "joined", out=f"lstm{layer}.steps")
    return graph("Transpose", steps, out="vectors", perm=[1, 0, 2])


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


_VECTORS: dict[type, Callable[[Graph, Any], str]] = {BiLSTMEncoder: _bilstm}
