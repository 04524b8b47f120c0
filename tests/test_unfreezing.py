"""Gradual unfreezing: parts from top to bottom of every student, and what is frozen stays."""

from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from test_distill import TINY, learn, taught  # noqa: F401 - a fixture
from test_students import examples, fresh, student, tiny  # noqa: F401 - a fixture
from torch import nn

from pipeline import schedule
from pipeline.lessons import Lessons, gold_nll
from pipeline.losses.schedules import Annealed
from pipeline.losses.wordwise import Posterior
from pipeline.networks import BiLSTM
from pipeline.objectives import GoldNLL
from pipeline.phases import Phase
from pipeline.recipes import Recipe
from pipeline.training import Training, fit
from pipeline.unfreezing import only, parts, steps
from tests import toys

QUICK = Training(epochs=1, batch_words=64, learning_rate=0.02, weight_decay=0.5)


def names(tagger, part: list[nn.Parameter]) -> list[str]:
    named = {id(weight): name for name, weight in tagger.named_parameters()}
    return sorted(named[id(weight)] for weight in part)


def test_parts_are_all_there_is_once_from_the_head_to_the_embeddings(student):  # noqa: F811
    tagger = fresh(student)
    found = parts(tagger)
    assert sorted(map(id, chain(*found))) == sorted(map(id, tagger.parameters()))
    assert {"emit.weight", "emit.bias"} <= {*names(tagger, found[0])}
    assert all(name.split(".")[0] in ("emit", "transitions") for name in names(tagger, found[0]))
    tables = [each for each in tagger.encoder.modules() if isinstance(each, nn.Embedding)]  # type: ignore[attr-defined]
    lowest = {id(weight) for weight in found[-1]}
    assert all(id(table.weight) in lowest for table in tables)


def test_layers_of_each_student_come_from_top_to_bottom(tmp_path_factory: pytest.TempPathFactory):
    every = examples(tiny(tmp_path_factory))
    lstm = fresh(every["bilstm-spelled"])
    _, top, below, words = (names(lstm, part) for part in parts(lstm))
    assert {name.split("_")[2][:2] for name in top} == {"l1"}
    assert {name.split("_")[2][:2] for name in below} == {"l0"}
    assert "encoder.word.weight" in words
    assert "encoder.piece.weight" in words
    transformer = fresh(every["transformer"])
    found = [names(transformer, part) for part in parts(transformer)]
    layers = transformer.encoder.model.config.num_hidden_layers  # type: ignore[attr-defined]
    assert len(found) == 2 + layers
    for number, layer in enumerate(found[1:-1]):
        assert any(f".layer.{layers - 1 - number}." in name for name in layer)
    assert len(parts(fresh(every["window"]))) == 2
    assert len(parts(fresh(every["cnn"]))) == 2 + 3


def test_a_projection_comes_after_the_head():
    tagger = fresh(BiLSTM(hidden=4))
    tagger.projection = nn.Linear(8, 3)
    assert names(tagger, parts(tagger)[1]) == ["projection.bias", "projection.weight"]
    gold, vectors = frozenset(), frozenset(["vectors"])
    for reads, count in (([gold], 3), ([gold, vectors], 4), ([vectors], 3)):
        thawed = steps("gradual", tagger, 8, reads)[-1][0]
        assert len(thawed) == count
        known = {name.split(".")[0] for part in thawed for name in names(tagger, part)}
        assert ("emit" in known, "projection" in known) == (gold in reads, vectors in reads)
    tagger.projection = None
    assert len(parts(tagger)) == 3


@given(epochs=st.integers(2, 30), layers=st.integers(1, 6))
def test_epochs_are_divided_over_steps(epochs: int, layers: int):
    tagger = fresh(BiLSTM(words=2, characters=2, hidden=2, layers=layers))
    whole = parts(tagger)
    found = steps("gradual", tagger, epochs, [frozenset()])
    spent = [each for _, each in found]
    assert sum(spent) == epochs
    assert sorted(spent) == spent
    assert spent[-1] - spent[0] <= 1
    assert len(found) == min(epochs, len(whole))
    counts = [len(thawed) for thawed, _ in found]
    assert counts[0] == 1
    assert counts[-1] == len(whole)
    assert counts == sorted({*counts})
    if epochs >= len(whole):
        assert counts == list(range(1, len(whole) + 1))
    assert (
        len(steps("at_once", tagger, epochs, [frozenset()]))
        == 1
        == len(steps("gradual", tagger, 1, [frozenset()]))
    )


def test_what_is_frozen_does_not_move_by_a_byte(student, tmp_path: Path):  # noqa: F811
    train = toys.split(tmp_path, "train")
    for count in range(1, len(parts(fresh(student))) + 1):
        tagger = fresh(student)
        before = save(tagger.state_dict())
        moving = {*chain(*(names(tagger, part) for part in parts(tagger)[:count]))}
        kept = {name: w.clone() for name, w in tagger.state_dict().items() if name not in moving}
        (folder := tmp_path / str(count)).mkdir()
        lessons = Lessons([train], tagger.encoder.sizes)
        with only(parts(tagger)[:count], tagger):
            fit(tagger, lessons, gold_nll, lambda _: 1.0, QUICK, folder)
        after = tagger.state_dict()
        assert all(torch.equal(after[name], weight) for name, weight in kept.items())
        assert save(dict(after)) != before
        assert all(weight.requires_grad for weight in tagger.parameters())


def test_what_no_objective_reaches_stays_as_it_is(tmp_path: Path):
    """The head, under a loss that reads vectors alone."""
    train = toys.split(tmp_path, "train")
    tagger = fresh(BiLSTM(words=4, characters=4, hidden=4))
    before = save(tagger.state_dict())

    def loss(lattice, gold, share):
        return torch.ones(len(gold))

    with only(parts(tagger)[:1], tagger):
        curve = fit(tagger, Lessons([train], tagger.encoder.sizes), loss, lambda _: 1.0, QUICK,
                    tmp_path)  # fmt: skip
    assert save(tagger.state_dict()) == before
    assert curve[0]["loss"] == 1


# In a recipe

GRADUAL = Recipe(
    student=TINY,
    transfer="all",
    unfreeze="gradual",
    phases=(
        Phase(text="transfer", objectives=(Posterior(),), epochs=4, mix=None),
        Phase(objectives=(GoldNLL(), Posterior()), epochs=3, mix=0.1),
        Phase(text="labelled", objectives=(GoldNLL(),), unfreeze="at_once"),
    ),
)


@pytest.mark.usefixtures("taught")
def test_steps_restore_the_best_and_resume_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", "0")
    runs: list[tuple[int, int]] = []
    fit_of = schedule.fit

    def counted(tagger, course, *rest):
        trained = sum(weight.requires_grad for weight in tagger.parameters())
        runs.append((trained, rest[2].epochs))
        return fit_of(tagger, course, *rest)

    monkeypatch.setattr(schedule, "fit", counted)
    whole = learn(GRADUAL, "whole")
    assert [epochs for _, epochs in runs] == [1, 1, 2, 1, 1, 1, 1]
    sizes = [trained for trained, _ in runs]
    assert sizes[:3] == sizes[3:6] == sorted({*sizes})
    assert sizes[6] == sizes[2]

    batch_of, left = schedule.Course.batch, 5

    def stopping(course, chosen):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return batch_of(course, chosen)

    with monkeypatch.context() as patch:
        patch.setattr(schedule.Course, "batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            learn(GRADUAL, "killed")
    killed = learn(GRADUAL, "killed")
    for file in ("weights.safetensors", "curve.csv"):
        assert (killed / file).read_bytes() == (whole / file).read_bytes()


@pytest.mark.usefixtures("taught")
def test_weights_move_and_sentences_change_over_the_whole_phase(monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    drawn: list[list[int]] = []
    at, draw = Annealed.at, schedule.Course.drawn

    def drawing(course, epoch):
        found = [*draw(course, epoch)]
        drawn.append(found[30:])
        return found

    monkeypatch.setattr(Annealed, "at", lambda own, done, n: asked.append(done) or at(own, done, n))
    monkeypatch.setattr(schedule.Course, "drawn", drawing)
    phase = Phase(objectives=(Posterior(weight=Annealed()),), epochs=4, mix=0.1, unfreeze="gradual")
    learn(Recipe(student=TINY, transfer="all", phases=(phase,)))
    assert sorted({*asked}) == asked
    assert asked[0] == 0
    assert asked[-1] >= 0.75
    seen = [sentence for epoch in {tuple(each) for each in drawn} for sentence in epoch]
    assert len(seen) == 12
    assert len({*seen}) == 10  # of ten transfer sentences: all, before any came again
