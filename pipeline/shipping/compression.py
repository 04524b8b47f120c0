"""Smaller variants of an exported student, made from its ONNX graph, whatever the network is.

To add one, write a settings class whose `__call__` maps a graph to another and put its name in
`Variant`; the contract tests then run over it.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from pydantic import Field

from pipeline.config import settings
from pipeline.shipping.quiet import quiet

Batches: TypeAlias = Sequence[Mapping[str, np.ndarray]]
"""What the graph may be tried on: arrays as its reader gives them."""

_MATRICES = {
    "Gather": (0,),
    "Slice": (0,),
    "MatMul": (0, 1),
    "Gemm": (0, 1),
    "Conv": (1,),
    "LSTM": (1, 2),
}
"""Which inputs of an operator are matrices."""


@settings
class Float32:
    """The student as it was trained."""

    kind: Literal["float32"] = "float32"

    def __call__(self, model: onnx.ModelProto, batches: Batches) -> onnx.ModelProto:
        """A copy of the graph."""
        return _copied(model)


@settings
class Factorised:
    """Tables of embeddings as products of two thin matrices, the nearest ones by SVD."""

    kind: Literal["factorised"] = "factorised"
    rank: Annotated[int, Field(ge=1)] = 32
    """Width of the thin matrices; a table stays whole where they would not be smaller."""

    def __call__(self, model: onnx.ModelProto, batches: Batches) -> onnx.ModelProto:
        """The graph with Gather and MatMul in the place of Gather. Source: Lan et al. 2020."""
        model = _copied(model)
        tables = {weight.name: weight for weight in _matrices(model) if len(weight.dims) == 2}
        for node in [*model.graph.node]:
            table = tables.get(node.input[0]) if node.op_type == "Gather" else None
            if table is None or self.rank * sum(table.dims) >= np.prod(table.dims):
                continue
            left, right = _factors(numpy_helper.to_array(table), self.rank)
            _replace(model, table.name, {"left": left, "right": right})
            thin, out = f"{table.name}.thin", node.output[0]
            node.input[0], node.output[0] = f"{table.name}.left", thin
            product = helper.make_node("MatMul", [thin, f"{table.name}.right"], [out], name=out)
            node.name = thin
            model.graph.node.insert([*model.graph.node].index(node) + 1, product)
        return model


@settings
class Int8:
    """Integers of 8 bits: ranges of what flows between LSTMs and products are found batch by batch.

    All other weights are stored as integers too, each row with a scale, and widened at load.
    """

    kind: Literal["int8"] = "int8"
    rank: Annotated[int, Field(ge=1)] | None = None
    """Width of the thin matrices that tables of embeddings become first; null: they stay whole."""

    def __call__(self, model: onnx.ModelProto, batches: Batches) -> onnx.ModelProto:
        """The graph with ONNX Runtime's dynamic quantisation."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        def quantise(before: Path, after: Path) -> None:
            # Signed: of unsigned weights ONNX Runtime 1.31 has products half as fast. Of 7 bits:
            # with 8, processors without VNNI overflow and say other things.
            quantize_dynamic(
                before,
                after,
                op_types_to_quantize=["LSTM", "MatMul", "Gemm"],
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )

        thin = model if self.rank is None else Factorised(rank=self.rank)(model, batches)
        return _stored_in_bytes(_rewritten(thin, quantise))


@settings
class Int8Static:
    """Integers of 8 bits: ranges between convolutions and products are found once, on train text.

    ONNX Runtime has no such LSTM: its weights are stored as integers and widened at load.
    """

    kind: Literal["int8_static"] = "int8_static"

    def __call__(self, model: onnx.ModelProto, batches: Batches) -> onnx.ModelProto:
        """The graph with ONNX Runtime's static quantisation."""
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                names = [each.name for each in model.graph.input]
                self._rest = ({name: batch[name] for name in names} for batch in batches)

            def get_next(self) -> Any:
                return next(self._rest, None)

        def quantise(before: Path, after: Path) -> None:
            quantize_static(
                before,
                after,
                Reader(),
                op_types_to_quantize=["Conv", "MatMul", "Gemm"],
                weight_type=QuantType.QInt8,
            )

        return _stored_in_bytes(_rewritten(model, quantise))


@settings
class Pruned:
    """Weights nearest to zero are zero, in all matrices by one threshold. Zeros pack well."""

    kind: Literal["pruned"] = "pruned"
    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share that is zero."""

    def __call__(self, model: onnx.ModelProto, batches: Batches) -> onnx.ModelProto:
        """The graph with other numbers. Source: Han et al. 2015, without training anew."""
        model = _copied(model)
        matrices = {weight.name: numpy_helper.to_array(weight) for weight in _matrices(model)}
        sizes = np.concatenate([np.abs(values).ravel() for values in matrices.values()])
        threshold = np.quantile(sizes, self.sparsity)
        for weight in model.graph.initializer:
            if weight.name in matrices:
                values = matrices[weight.name]
                kept = np.where(np.abs(values) > threshold, values, np.float32(0))
                weight.CopyFrom(numpy_helper.from_array(kept, weight.name))
        return model


Variant: TypeAlias = Annotated[
    Float32 | Int8 | Int8Static | Pruned | Factorised, Field(discriminator="kind")
]


def _copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _matrices(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Float32 weights that vectors are multiplied by or looked up in; neither biases nor norms."""
    read = {
        node.input[place] for node in model.graph.node for place in _MATRICES.get(node.op_type, ())
    }
    return [
        weight
        for weight in model.graph.initializer
        if weight.name in read and weight.data_type == TensorProto.FLOAT and len(weight.dims) > 1
    ]


def _factors(table: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices [rows, rank] and [rank, columns] whose product is nearest to the table."""
    u, s, v = np.linalg.svd(table.astype(np.float64), full_matrices=False)
    return (u[:, :rank] * s[:rank]).astype(np.float32), v[:rank].astype(np.float32)


def _stored_in_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with float32 matrices as int8 with a scale a row, widened when the file is loaded.

    A row of a convolution is all that makes one of its outputs.

    ONNX Runtime works out at load what depends on weights alone: so this costs no time later.
    """
    model, widened = _copied(model), []
    filters = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    for weight in _matrices(model):
        values, name = numpy_helper.to_array(weight), weight.name
        row = tuple(range(1, values.ndim)) if name in filters else -1
        scale = np.abs(values).max(axis=row, keepdims=True) / 127
        scale[scale == 0] = 1
        narrow = np.round(values / scale).astype(np.int8)
        _replace(model, name, {"narrow": narrow, "scale": scale.astype(np.float32)})
        widened += [
            helper.make_node(
                "Cast", [f"{name}.narrow"], [f"{name}.wide"], f"{name}.wide", to=TensorProto.FLOAT
            ),
            helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name], name),
        ]
    for node in reversed(widened):
        model.graph.node.insert(0, node)
    return model


def _replace(model: onnx.ModelProto, name: str, parts: Mapping[str, np.ndarray]) -> None:
    """Put weights named `name.part` in the place of a weight."""
    weights = model.graph.initializer
    place = next(n for n, weight in enumerate(weights) if weight.name == name)
    del weights[place]
    for part, values in reversed([*parts.items()]):
        values = np.ascontiguousarray(values)
        weights.insert(place, numpy_helper.from_array(values, f"{name}.{part}"))


def _rewritten(model: onnx.ModelProto, rewrite: Callable[[Path, Path], None]) -> onnx.ModelProto:
    """What ONNX Runtime's tools make of a model; they read and write files."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(model, before)
        rewrite(before, after)
        model = onnx.load(after)
    model.producer_name, model.producer_version = "limbeck", ""
    return model
