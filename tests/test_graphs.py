"""Exported graphs say what PyTorch says: for every student, word by word and tag by tag."""

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.decoding import viterbi
from pipeline.shipping.bert import is_bert
from pipeline.shipping.graphs import emissions_graph
from pipeline.tagger import Tagger
from tests import toys
from tests.test_students import fresh, student  # noqa: F401
from tests.test_transformer import encoder

RAGGED = [
    ["Ada", "lives", "in", "New", "York", "."],
    ["x" * 500],
    ["Unseen", "東京", "", "​", "Ada-3", "Ada"],
    ["."],
]
BATCHES = {"ragged": RAGGED, "one word": [["Oslo"]], "one of each": [*toys.sentences(20, 7)[0]]}


def settled(tagger: Tagger) -> Tagger:
    """With weights that tell tags apart, as after training; fresh ones tie."""
    torch.manual_seed(1)
    for parameter in tagger.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    return tagger.eval()


MODELS: dict[str, bytes] = {}
"""Made once each: transformers take seconds."""


def model_of(kind, tagger: Tagger) -> bytes:
    if str(kind) not in MODELS:
        MODELS[str(kind)] = emissions_graph(tagger).SerializeToString()
    return MODELS[str(kind)]


def ran(model: bytes, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    session = onnxruntime.InferenceSession(model)
    given = {name: inputs[name].numpy() for name in (each.name for each in session.get_inputs())}
    return torch.from_numpy(session.run(["emissions"], given)[0])


def agree(tagger: Tagger, batch: list[list[str]], model: bytes) -> None:
    """Emissions to 1e-4, and the very same tags."""
    inputs = tagger.encoder.inputs(batch)
    with torch.no_grad():
        expected = tagger.emissions(inputs)
        found = ran(model, inputs)
        assert found.shape == expected.shape
        mask = torch.from_numpy(np.arange(found.shape[1]) < inputs["lengths"].numpy()[:, None])
        torch.testing.assert_close(found[mask], expected[mask], atol=1e-4, rtol=1e-4)
        lattices = [tagger.transitions.lattice(e, inputs["lengths"]) for e in (found, expected)]
        assert torch.equal(*map(viterbi, lattices))


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_emissions_are_those_of_pytorch(student, batch):  # noqa: F811
    tagger = settled(fresh(student))
    agree(tagger, batch, model_of(student, tagger))


def test_equal_students_give_equal_bytes(student):  # noqa: F811
    again = emissions_graph(settled(fresh(student))).SerializeToString()
    assert again == model_of(student, settled(fresh(student)))


def test_nothing_of_this_machine_is_in_the_file(student):  # noqa: F811
    text = model_of(student, settled(fresh(student)))
    assert b"/pipeline/" not in text
    assert b"site-packages" not in text


def test_a_graph_reads_nothing_but_what_its_reader_gives(student):  # noqa: F811
    tagger = settled(fresh(student))
    session = onnxruntime.InferenceSession(model_of(student, tagger))
    assert {each.name for each in session.get_inputs()} <= {*tagger.encoder.inputs([["a"]])}


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_words_in_windows_too(pooling: str):
    torch.manual_seed(0)
    tagger = settled(Tagger(encoder(pooling=pooling, window=16), toys.TAGS, "iob2", "crf"))
    batch = [["the", "bridge"] * 30, ["london"]]
    assert tagger.encoder.windowed(batch) == 1
    agree(tagger, batch, emissions_graph(tagger).SerializeToString())


USUAL = {"hidden_act": "gelu", "num_hidden_layers": 3, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("changed", "written"),
    [(USUAL, True), ({"hidden_act": "gelu_new"}, False), ({"hidden_act": "relu"}, False)],
)
def test_a_bert_of_another_make_says_the_same(changed: dict, written: bool):
    """Written, or traced where its formulas are others."""
    network = encoder(window=16, shapes=True)
    for field, value in changed.items():
        setattr(network.model.config, field, value)
    network.model = type(network.model)(network.model.config, add_pooling_layer=False)
    assert is_bert(network) == written
    tagger = settled(Tagger(network, toys.TAGS, "iob2", "crf"))
    agree(tagger, RAGGED, emissions_graph(tagger).SerializeToString())
