"""Distill: a student learns from what somebody labelled, and from nothing else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from toys import TAGS, write_corpus

from pipeline import schedule
from pipeline.corpus import read_split
from pipeline.emissions import ANSWERS, Emissions, read_emissions, write_emissions
from pipeline.emphasis import Emphasis
from pipeline.errors import InputError
from pipeline.examples import Examples
from pipeline.extraction import extract
from pipeline.fusion import Fusion
from pipeline.lattice import log_marginals
from pipeline.losses.hidden import Hidden, HiddenMSE
from pipeline.losses.structural import Structural
from pipeline.losses.supervision import Weigh
from pipeline.losses.wordwise import EmissionMSE, Posterior
from pipeline.networks import BiLSTM
from pipeline.objectives import GoldNLL, Objective
from pipeline.phases import Phase
from pipeline.recipes import Recipe
from pipeline.students import load_student, new_student, save_student
from pipeline.tagger import Tagger
from pipeline.targets import write_targets
from pipeline.training import Training
from pipeline.transitions import read_transitions
from stages import distill

TINY = BiLSTM(words=4, characters=4, hidden=4)
TRAINING = Training(epochs=1, learning_rate=0.01)


def distilled(transfer: int | Literal["all"], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences a student learns from, below the current folder."""
    write_corpus(Path("corpora/en"), train=60, other=20)
    Path("lessons").mkdir()
    Path("lessons/teachers.json").write_text(json.dumps({"en": []}))
    recipe = Recipe(student=TINY, objectives=(GoldNLL(), Posterior()), transfer=transfer)
    sizes: list[int] = []
    monkeypatch.setattr(distill, "learn", lambda student, found, *_: sizes.append(len(found)) or [])
    distill.run(
        lambda: (recipe, TRAINING),
        Path("corpora"),
        Path("lessons"),
        Path("emissions"),
        Path("targets"),
        Path("teachers"),
        Path("ensembles"),
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
    own = replace(plain, epochs=2, learning_rate=0.001, keep="last")
    assert plain.training(shared, 5) == replace(shared, seed=5)
    assert own.training(shared, 5) == replace(
        shared, seed=5, epochs=2, learning_rate=0.001, keep="last"
    )


# With a teacher


@pytest.fixture
def taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a corpus that a teacher made of noise has labelled."""
    monkeypatch.chdir(tmp_path)
    write_corpus(Path("corpora/en"), train=30, other=10)
    Path("lessons").mkdir()
    Path("lessons/teachers.json").write_text(json.dumps({"en": ["t"]}))
    torch.manual_seed(0)
    teacher = new_student(TINY, [["a"]], TAGS, "iob2", "crf")
    for score in teacher.transitions.parameters():
        torch.nn.init.normal_(score)
    Path("teachers/t").mkdir(parents=True)
    save_student(teacher, TINY, Path("teachers/t"))
    for kind in ("train", "transfer"):
        split, part = read_split(Path(f"corpora/en/{kind}.parquet")), f"t/en/{kind}"
        offsets = np.cumsum([0, *map(len, split.words)])
        scores = np.random.default_rng(1).normal(0, 2, (offsets[-1], len(TAGS)))
        ids = np.array(split.sentence_ids, dtype=np.int32)
        vectors = np.random.default_rng(2).normal(0, 1, (offsets[-1], 7)).astype(np.float16)
        saliency = np.abs(scores[:, 0]).astype(np.float32)
        rows = Emissions(ids, offsets, scores.astype(np.float32), saliency, vectors)
        for folder in ("emissions", "targets"):
            (Path(folder) / part).mkdir(parents=True)
        write_emissions(Path(f"emissions/{part}/part-00000.parquet"), rows, TAGS)
        found = extract(rows, read_transitions(Path("teachers/t")), 3)
        write_targets(Path(f"targets/{part}/part-00000.parquet"), [found], TAGS, 3)
    return tmp_path


def learn(recipe: Recipe, name: str = "r") -> Path:
    out = Path(f"students/{name}/1")
    names = ("corpora", "lessons", "emissions", "targets", "teachers", "ensembles")
    folders = {name: Path(name) for name in names}
    distill.run(lambda: (recipe, TRAINING), **folders, out=out)
    return out


@pytest.mark.parametrize("kind", [k for k in get_args(get_args(Objective)[0]) if k.reads])
def test_a_student_learns_from_whatever_its_objective_reads(taught: Path, kind):
    recipe = Recipe(student=TINY, objectives=(kind(),), transfer=7, confidence=Weigh())
    curve = (learn(recipe) / "curve.csv").read_text().splitlines()
    assert float(curve[1].split(",")[2]) > 0


def test_the_lattice_is_the_one_whose_marginals_were_extracted(
    taught: Path, monkeypatch: pytest.MonkeyPatch
):
    caught: list[Examples] = []
    monkeypatch.setattr(distill, "learn", lambda student, found, *_: caught.append(found) or [])

    both = (Structural(), Posterior())
    learn(Recipe(student=TINY, objectives=both, transfer="all"))
    words, (_, targets) = caught[0].batch([35, 2, 17])
    mask = torch.arange(max(map(len, words))) < torch.tensor([*map(len, words)])[:, None]
    [(rows, lattice)] = targets.lattices(mask)
    assert rows.tolist() == [0, 1, 2]
    # Halves: three digits.
    torch.testing.assert_close(log_marginals(lattice), targets.log_marginals, atol=0.01, rtol=1e-3)


def test_a_teacher_that_is_of_no_use_to_gold_is_not_read(taught: Path):
    for folder in ("emissions", "targets", "teachers"):
        for path in sorted(Path(folder).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    learn(Recipe(student=TINY, objectives=(GoldNLL(),)))


def test_without_gold_or_teacher_there_is_nothing_to_learn(taught: Path):
    Path("lessons/teachers.json").write_text(json.dumps({"en": []}))
    with pytest.raises(InputError, match=r"recipes\.r\.objectives: expected text that a teacher"):
        learn(Recipe(student=TINY, objectives=(Posterior(),)))


# More than targets and emissions


def caught(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> tuple[Tagger, Examples]:
    """The student before training, and what it would learn from."""
    found: list[tuple[Tagger, Examples]] = []
    with monkeypatch.context() as patch:
        patch.setattr(distill, "learn", lambda *told: found.append(told[:2]) or [])
        learn(recipe)
    return found[0]


def test_words_weigh_by_their_saliency(taught: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = Recipe(student=TINY, objectives=(Posterior(),), saliency=Emphasis(share=0.5))
    _, (_, targets) = caught(recipe, monkeypatch)[1].batch([4])
    [rows] = read_emissions(Path("emissions/t/en/train"), ["saliency"])
    raw = rows.saliency[rows.offsets[4] : rows.offsets[5]]
    np.testing.assert_allclose(targets.saliency[0], 0.5 + 0.5 * raw / raw.mean(), rtol=1e-5)


def test_no_column_is_loaded_that_nobody_reads(taught: Path, monkeypatch: pytest.MonkeyPatch):
    asked, read = [], pq.ParquetFile.read_row_group

    def watched(self, *args, columns, **more):
        asked.append({*columns})
        return read(self, *args, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    for objectives, more, expected in (
        ((Posterior(),), {}, set()),
        ((HiddenMSE(),), {}, {"vectors"}),
        ((Posterior(),), {"saliency": Emphasis()}, {"saliency"}),
        ((EmissionMSE(),), {"saliency": Emphasis()}, {"saliency", "emissions"}),
    ):
        asked.clear()
        caught(Recipe(student=TINY, objectives=objectives, **more), monkeypatch)
        found = {name for names in asked for name in names if name in ANSWERS}
        assert found == expected


def test_beliefs_are_fused_over_what_is_learnt_from(taught: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = Recipe(student=TINY, objectives=(Posterior(),), transfer=4, fusion=Fusion(share=1.0))
    examples = caught(recipe, monkeypatch)[1]
    plain = caught(replace(recipe, fusion=None), monkeypatch)[1]
    everyone = [*range(len(examples))]
    words, (_, fused) = examples.batch(everyone)
    _, (_, own) = plain.batch(everyone)
    dots = [(n, row.index(".")) for n, row in enumerate(words)]
    mean = torch.stack([own.log_marginals[at].exp() for at in dots]).mean(dim=0)
    for at in dots:
        torch.testing.assert_close(fused.log_marginals[at].exp(), mean, atol=2e-3, rtol=0)


@pytest.mark.parametrize("kind", [Hidden, HiddenMSE])
def test_the_projection_is_trained_and_dropped(taught: Path, monkeypatch, kind):
    seen: list[torch.Tensor] = []
    train = distill.learn

    def watched(student: Tagger, *told):
        assert student.projection is not None
        seen.append(student.projection.weight.detach().clone())
        curve = train(student, *told)
        seen.append(student.projection.weight.detach().clone())
        return curve

    monkeypatch.setattr(distill, "learn", watched)
    saved = learn(Recipe(student=TINY, objectives=(GoldNLL(), kind())))
    first, last = seen
    assert first.shape == (7, 8)  # the teacher's width, and that of both directions
    assert not torch.equal(first, last)
    names = {*load_file(saved / "weights.safetensors")}
    assert not [name for name in names if "projection" in name]
    assert load_student(saved).projection is None


def test_a_projection_leaves_the_student_s_first_weights_as_they_were(taught, monkeypatch):
    with_it, without = (
        caught(Recipe(student=TINY, objectives=objectives), monkeypatch)[0].state_dict()
        for objectives in ((Hidden(),), (Posterior(),))
    )
    assert {*with_it} - {*without} == {"projection.weight", "projection.bias"}
    for name, weight in without.items():
        torch.testing.assert_close(with_it[name], weight, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("more", "lacking", "said"),
    [
        ({"objectives": (GoldNLL(), Hidden())}, "vectors",
         r"recipes\.r\.objectives\.1: hidden reads vectors; expected score\.vectors: true, found "
         r"in emissions/t/en/train emissions, saliency; run `dvc repro score@t`"),
        ({"objectives": (Posterior(),), "saliency": Emphasis()}, "saliency",
         r"recipes\.r\.saliency: .* expected score\.saliency, .* found in emissions/t/en/train"),
    ],
)  # fmt: skip
def test_an_answer_that_was_not_written_is_named_before_any_work(taught, more, lacking, said):
    part = Path("emissions/t/en/train/part-00000.parquet")
    [rows] = read_emissions(part.parent, ANSWERS)
    write_emissions(part, replace(rows, **{lacking: None}), TAGS)
    with pytest.raises(InputError, match=said):
        learn(Recipe(student=TINY, **more))
    assert not Path("students").exists()
    assert not Path(".work").exists()


class Killed(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_a_killed_run_goes_on_with_its_projection(taught, monkeypatch, steps: int):
    """To the same bytes, in whichever of its phases it was."""
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", "0")
    monkeypatch.setitem(globals(), "TRAINING", replace(TRAINING, batch_words=100, epochs=2))
    phases = (
        Phase(objectives=(HiddenMSE(),), keep="last"),
        Phase(objectives=(GoldNLL(), Hidden())),
    )
    recipe = Recipe(student=TINY, phases=phases, saliency=Emphasis(), fusion=Fusion())
    whole = (learn(recipe, "whole") / "weights.safetensors").read_bytes()
    done, total = [], schedule.total

    def stopping(*told, **more):
        done.append(1)
        if len(done) > steps:
            raise Killed
        return total(*told, **more)

    monkeypatch.setattr(schedule, "total", stopping)
    with pytest.raises(Killed):
        learn(recipe, "killed")
    monkeypatch.setattr(schedule, "total", total)
    assert (learn(recipe, "killed") / "weights.safetensors").read_bytes() == whole
