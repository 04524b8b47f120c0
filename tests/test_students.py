"""The contract of every student: whatever the network, these hold."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from pipeline.errors import InputError
from pipeline.lattice import nll
from pipeline.lessons import Lessons
from pipeline.networks import BiLSTM
from pipeline.students import Student, load_student, new_student, save_student
from pipeline.tagger import Tagger
from tests import toys

STUDENTS = get_args(get_args(Student)[0]) or get_args(Student)[:1]  # of a union, or of one alone
HEADS = ["crf", "softmax"]


@pytest.fixture(params=STUDENTS, ids=lambda student: student.__name__)
def student(request: pytest.FixtureRequest):
    return request.param()


def fresh(student, head="crf", scheme="iob2") -> Tagger:
    torch.manual_seed(0)
    words, _ = toys.sentences(8, 0)
    return new_student(student, words, toys.TAGS, scheme, head).eval()


def test_the_union_is_not_empty():
    assert BiLSTM in STUDENTS


def test_one_vector_a_word(student):
    tagger = fresh(student)
    sentences = [["Ada", "", "﻿", "x" * 100, "東京"], ["."]]
    lattice = tagger(tagger.encoder.inputs(sentences))
    assert lattice.emissions.shape == (2, 5, len(toys.TAGS))
    assert lattice.mask.sum(dim=1).tolist() == [5, 1]
    assert torch.isfinite(lattice.emissions[lattice.mask]).all()


def test_padding_and_neighbours_change_nothing(student):
    tagger = fresh(student)
    sentences = toys.sentences(6, 3)[0]
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
def test_it_overfits_eight_sentences(student, head: str, tmp_path: Path):
    words, tags = toys.sentences(8, 0)
    train = toys.split(tmp_path, "train")
    lessons = Lessons([train], lambda sentences: [*map(len, sentences)])
    tagger = fresh(student, head).train()
    chosen = list(range(8))
    optimiser = torch.optim.Adam(tagger.parameters(), lr=0.01)
    for _ in range(60):
        batch, gold = lessons.batch(chosen)
        loss = nll(tagger(tagger.encoder.inputs(batch)), gold).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert train.words[:8] == words
    assert tagger.tag(words) == tags


@pytest.mark.parametrize("head", HEADS)
def test_stored_and_read_again_it_is_the_same(student, head: str, tmp_path: Path):
    tagger = fresh(student, head)
    for name in "ab":
        save_student(tagger, student, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert {"tagger.json", "weights.safetensors"} <= {*files}
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
