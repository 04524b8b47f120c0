"""Phases one after the other: what each reads, what it leaves, and where a killed run goes on."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from test_distill import TINY, TRAINING, learn, taught  # noqa: F401 - a fixture

from pipeline import schedule
from pipeline.corpus import read_split
from pipeline.losses.schedules import Annealed
from pipeline.losses.wordwise import Posterior
from pipeline.noise import LowerCase, Misheard, Typos, WordDrop
from pipeline.objectives import GoldNLL
from pipeline.phases import Phase
from pipeline.recipes import Recipe
from pipeline.students import load_student
from pipeline.tagger import Tagger
from pipeline.training import Training

TWO = (
    Phase(text="transfer", objectives=(Posterior(),), epochs=2),
    Phase(text="labelled", objectives=(GoldNLL(),), epochs=3, learning_rate=0.02),
)


def recipe(*phases: Phase, **more) -> Recipe:
    return Recipe(student=TINY, phases=phases, transfer="all", **more)


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


def rows(out: Path) -> list[list[float]]:
    return [[*map(float, line.split(","))] for line in
            (out / "curve.csv").read_text().splitlines()[1:]]  # fmt: skip


class Stop(Exception):
    pass


def stop_at(monkeypatch: pytest.MonkeyPatch, batch: int) -> list[int]:
    """Raise Stop at a batch, counted over all phases; returns the sizes of those before it."""
    seen: list[int] = []
    batch_of = schedule.Course.batch

    def counted(course, chosen):
        if len(seen) == batch:
            raise Stop
        seen.append(len(chosen))
        return batch_of(course, chosen)

    monkeypatch.setattr(schedule.Course, "batch", counted)
    return seen


@pytest.mark.usefixtures("taught")
def test_one_phase_that_says_nothing_is_a_recipe_without_phases():
    both = (GoldNLL(), Posterior(weight=Annealed(every="epoch")))
    plain = learn(Recipe(student=TINY, objectives=both, transfer="all"), "plain")
    phased = learn(recipe(Phase(), objectives=both), "phased")
    own = learn(recipe(Phase(objectives=both)), "own")
    assert weights(plain) == weights(phased) == weights(own)
    assert rows(plain) == rows(phased) == rows(own)


@pytest.mark.usefixtures("taught")
def test_the_curve_goes_on_through_phases():
    found = rows(learn(recipe(*TWO)))
    assert [row[1] for row in found] == [1, 2, 3, 4, 5]
    steps = [row[0] for row in found]
    assert steps == sorted({*steps})


@pytest.mark.usefixtures("taught")
def test_each_phase_is_a_fit_over_its_own_text_at_its_own_rates(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, Training]] = []

    def fit(student, course, loss, validate, training, kept):
        asked.append((len(course.drawn(0)), training))
        return [{"step": 1, "epoch": 1, "loss": 0.0, "dev_f1": 0.0}]

    monkeypatch.setattr(schedule, "fit", fit)
    learn(recipe(*TWO, Phase(objectives=(Posterior(),), mix=0.1)))
    assert [size for size, _ in asked] == [10, 30, 33]
    first, second, third = (training for _, training in asked)
    assert first == replace(TRAINING, epochs=2)
    assert second == replace(TRAINING, epochs=3, learning_rate=0.02, seed=second.seed)
    assert third == replace(TRAINING, seed=third.seed)
    assert len({first.seed, second.seed, third.seed}) == 3


@pytest.mark.usefixtures("taught")
def test_a_phase_begins_where_the_one_before_it_left_off(monkeypatch: pytest.MonkeyPatch):
    begun: list[bytes] = []
    left: list[bytes] = []
    fit = schedule.fit

    def watched(student, *rest):
        begun.append(save(student.state_dict()))
        curve = fit(student, *rest)
        left.append(save(student.state_dict()))
        return curve

    monkeypatch.setattr(schedule, "fit", watched)
    out = learn(recipe(*TWO))
    assert begun[1] == left[0] != begun[0]
    assert save(load_student(out).state_dict()) == left[1]


@pytest.mark.usefixtures("taught")
@pytest.mark.parametrize("seconds", ["0", "9999"])
@pytest.mark.parametrize("batch", [1, 4, 6])
def test_a_killed_run_goes_on_in_its_phase_to_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, batch: int, seconds: str
):
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", seconds)
    small = (*(replace(phase, epochs=3) for phase in TWO), Phase(objectives=(Posterior(),), mix=2))
    with monkeypatch.context() as patch:
        sizes = stop_at(patch, -1)
        whole = learn(recipe(*small), "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, batch)
        with pytest.raises(Stop):
            learn(recipe(*small), "killed")
    with monkeypatch.context() as patch:
        rest = stop_at(patch, -1)
        killed = learn(recipe(*small), "killed")
    assert weights(killed) == weights(whole)
    assert rows(killed) == rows(whole)
    # What a finished phase read is not read again, whatever checkpoints there are.
    done = batch if seconds == "0" else max(n for n in (0, 3, 6) if n <= batch)
    assert rest == sizes[done:]


@pytest.mark.usefixtures("taught")
def test_the_last_weights_are_kept_where_that_is_asked(monkeypatch: pytest.MonkeyPatch):
    scores = {"best": iter([50.0, 10.0]), "last": iter([50.0, 10.0])}
    seen: dict[str, list[bytes]] = {"best": [], "last": []}

    def validate(keep: str, student) -> float:
        seen[keep].append(save(student.state_dict()))
        return next(scores[keep])

    for keep in ("best", "last"):
        judge = partial(validate, keep)
        monkeypatch.setattr("stages.distill.development_f1", lambda _, judge=judge: judge)
        out = learn(recipe(replace(TWO[0], keep=keep)), keep)
        kept = save(load_student(out).state_dict())
        assert kept == seen[keep][0 if keep == "best" else 1]
    assert seen["best"] == seen["last"]


def test_phases_of_a_recipe_fill_in_what_they_leave_open():
    one = recipe(Phase(text="labelled"), Phase(mix=1.0), Phase(), objectives=(GoldNLL(),), mix=4.0)
    assert [phase.mix for phase in one.course] == [None, 1.0, 4.0]
    assert all(phase.minimised == (GoldNLL(),) for phase in one.course)
    assert [key for key, _ in one.placed()] == ["objectives.0"] * 3
    assert [key for key, _ in recipe(*TWO).placed()] == [
        "phases.0.objectives.0",
        "phases.1.objectives.0",
    ]


NOISY = (Typos(share=0.5), LowerCase(share=0.5))


@pytest.mark.usefixtures("taught")
def test_only_the_words_of_training_batches_are_noisy(monkeypatch: pytest.MonkeyPatch):
    clean, read, judged = [], [], []
    batch_of, tag = schedule.Course.batch, Tagger.tag

    def watched(course, chosen):
        words, beside = batch_of(course, chosen)
        before, same = course._examples.batch(chosen)
        clean.append(before)
        read.append(words)
        assert torch.equal(beside[0].tags, same[0].tags)
        assert torch.equal(beside[1].log_marginals, same[1].log_marginals)
        return words, beside

    monkeypatch.setattr(schedule.Course, "batch", watched)
    monkeypatch.setattr(Tagger, "tag", lambda own, words: judged.append(words) or tag(own, words))
    quiet = replace(TWO[1], noise=())
    learn(recipe(replace(TWO[0], epochs=3), quiet, noise=NOISY))
    assert all(one != other for one, other in zip(clean[:3], read[:3], strict=True))
    assert clean[3:] == read[3:]
    spoilt = [sorted(map(str, words)) for words in read[:3]]
    assert len({str(words) for words in spoilt}) == 3
    assert all(rows == read_split(Path("corpora/en/dev.parquet")).words for rows in judged)


@pytest.mark.usefixtures("taught")
def test_phases_noise_mix_and_thawing_go_together_and_resume(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", "0")
    both = (GoldNLL(), Posterior())
    phases = (
        replace(TWO[0], noise=(WordDrop(share=0.3), Misheard())),
        Phase(objectives=both, mix=0.2, epochs=3, unfreeze="gradual", noise=NOISY),
    )
    whole = learn(recipe(*phases), "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Stop):
            learn(recipe(*phases), "killed")
    killed = learn(recipe(*phases), "killed")
    assert weights(killed) == weights(whole)
    assert rows(killed) == rows(whole)
    assert weights(learn(recipe(phases[0], replace(phases[1], noise=())), "clean")) != weights(
        whole
    )
