"""An ONNX graph under construction: nodes, and weights by name."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
"""Operators as of December 2022: ONNX Runtime 1.14 and later run them."""

IR_VERSION = 8
"""The file format of that time."""

Axes: TypeAlias = Mapping[str, list[str]]
"""How the axes of each input are called; all of them are free."""


class Graph:
    """Nodes and weights under construction; a value goes by the name of what it holds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def __call__(self, operator: str, *inputs: str, out: str, **attributes: Any) -> str:
        """Add a node; the name of its one output is its own too."""
        self.nodes.append(helper.make_node(operator, inputs, [out], name=out, **attributes))
        return out

    def split(self, value: str, outs: Sequence[str], axis: int) -> Sequence[str]:
        """Equal parts of a value along an axis, by these names."""
        name, count = f"{value}.parts", len(outs)
        node = helper.make_node("Split", [value], outs, name=name, axis=axis, num_outputs=count)
        self.nodes.append(node)
        return outs

    def weight(self, name: str, values: torch.Tensor | np.ndarray | list[int] | float | int) -> str:
        """Numbers that are known, added where they are new: as float32 or, if whole, int64."""
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu().numpy()
        array = np.asarray(values)
        kind = np.float32 if array.dtype.kind == "f" else np.int64
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(array, kind), name)
        return name

    def model(self, inputs: Mapping[str, np.ndarray], axes: Axes, tags: int) -> onnx.ModelProto:
        """What was added so far, from those of `inputs` that it reads to `emissions`."""
        read = {name for node in self.nodes for name in node.input}
        given = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), axes[name]
            )
            for name, array in inputs.items()
            if name in read
        ]
        output = helper.make_tensor_value_info(
            "emissions", TensorProto.FLOAT, ["batch", "words", tags]
        )
        graph = helper.make_graph(
            self.nodes, "emissions", given, [output], [*self.weights.values()]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version, model.producer_name = IR_VERSION, "limbeck"
        onnx.checker.check_model(model, full_check=True)
        return model
