"""The contract of every variant: a graph that reads the same and says nearly the same; smaller."""

import zlib
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from pipeline.shipping.compression import Factorised, Float32, Int8, Int8Static, Pruned, Variant
from pipeline.tagger import Tagger
from tests import toys
from tests.test_graphs import RAGGED, model_of, settled
from tests.test_students import examples, fresh, tiny

VARIANTS = get_args(get_args(Variant)[0])
SENTENCES = toys.sentences(24, 3)[0]


STUDENTS = ("bilstm-spelled", "cnn", "window-spelled", "transformer")
"""One of each kind."""

GENTLE = {Pruned: {"sparsity": 0.05}, Factorised: {"rank": 20}}
"""Weights of an untrained network have nothing to spare."""


@pytest.fixture(params=STUDENTS)
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    return examples(tiny(tmp_path_factory))[request.param]


def graph(student) -> onnx.ModelProto:
    return onnx.load_model_from_string(model_of(student, settled(fresh(student))))


@pytest.fixture(params=VARIANTS, ids=lambda kind: kind.__name__)
def variant(request: pytest.FixtureRequest):
    return request.param(**GENTLE.get(request.param, {}))


def arrays(tagger: Tagger, sentences) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tagger.encoder.inputs(sentences).items()}


def emissions(model: onnx.ModelProto, given: dict[str, np.ndarray]) -> np.ndarray:
    """At words alone."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    read = {each.name: given[each.name] for each in session.get_inputs()}
    found = session.run(["emissions"], read)[0]
    return found[np.arange(found.shape[1]) < given["lengths"][:, None]]


def packed(model: onnx.ModelProto) -> int:
    """Bytes of all numbers, as deflate packs them."""
    numbers = [numpy_helper.to_array(each).tobytes() for each in model.graph.initializer]
    return len(zlib.compress(b"".join(numbers), 9))


def test_a_variant_says_nearly_the_same(student, variant):
    """The graph keeps its inputs and free axes, and the one that was given is as it was."""
    tagger, model = settled(fresh(student)), graph(student)
    before = model.SerializeToString()
    batches = [arrays(tagger, [words]) for words in SENTENCES]
    smaller = variant(model, batches)
    assert model.SerializeToString() == before
    assert smaller.SerializeToString() == variant(model, batches).SerializeToString()
    assert [each.name for each in smaller.graph.input] == [e.name for e in model.graph.input]
    for batch in (RAGGED, [["Oslo"]]):
        given = arrays(tagger, batch)
        assert emissions(smaller, given).shape == emissions(model, given).shape
    given = arrays(tagger, SENTENCES)
    one, other = emissions(model, given).ravel(), emissions(smaller, given).ravel()
    assert np.corrcoef(one, other)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("variant", "share"), [(Int8(), 0.5), (Int8Static(), 0.5), (Pruned(sparsity=0.5), 0.8)]
)
def test_a_variant_is_smaller_once_packed(student, variant, share: float):
    model = graph(student)
    batches = [arrays(settled(fresh(student)), SENTENCES)]
    assert packed(variant(model, batches)) < share * packed(model)


def test_float32_is_the_graph_itself(student):
    assert Float32()(graph(student), []) == graph(student)


def test_the_share_that_is_asked_for_is_zero(student):
    model = Pruned(sparsity=0.4)(graph(student), [])
    kept = [numpy_helper.to_array(each) for each in model.graph.initializer if len(each.dims) > 1]
    numbers = np.concatenate([m.ravel() for m in kept if m.dtype == np.float32])
    assert np.mean(numbers == 0) == pytest.approx(0.4, abs=0.05)


def table(rows: int, columns: int, rank: int) -> onnx.ModelProto:
    """A graph that looks up rows of a table of that rank."""
    random = np.random.default_rng(0)
    values = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns))
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Gather", ["table", "lengths"], ["emissions"], name="look")],
            "one",
            [onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT64, ["n"])],
            [
                onnx.helper.make_tensor_value_info(
                    "emissions", onnx.TensorProto.FLOAT, ["n", columns]
                )
            ],
            [numpy_helper.from_array(values.astype(np.float32), "table")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=8,
    )


def test_a_table_of_low_rank_is_factorised_without_loss():
    model = table(100, 20, rank=3)
    smaller = Factorised(rank=3)(model, [])
    shapes = [tuple(weight.dims) for weight in smaller.graph.initializer]
    assert shapes == [(100, 3), (3, 20)]
    given = {"lengths": np.array([4, 0, 99])}
    found, expected = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, given)[0]
        for each in (smaller, model)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_integers_may_be_those_of_thin_tables():
    thin = Int8(rank=3)(table(100, 20, rank=3), [])
    whole = Int8()(table(100, 20, rank=3), [])
    assert len(thin.SerializeToString()) < len(whole.SerializeToString())


def test_a_table_that_would_not_shrink_stays_whole():
    model = table(10, 4, rank=2)
    assert Factorised(rank=3)(model, []) == model
