"""Transformer students as Hugging Face has them: loaded offline, and the same scores."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, pipeline

from pipeline.networks import BiLSTM
from pipeline.shipping.huggingface import write_hub_model
from pipeline.tagger import Tagger
from tests import toys
from tests.test_graphs import settled
from tests.test_students import fresh
from tests.test_transformer import encoder

WORDS = ["the", "london", "bridge", "abc", "."]


def student(head: str = "softmax", **options) -> Tagger:
    torch.manual_seed(0)
    return settled(Tagger(encoder(**options), toys.TAGS, "iob2", head))


def test_the_library_loads_it_and_tags_words_as_the_student_does(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    tagger = student()
    assert write_hub_model(tagger, tmp_path / "hub")
    tag = pipeline("token-classification", model=str(tmp_path / "hub"), device="cpu")
    found = {each["start"]: each["entity"] for each in tag(" ".join(WORDS))}
    starts = [len(" ".join([*WORDS[:n], ""])) for n in range(len(WORDS))]
    expected = {
        start: name
        for start, name in zip(starts, tagger.tag([WORDS])[0], strict=True)
        if name != "O"
    }
    assert expected
    assert {start: name for start, name in found.items() if start in starts} == expected


def test_its_scores_are_the_emissions_of_first_pieces(tmp_path: Path):
    tagger = student("crf")
    write_hub_model(tagger, tmp_path)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert model.config.id2label == dict(enumerate(toys.TAGS))
    inputs = tagger.encoder.inputs([WORDS])
    with torch.no_grad():
        logits = model(inputs["pieces"], attention_mask=inputs["attend"].long()).logits[0]
        expected = tagger.emissions(inputs)[0]
    first = [int((inputs["word"][0] == n + 1).nonzero()) for n in range(len(WORDS))]
    torch.testing.assert_close(logits[first], expected, atol=1e-5, rtol=1e-5)


def test_it_is_written_with_the_same_bytes(tmp_path: Path):
    for name in "ab":
        write_hub_model(student(), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {*files}
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize("other", ["shapes", "bilstm"])
def test_what_the_library_has_no_network_for_is_left_out(tmp_path: Path, other: str):
    tagger = student(shapes=True) if other == "shapes" else fresh(BiLSTM())
    assert not write_hub_model(tagger, tmp_path / "hub")
    assert not (tmp_path / "hub").exists()
