"""What a student takes from a pretrained encoder or a teacher: layers, and vectors of pieces."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.encoders import Encoder, Pretrained
from pipeline.errors import InputError
from pipeline.features import ReducedPieces
from pipeline.networks import BiLSTM
from pipeline.reduction import principal, reduced
from pipeline.students import Student, Transformer, Window, new_student
from pipeline.tagger import Tagger
from pipeline.teachers import Teacher, new_teacher, save_teacher
from pipeline.training import Training
from tests import toys
from tests.test_transformer import PIECES, encoder

WORDS = [["the", "London", "bridge"], ["abc", "."]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny pretrained encoder, as `save_pretrained` leaves it."""
    network = encoder()
    network.model.save_pretrained(tmp_path / "tiny")
    network.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def teacher(kind: Encoder, place: Path) -> Tagger:
    """A stored teacher, unlike the encoder that it began as."""
    torch.manual_seed(1)
    settings = Teacher(encoder=kind, training=Training(epochs=1, learning_rate=1e-3))
    tagger = new_teacher(settings, WORDS, toys.TAGS, "iob2")
    for weight in tagger.parameters():
        torch.nn.init.normal_(weight.data, std=0.1)
    save_teacher(tagger.eval(), kind, place)
    return tagger


def student(settings: Student, teachers: Path | None = None) -> Tagger:
    torch.manual_seed(0)
    return new_student(settings, WORDS, toys.TAGS, "iob2", "crf", teachers).eval()


@pytest.mark.parametrize("shapes", [False, True])
def test_all_layers_of_a_teacher_give_its_vectors(folder: Path, tmp_path: Path, shapes: bool):
    whole = teacher(Pretrained(name=str(folder), shapes=shapes), tmp_path / "t" / "en").encoder
    found = student(Transformer(name="teacher:en", shapes=shapes), tmp_path / "t").encoder
    inputs = whole.inputs(WORDS)
    torch.testing.assert_close(found(inputs), whole(inputs), atol=0, rtol=0)


def test_first_layers_are_those_of_the_teacher_or_of_the_encoder(folder: Path, tmp_path: Path):
    whole = teacher(Pretrained(name=str(folder)), tmp_path / "t" / "en").encoder
    origins = {"teacher:en": whole.model, str(folder): encoder().model}
    for name, origin in origins.items():
        found = student(Transformer(name=name, layers=1), tmp_path / "t").encoder.model
        assert len(found.encoder.layer) == 1
        weights = origin.state_dict()
        for key, weight in found.state_dict().items():
            if not key.startswith("pooler."):  # the tiny encoder has none, and words need none
                torch.testing.assert_close(weight, weights[key], atol=0, rtol=0)


def test_a_fresh_student_takes_a_teachers_configuration_alone(folder: Path, tmp_path: Path):
    whole = teacher(Pretrained(name=str(folder)), tmp_path / "t" / "en").encoder
    settings = Transformer(name="teacher:en", replace={"hidden_size": 8}, layers=1)
    found = student(settings, tmp_path / "t").encoder
    assert (found.width, len(found.model.encoder.layer)) == (8, 1)
    for name, array in found.inputs(WORDS).items():
        assert torch.equal(array, whole.inputs(WORDS)[name])


@pytest.mark.parametrize("name", ["teacher:en", "folder"])
def test_more_layers_than_there_are_is_refused(folder: Path, tmp_path: Path, name: str):
    teacher(Pretrained(name=str(folder)), tmp_path / "t" / "en")
    name = str(folder) if name == "folder" else name
    with pytest.raises(InputError, match=r"layers: expected at most 2, .* found 3"):
        student(Transformer(name=name, layers=3), tmp_path / "t")


def test_a_teacher_without_what_is_asked_for_is_refused(tmp_path: Path):
    teacher(BiLSTM(hidden=4), tmp_path / "sv")
    with pytest.raises(InputError, match=r"sv: expected a teacher that is a transformer, found"):
        student(Transformer(name="teacher:sv"), tmp_path)
    with pytest.raises(InputError, match=r"sv/tokenizer\.json: expected a file"):
        student(Window(pieces=ReducedPieces(name="teacher:sv")), tmp_path)


def test_a_teacher_that_is_not_there_is_refused(tmp_path: Path):
    for settings in (
        Transformer(name="teacher:fr"),
        BiLSTM(pieces=ReducedPieces(name="teacher:fr")),
    ):
        assert settings.teacher == "fr"
        with pytest.raises(InputError, match=r"fr: expected a trained teacher, found none"):
            student(settings, tmp_path)


def test_teachers_do_not_borrow_from_teachers():
    with pytest.raises(InputError, match="only students borrow"):
        BiLSTM(pieces=ReducedPieces(name="teacher:en")).build(WORDS)


# Vectors of pieces


@given(st.integers(1, 6), st.integers(0, 100))
def test_reduced_vectors_are_as_near_as_so_few_numbers_allow(width: int, seed: int):
    torch.manual_seed(seed)
    table = torch.randn(20, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64)
    centred = table - table.mean(dim=0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = u[:, :width] * s[:width]
    expected = expected / expected.square().sum(dim=1).mean().sqrt()
    found = principal(table, width).double()
    # Singular vectors are one up to their sign.
    torch.testing.assert_close(found.abs(), expected.abs(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found @ found.T, expected @ expected.T, atol=1e-4, rtol=1e-3)


def test_pieces_of_a_teacher_are_those_that_it_learnt(folder: Path, tmp_path: Path):
    whole = teacher(Pretrained(name=str(folder)), tmp_path / "en").encoder
    table = whole.model.get_input_embeddings().weight.detach()
    found = reduced(str(tmp_path / "en"), 4)
    assert found.vectors.shape == (len(PIECES), 4)
    torch.testing.assert_close(found.vectors, principal(table, 4))
    settings = Window(pieces=ReducedPieces(name="teacher:en", width=4))
    began = student(settings, tmp_path).encoder
    torch.testing.assert_close(began.piece.weight[1:], found.vectors)
    assert not began.piece.weight[0].any()


def test_a_words_pieces_are_averaged(folder: Path):
    network = student(Window(pieces=ReducedPieces(name=str(folder), width=4), reach=0)).encoder
    vectors = network(network.inputs([["Abc", "", "x" * 300]]))[0, :, -4:]
    table = network.piece.weight[1:]
    expected = [[PIECES.index(piece) for piece in ("a", "##b", "##c")], [1]]
    for row, pieces in zip(vectors, expected, strict=False):
        torch.testing.assert_close(row, table[pieces].mean(dim=0))
    assert torch.isfinite(vectors).all()


def test_embeddings_that_are_too_narrow_are_refused(folder: Path):
    with pytest.raises(InputError, match=r"expected embeddings of 60 pieces, 17 wide .* found 60"):
        reduced(str(folder), 17)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_lacks_or_is_cut_short_is_named(folder: Path, file: str):
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:60])
    with pytest.raises(InputError, match=rf"{file}: expected .*, found"):
        reduced(str(folder), 4)
    (folder / file).unlink()
    with pytest.raises(InputError, match=rf"{file}: expected a file of a pretrained encoder"):
        reduced(str(folder), 4)


def test_a_hub_id_without_network_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"nobody/no-such-model: expected a folder, or a hub id"):
        reduced("nobody/no-such-model", 4)
