"""Distill: a student learns from what somebody labelled, and from nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from toys import write_corpus

from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.objectives import GoldNLL, Posterior
from pipeline.recipes import Recipe
from pipeline.training import Training
from stages import distill

TINY = BiLSTM(words=4, characters=4, hidden=4)
TRAINING = Training(epochs=1, learning_rate=0.01)


def distilled(transfer: int | str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences a student learns from, below the current folder."""
    write_corpus(Path("corpora/en"), train=60, other=20)
    (lessons := Path("lessons/nobody")).mkdir(parents=True)
    (lessons / "label.json").write_text(json.dumps({}))
    recipe = Recipe(student=TINY, objectives=(GoldNLL(), Posterior()), transfer=transfer)
    sizes: list[int] = []
    monkeypatch.setattr(distill, "fit", lambda student, found, *_: sizes.append(len(found)) or [])
    distill.run(
        lambda: (recipe, TRAINING),
        Path("corpora"),
        Path("lessons"),
        Path("emissions"),
        Path("targets"),
        Path("teachers"),
        Path("students/r/1"),
    )
    return sizes


def test_without_transfer_labelled_text_is_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert distilled(0, monkeypatch) == [60]


def test_text_that_nobody_labels_cannot_teach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"recipes\.r\.transfer: expected unlabelled text .* found"
    ):
        distilled("all", monkeypatch)
    assert not Path("students").exists()


def test_a_recipe_trains_as_all_do_but_for_what_it_says_itself():
    shared = Training(epochs=7, learning_rate=0.01, head_learning_rate=0.02, batch_words=99)
    plain = Recipe(student=TINY, objectives=(GoldNLL(),))
    own = Recipe(student=TINY, objectives=(GoldNLL(),), epochs=2, learning_rate=0.001)
    assert plain.training(shared, 5) == replace(shared, seed=5)
    assert own.training(shared, 5) == replace(shared, seed=5, epochs=2, learning_rate=0.001)
