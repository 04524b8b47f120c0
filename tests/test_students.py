"""The contract of every student: whatever the network, these hold."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from pipeline.decoding import viterbi
from pipeline.errors import InputError
from pipeline.features import Grams, ReducedPieces
from pipeline.lattice import nll
from pipeline.losses.supervision import Gold
from pipeline.losses.wordwise import Posterior
from pipeline.networks import BiLSTM
from pipeline.objectives import Objective
from pipeline.students import (
    CNN,
    Student,
    Transformer,
    Window,
    load_student,
    new_student,
    save_student,
)
from pipeline.tagger import Tagger
from tests import makers, toys
from tests.test_transformer import encoder

STUDENTS = get_args(get_args(Student)[0])
HEADS = ["crf", "softmax"]
SMALL = {"words": 16, "characters": 8}


def examples(folder: Path) -> dict[str, Student]:
    """Every student, some in several settings; `folder` holds a tiny pretrained encoder."""
    name = str(folder)
    spelled = {"grams": Grams(buckets=64, width=8), "pieces": ReducedPieces(name=name, width=8)}
    return {
        "bilstm": BiLSTM(hidden=32),
        "bilstm-spelled": BiLSTM(hidden=16, layers=2, **SMALL, **spelled),
        "cnn": CNN(hidden=32, rounds=2),
        "cnn-spelled": CNN(hidden=16, dilations=(1, 3), **SMALL, **spelled),
        "window": Window(),
        "window-spelled": Window(reach=1, **SMALL, **spelled),
        "transformer": Transformer(name=name, shapes=True),
        "transformer-thin": Transformer(name=name, rank=4),
        "transformer-layers": Transformer(name=name, layers=1, pooling="mean"),
        "transformer-fresh": Transformer(name=name, replace={"intermediate_size": 24}, window=12),
    }


def tiny(factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny pretrained encoder, as `save_pretrained` leaves it, made once."""
    folder = factory.getbasetemp() / "tiny-encoder"
    if not folder.exists():
        network = encoder()
        network.model.save_pretrained(folder)
        network.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(params=examples(Path()))
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Student:
    return examples(tiny(tmp_path_factory))[request.param]


def fresh(student, head="crf", scheme="iob2") -> Tagger:
    torch.manual_seed(0)
    words, _ = toys.sentences(8, 0)
    return new_student(student, words, toys.TAGS, scheme, head).eval()


def test_every_student_has_an_example():
    assert {type(each) for each in examples(Path()).values()} == {*STUDENTS}


def test_one_vector_a_word(student):
    tagger = fresh(student)
    sentences = [["Ada", "", "﻿", "x" * 1000, "東京"], ["."]]
    lattice = tagger(tagger.encoder.inputs(sentences))
    assert lattice.emissions.shape == (2, 5, len(toys.TAGS))
    assert lattice.mask.sum(dim=1).tolist() == [5, 1]
    assert torch.isfinite(lattice.emissions[lattice.mask]).all()


def test_padding_and_neighbours_change_nothing(student):
    tagger = fresh(student)
    sentences = [*toys.sentences(6, 3)[0], ["Oslo"] * 60, ["."]]
    together = tagger(tagger.encoder.inputs(sentences)).emissions
    for row, words in enumerate(sentences):
        alone = tagger(tagger.encoder.inputs([words])).emissions[0]
        torch.testing.assert_close(together[row, : len(words)], alone, atol=1e-5, rtol=1e-5)


def test_what_was_read_before_changes_nothing(student):
    fresh_one, used = fresh(student), fresh(student)
    sentences = [*toys.sentences(6, 3)[0], ["Unseen", "東京", "", "x" * 100]]
    for seed in range(4):
        used(used.encoder.inputs([words[::-1] for words in toys.sentences(9, seed)[0]]))
    expected = fresh_one(fresh_one.encoder.inputs(sentences)).emissions
    for _ in range(2):
        assert torch.equal(used(used.encoder.inputs(sentences)).emissions, expected)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float):
    encoder = BiLSTM(dropout=share).build([["a"]])
    torch.manual_seed(0)
    out = encoder._dropped(torch.ones(400, 500))
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
    assert float((out == 0).float().mean()) == pytest.approx(share, abs=0.005)
    assert torch.equal(encoder.eval()._dropped(out), out)


@pytest.mark.parametrize("head", HEADS)
def test_it_overfits_eight_sentences(student, head: str):
    words, tags = toys.sentences(8, 0)
    numbers = [torch.tensor([toys.TAGS.index(tag) for tag in sentence]) for sentence in tags]
    gold = torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True)
    tagger = fresh(student, head).train()
    inputs = tagger.encoder.inputs(words)
    optimiser = torch.optim.Adam(tagger.parameters(), lr=0.01)
    for _ in range(60):
        loss = nll(tagger(inputs), gold).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert tagger.tag(words) == tags


def step(student, head: str, objective, *, seed: int = 0) -> Tagger:
    """A student after one step under an objective, taught by a teacher made up of noise."""
    torch.manual_seed(seed)
    words, _ = toys.sentences(6, 2)
    tagger = new_student(student, words, toys.TAGS, "iob2", head).train()
    if "vectors" in objective.reads:
        tagger.projection = torch.nn.Linear(tagger.encoder.width, makers.WIDTH)
    teacher = makers.with_vectors(
        makers.lattice([*map(len, words)], len(toys.TAGS), seed=1, dtype=torch.float32)
    )
    targets = makers.taught_by(teacher, 3)
    gold = Gold(viterbi(teacher), torch.ones(len(words), dtype=torch.bool))
    optimiser = torch.optim.SGD(tagger.parameters(), lr=0.1)
    loss = objective()(tagger(tagger.encoder.inputs(words)), gold, targets)
    loss.mean().backward()
    optimiser.step()
    tagger.projection = None
    return tagger.eval()


@pytest.mark.parametrize("objective", get_args(get_args(Objective)[0]))
@pytest.mark.parametrize("head", HEADS)
def test_every_objective_teaches_it(student, head: str, objective):
    before = dict(fresh_weights(student, head))
    after = step(student, head, objective).state_dict()
    moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert all(torch.isfinite(weight).all() for weight in after.values())
    # The head, unless vectors are compared before it, and something below it.
    assert ({"emit.weight", "emit.bias"} <= moved) == ("vectors" not in objective.reads)
    assert any(name.startswith("encoder.") for name in moved)


def fresh_weights(student, head: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    words, _ = toys.sentences(6, 2)
    return new_student(student, words, toys.TAGS, "iob2", head).state_dict()


def test_the_same_seed_gives_the_same_bytes(student, tmp_path: Path):
    for name, seed in {"a": 5, "b": 5, "c": 6}.items():
        save_student(step(student, "crf", Posterior, seed=seed), student, tmp_path / name)
    stored = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "abc"]
    assert stored[0] == stored[1] != stored[2]


@pytest.mark.parametrize("head", HEADS)
def test_stored_and_read_again_it_is_the_same(student, head: str, tmp_path: Path):
    tagger = fresh(student, head)
    for name in "ab":
        save_student(tagger, student, tmp_path / name)
    paths = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    files = sorted(path.relative_to(tmp_path / "a").as_posix() for path in paths)
    assert {"tagger.json", "weights.safetensors", "reader.json"} <= {*files}
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    again = load_student(tmp_path / "a")
    sentences = toys.sentences(5, 9)[0]
    inputs = tagger.encoder.inputs(sentences)
    torch.testing.assert_close(again(inputs).emissions, tagger(inputs).emissions, atol=0, rtol=0)
    assert again.tag(sentences) == tagger.tag(sentences)


def test_a_crf_never_breaks_its_scheme(student):
    tagger = fresh(student)
    for tags in tagger.tag(toys.sentences(20, 5)[0]):
        for before, after in zip(["O", *tags], tags, strict=False):
            if after.startswith("I-"):
                assert before[2:] == after[2:]


def test_a_softmax_head_is_a_lattice_without_transitions(student):
    lattice = fresh(student, "softmax")(fresh(student).encoder.inputs([["Ada"]]))
    assert (lattice.transitions == 0).all()
    assert (lattice.start == 0).all()
    assert (lattice.end == 0).all()


def test_sentences_without_words_have_no_tags(student):
    assert fresh(student).tag([[], ["Ada"], []])[0::2] == [[], []]
    assert fresh(student).tag([]) == []


@pytest.mark.parametrize("missing", ["weights.safetensors", "tagger.json"])
def test_a_missing_file_is_named(student, tmp_path: Path, missing: str):
    save_student(fresh(student), student, tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=f"{missing}: expected .* found no file"):
        load_student(tmp_path)


def test_damaged_files_are_named(student, tmp_path: Path):
    save_student(fresh(student), student, tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"weights\.safetensors: .*damaged"):
        load_student(tmp_path)
    (tmp_path / "tagger.json").write_text("{")
    with pytest.raises(InputError, match=r"tagger\.json: expected"):
        load_student(tmp_path)
