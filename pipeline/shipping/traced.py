"""The emissions of a transformer student as an ONNX graph: traced, for networks are many."""

import onnx
import torch
from torch import Tensor, nn

from pipeline.shipping.quiet import quiet
from pipeline.tagger import Tagger

_SENTENCES = [["one", "two", "three"], ["four"]]
"""Traced with: every axis is longer than one, or it would count as fixed."""


class _Emissions(nn.Module):
    """A tagger's emissions, without what only training and other devices need."""

    def __init__(self, student: Tagger) -> None:
        super().__init__()
        self.encoder, self.emit = student.encoder, student.emit

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.emit(self.encoder(inputs))


def traced_graph(student: Tagger, opset: int) -> onnx.ModelProto:
    """The ONNX model of what PyTorch computes; every axis of every input is free."""
    inputs = student.encoder.inputs(_SENTENCES)
    free = {
        name: dict.fromkeys(range(tensor.dim()), torch.export.Dim.DYNAMIC)
        for name, tensor in inputs.items()
    }
    with torch.no_grad(), quiet():
        program = torch.onnx.export(
            _Emissions(student).eval(),
            kwargs={"inputs": inputs},
            input_names=[*inputs],
            output_names=["emissions"],
            dynamic_shapes={"inputs": free},
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export: expected a program, found none")
    model = program.model_proto
    _forget_where_it_was_made(model)
    return model


def _forget_where_it_was_made(model: onnx.ModelProto) -> None:
    """Take out where in whose files each node was written: that is no part of the network."""
    graph = model.graph
    graph.ClearField("value_info")
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.producer_name, model.producer_version = "limbeck", ""
