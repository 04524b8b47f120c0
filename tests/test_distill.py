"""Distill: a student learns from what somebody labelled, and from nothing else."""

import json
from pathlib import Path

import pytest
from toys import write_corpus

from pipeline.networks import BiLSTM
from pipeline.objectives import GoldNLL, Posterior
from pipeline.recipes import Recipe
from pipeline.training import Training
from stages import distill

TINY = BiLSTM(words=4, characters=4, hidden=4)
TRAINING = Training(epochs=1, learning_rate=0.01)


@pytest.mark.parametrize("objective", [GoldNLL(), Posterior()])
def test_text_that_nobody_labelled_is_left_out(tmp_path: Path, monkeypatch, objective):
    monkeypatch.chdir(tmp_path)
    write_corpus(Path("corpora/en"), train=60, other=20)
    (lessons := Path("lessons/nobody")).mkdir(parents=True)
    (lessons / "label.json").write_text(json.dumps({}))
    recipe = Recipe(student=TINY, objectives=(GoldNLL(), objective), transfer="all")
    sizes = []
    monkeypatch.setattr(distill, "fit", lambda student, found, *_: sizes.append(len(found)) or [])
    distill.run(
        lambda: (recipe, TRAINING),
        Path("corpora"),
        Path("lessons"),
        Path("targets"),
        Path("students/r/1"),
    )
    assert sizes == [60]
