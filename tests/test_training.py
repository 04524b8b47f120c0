"""One loop for all taggers: it learns, repeats itself to the byte, and goes on after a stop."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from pipeline.batching import shuffled
from pipeline.errors import InputError
from pipeline.lessons import Lessons, development_f1, gold_nll
from pipeline.networks import BiLSTM
from pipeline.students import new_student
from pipeline.tagger import Tagger
from pipeline.training import Training, fit
from tests import toys

SMALL = BiLSTM(words=8, characters=8, hidden=16, dropout=0.2)
QUICK = Training(epochs=3, batch_words=64, learning_rate=0.02, transition_learning_rate=0.05)


@pytest.fixture(autouse=True)
def _checkpoints_at_every_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", "0")


def trained(folder: Path, training: Training = QUICK, loss=gold_nll) -> tuple[Tagger, list]:
    train, dev = toys.split(folder, "train"), toys.split(folder, "dev")
    torch.manual_seed(training.seed)
    lessons = Lessons([train], lambda sentences: [*map(len, sentences)])
    student = new_student(SMALL, train.words, train.tag_set, "iob2", "crf")
    kept = folder / "kept"
    kept.mkdir(exist_ok=True)
    curve = fit(student, lessons, loss, development_f1([dev]), training, kept)
    return student, curve


def weights(tagger: Tagger) -> bytes:
    return save(tagger.state_dict())


class Stop(Exception):
    pass


def stopping_after(steps: int):
    done = 0

    def loss(lattice, gold, share):
        nonlocal done
        done += 1
        if done > steps:
            raise Stop
        return gold_nll(lattice, gold, share)

    return loss


def test_it_learns(tmp_path: Path):
    _, curve = trained(tmp_path)
    assert [row["epoch"] for row in curve] == [1, 2, 3]
    assert curve[-1]["loss"] < curve[0]["loss"] / 3
    assert curve[-1]["dev_f1"] > 90


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path):
    first, second = (weights(trained(tmp_path / name)[0]) for name in "ab")
    assert first == second
    other = Training(**{**vars_of(QUICK), "seed": 2})
    assert weights(trained(tmp_path / "c", other)[0]) != first


def vars_of(training: Training) -> dict:
    return {name: getattr(training, name) for name in Training.__dataclass_fields__}


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 4, 7, 17])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, steps: int, accumulate: int):
    training = Training(**{**vars_of(QUICK), "accumulate": accumulate, "patience": 1})
    whole, curve = trained(tmp_path / "whole", training)
    with pytest.raises(Stop):
        trained(tmp_path / "stopped", training, stopping_after(steps))
    resumed, resumed_curve = trained(tmp_path / "stopped", training)
    assert weights(resumed) == weights(whole)
    assert resumed_curve == curve


def test_a_resumed_run_repeats_no_step(tmp_path: Path):
    with pytest.raises(Stop):
        trained(tmp_path, loss=stopping_after(5))
    calls = []
    trained(tmp_path, loss=lambda *batch: calls.append(1) or gold_nll(*batch))
    whole = []
    trained(tmp_path / "whole", loss=lambda *batch: whole.append(1) or gold_nll(*batch))
    assert len(calls) == len(whole) - 5


def test_accumulated_batches_make_one_step(tmp_path: Path):
    _, curve = trained(tmp_path, Training(**{**vars_of(QUICK), "accumulate": 2}))
    _, single = trained(tmp_path / "single")
    assert curve[0]["step"] == (single[0]["step"] + 1) // 2


def test_patience_ends_training_and_keeps_the_best(tmp_path: Path):
    scores = iter([10.0, 30.0, 20.0, 5.0, 99.0])
    train = toys.split(tmp_path, "train")
    lessons = Lessons([train], lambda sentences: [*map(len, sentences)])
    student = new_student(SMALL, train.words, train.tag_set, "iob2", "crf")
    seen = []

    def validate(tagger: Tagger) -> float:
        seen.append(weights(tagger))
        return next(scores)

    patient = Training(epochs=9, batch_words=64, learning_rate=0.02, patience=2)
    (tmp_path / "kept").mkdir()
    curve = fit(student, lessons, gold_nll, validate, patient, tmp_path / "kept")
    assert [row["dev_f1"] for row in curve] == [10, 30, 20, 5]
    assert weights(student) == seen[1]


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path):
    with pytest.raises(InputError, match=r"in epoch 1.*loss became nan; lower learning_rate"):
        trained(tmp_path, loss=lambda *batch: gold_nll(*batch) * torch.nan)


def test_weights_that_run_away_end_the_run(tmp_path: Path):
    wild = Training(**{**vars_of(QUICK), "learning_rate": 1e30})
    with pytest.raises(InputError, match=r"in epoch 1.*emissions.*found NaN.*lower learning_rate"):
        trained(tmp_path, wild)


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
def test_rates_rise_then_fall(decay: str):
    training = Training(epochs=1, learning_rate=1.0, warm_up=0.2, decay=decay)
    assert training.rate(0.0) == 0
    assert training.rate(0.1) == pytest.approx(0.5)
    assert training.rate(0.2) == pytest.approx(1.0)
    assert training.rate(1.0) == pytest.approx(1.0 if decay == "constant" else 0.0)


@pytest.mark.parametrize("accumulate", [1, 2, 3, 4, 99])
def test_a_step_is_the_mean_of_its_batches(tmp_path: Path, accumulate: int):
    """The slopes of a mean add up to 1, and each batch of a step brings its share of that."""
    slopes: list[float] = []

    def loss(lattice, gold, share):
        lattice.emissions.register_hook(lambda slope: slopes.append(float(slope.sum())))
        return lattice.emissions[:, 0, 0]

    train = toys.split(tmp_path, "train").words
    batches = len(shuffled([*map(len, train)], QUICK.batch_words, 0))
    trained(tmp_path, Training(**{**vars_of(QUICK), "epochs": 1, "accumulate": accumulate}), loss)
    whole, rest = divmod(batches, accumulate)
    expected = [1 / accumulate] * whole * accumulate + [1 / max(1, rest)] * rest
    assert slopes == pytest.approx(expected)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_each_step_has_the_rate_of_its_middle(tmp_path: Path, monkeypatch, accumulate: int):
    asked: list[float] = []
    rate = Training.rate
    monkeypatch.setattr(Training, "rate", lambda own, at: asked.append(at) or rate(own, at))
    training = Training(**{**vars_of(QUICK), "epochs": 1, "accumulate": accumulate})
    trained(tmp_path, training)
    lengths = toys.split(tmp_path, "train").words
    batches = len(shuffled([*map(len, lengths)], QUICK.batch_words, 0))
    borders = [*range(0, batches, accumulate), batches]
    assert asked == [(one + other) / 2 / batches for one, other in pairwise(borders)]
    assert rate(training, asked[0]) > 0


# With a projection


def beside_gold(lattice, gold, share):
    """Gold, and vectors that are drawn towards 1."""
    away = torch.where(lattice.mask[:, :, None], lattice.vectors - 1, 0.0)
    return gold_nll(lattice, gold, share) + away.square().mean(dim=2).sum(dim=1)


def projected(folder: Path, loss=beside_gold, rate: float = 0.1) -> tuple[Tagger, torch.Tensor]:
    """A student trained with a projection, and that as it was at first."""
    train, dev = toys.split(folder, "train"), toys.split(folder, "dev")
    torch.manual_seed(1)
    lessons = Lessons([train], lambda sentences: [*map(len, sentences)])
    student = new_student(SMALL, train.words, train.tag_set, "iob2", "crf")
    student.projection = torch.nn.Linear(student.encoder.width, 6)
    first = student.projection.weight.detach().clone()
    (folder / "kept").mkdir(exist_ok=True)
    training = Training(**{**vars_of(QUICK), "head_learning_rate": rate})
    fit(student, lessons, loss, development_f1([dev]), training, folder / "kept")
    return student, first


@pytest.mark.parametrize("steps", [1, 7, 17])
def test_a_stopped_run_goes_on_with_its_projection(tmp_path: Path, steps: int):
    whole, first = projected(tmp_path / "whole")
    assert whole.projection is not None
    assert (whole.projection.weight.detach() - first).abs().max() > 0.05
    done = 0

    def stopping(*batch):
        nonlocal done
        done += 1
        if done > steps:
            raise Stop
        return beside_gold(*batch)

    with pytest.raises(Stop):
        projected(tmp_path / "stopped", stopping)
    assert weights(projected(tmp_path / "stopped")[0]) == weights(whole)


def test_a_projection_learns_at_the_rate_of_the_head(tmp_path: Path):
    moved = []
    for rate in (1e-6, 0.1):
        student, first = projected(tmp_path / str(rate), rate=rate)
        assert student.projection is not None
        moved.append(float((student.projection.weight.detach() - first).abs().max()))
    assert moved[0] < 1e-3 < moved[1]


def test_without_one_lattices_have_no_vectors(tmp_path: Path):
    student, _ = trained(tmp_path)
    inputs = student.encoder.inputs([["Ada", "."]])
    assert student(inputs).vectors is None
    student.projection = torch.nn.Linear(student.encoder.width, 6)
    found = student(inputs)
    expected = student.projection(student.vectors(inputs))
    torch.testing.assert_close(found.vectors, expected)
    torch.testing.assert_close(found.some(torch.tensor([0])).vectors, expected)
