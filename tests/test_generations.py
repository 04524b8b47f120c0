"""Self-distillation: who teaches whom, from which text, and where a killed run goes on."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from test_contradictions import GOLD, POSTERIOR, read
from test_distill import TINY, learn, taught  # noqa: F401 - a fixture
from test_schedule import rows, weights

from pipeline import generations
from pipeline.corpus import read_split
from pipeline.emissions import read_emissions
from pipeline.errors import InputError
from pipeline.extraction import extract
from pipeline.generations import SelfDistillation, labelled
from pipeline.lattice import log_marginals
from pipeline.losses.pathwise import TopWK
from pipeline.losses.structural import Structural
from pipeline.losses.wordwise import Posterior
from pipeline.noise import LowerCase, WordDrop
from pipeline.objectives import GoldNLL
from pipeline.phases import Phase
from pipeline.recipes import Recipe
from pipeline.students import load_student, new_student
from pipeline.targets import read_targets
from stages import distill
from tests import toys

BOTH = (GoldNLL(), Posterior())
ALONE = Recipe(
    student=TINY,
    objectives=(GoldNLL(),),
    transfer="all",
    epochs=1,
    self_distillation=SelfDistillation(generations=2, k=3, objectives=(*BOTH, TopWK())),
)


@pytest.fixture
def text(taught: Path) -> list[Path]:  # noqa: F811
    return [Path(f"corpora/en/{kind}.parquet") for kind in ("train", "transfer")]


def nobody() -> None:
    """No teacher is left, nor anything that one said."""
    for folder in ("emissions", "targets", "teachers"):
        shutil.rmtree(folder)
    Path("lessons/teachers.json").write_text('{"en": []}')


# What a student says


@pytest.mark.parametrize("passes", [1, 3])
def test_a_student_says_what_its_lattice_holds(text: list[Path], passes: int, tmp_path: Path):
    torch.manual_seed(1)
    student = new_student(TINY, read_split(text[0]).words, toys.TAGS, "iob2", "crf")
    own = SelfDistillation(passes=passes, k=4)
    before = save(student.state_dict())
    said = labelled(student, TINY, text, own, tmp_path / "a").of("self")
    assert save(student.state_dict()) == before
    assert not student.training
    for path in text:
        split, name = read_split(path), f"en/{path.stem}"
        [rows_] = read_emissions(said.emissions / name)
        [found] = read_targets(said.targets / name)
        assert found.sentence_ids.tolist() == split.sentence_ids
        assert found.counts.max() == 4
        lattice = student(student.encoder.inputs(split.words))
        words = lattice.emissions[lattice.mask].detach().numpy()
        assert np.allclose(rows_.scores, words, atol=1e-5) == (passes == 1)
        wanted = extract(rows_, student.transitions, 4)
        np.testing.assert_allclose(found.log_marginals, wanted.log_marginals, atol=0.01)
        if passes == 1:
            marginals = log_marginals(lattice)[lattice.mask].detach().numpy()
            np.testing.assert_allclose(found.log_marginals, marginals, atol=0.01)
    again = labelled(student, TINY, text, own, tmp_path / "b").of("self")
    for one, other in ((said.targets, again.targets), (said.emissions, again.emissions)):
        for file in sorted(one.rglob("*.parquet")):
            assert file.read_bytes() == (other / file.relative_to(one)).read_bytes()


# Generations


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, int, list[str]]]:
    """Of each generation its recipe, how many sentences it has and who labels them."""
    found: list[tuple[Recipe, int, list[str]]] = []
    generation, lesson = distill._generation, distill.learn

    def noted(recipe, training, sources, *rest, **more):
        found.append((recipe, training.seed, [str(source.teacher) for source in sources]))
        return generation(recipe, training, sources, *rest, **more)

    def learning(student, examples, *rest):
        recipe, _, names = found[-1]
        found[-1] = (recipe, len(examples), names)
        return lesson(student, examples, *rest)

    monkeypatch.setattr(distill, "_generation", noted)
    monkeypatch.setattr(distill, "learn", learning)
    return found


@pytest.mark.usefixtures("taught")
def test_a_student_that_nobody_taught_teaches_the_next(monkeypatch: pytest.MonkeyPatch):
    nobody()
    found = watched(monkeypatch)
    out = learn(ALONE)
    objectives = [[each.kind for _, each in recipe.placed()] for recipe, _, _ in found]
    assert objectives == [["gold"], *[["gold", "posterior", "top_wk"]] * 2]
    assert [size for _, size, _ in found] == [30, 40, 40]
    assert [names for _, _, names in found] == [["None"], *[["self", "self"]] * 2]
    assert [row[1] for row in rows(out)] == [1, 2, 3]
    assert load_student(out).tag([["Ada", "lives"]])
    first = learn(replace(ALONE, self_distillation=None, transfer=0), "first")
    assert rows(out)[0] == rows(first)[0]
    assert weights(out) != weights(first)


@pytest.mark.usefixtures("taught")
def test_a_student_that_was_taught_takes_its_teachers_place(monkeypatch: pytest.MonkeyPatch):
    found = watched(monkeypatch)
    phases = (
        Phase(text="transfer", objectives=(Structural(), Posterior())),
        Phase(text="labelled", objectives=(GoldNLL(),), noise=(LowerCase(share=1.0),)),
    )
    recipe = Recipe(
        student=TINY, phases=phases, transfer="all", self_distillation=SelfDistillation()
    )
    out = learn(recipe)
    assert [names for _, _, names in found] == [["t", "t"], ["self", "self"]]
    assert all(each.phases == phases for each, _, _ in found)
    assert [row[1] for row in rows(out)] == [1, 2, 3, 4]


@pytest.mark.usefixtures("taught")
def test_generations_have_luck_of_their_own_and_the_last_is_the_student(
    monkeypatch: pytest.MonkeyPatch,
):
    fresh: list[bytes] = []
    learnt: list[bytes] = []
    lesson = distill.learn

    def learning(student, *rest):
        fresh.append(save(student.state_dict()))
        curve = lesson(student, *rest)
        learnt.append(save(student.state_dict()))
        return curve

    monkeypatch.setattr(distill, "learn", learning)
    own = SelfDistillation(generations=2)
    out = learn(Recipe(student=TINY, objectives=BOTH, self_distillation=own))
    assert len({*fresh}) == 3
    assert save(load_student(out).state_dict()) == learnt[-1]


@pytest.mark.parametrize("calls", [2, 5, 8])
@pytest.mark.usefixtures("taught")
def test_a_killed_run_trains_no_finished_generation_again(
    monkeypatch: pytest.MonkeyPatch, calls: int
):
    """With phases, mixes, noise, thawing and dropout in what labels."""
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", "0")
    recipe = Recipe(
        student=TINY,
        phases=(
            Phase(objectives=BOTH, mix=0.3, epochs=3, unfreeze="gradual"),
            Phase(text="labelled", objectives=(GoldNLL(),), noise=(WordDrop(),)),
        ),
        transfer="all",
        self_distillation=SelfDistillation(generations=2, passes=2),
    )
    whole = learn(recipe, "whole")
    from pipeline import schedule

    batch_of, left, seen = schedule.Course.batch, calls, 0

    def stopping(course, chosen):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return batch_of(course, chosen)

    def counting(course, chosen):
        nonlocal seen
        seen += 1
        return batch_of(course, chosen)

    monkeypatch.setattr(schedule.Course, "batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        learn(recipe, "killed")
    monkeypatch.setattr(schedule.Course, "batch", counting)
    killed = learn(recipe, "killed")
    assert weights(killed) == weights(whole)
    assert rows(killed) == rows(whole)
    assert seen == 3 * 4 - calls


@pytest.mark.usefixtures("taught")
def test_what_a_student_said_is_kept_when_the_run_is_killed(monkeypatch: pytest.MonkeyPatch):
    told: list[int] = []
    split = generations.score_split

    def scoring(student, words, *rest, scored, **more):
        split(student, words, *rest, scored=lambda n: told.append(n) or scored(n), **more)

    monkeypatch.setattr(generations, "score_split", scoring)
    lesson, left = distill.learn, 1

    def learning(*run):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return lesson(*run)

    with monkeypatch.context() as patch:
        patch.setattr(distill, "learn", learning)
        with pytest.raises(KeyboardInterrupt):
            learn(ALONE)
    assert told == [0, 30, 0, 10]
    told.clear()
    learn(replace(ALONE, self_distillation=replace(ALONE.self_distillation, generations=2)))
    assert told == [30, 10, 0, 30, 0, 10]  # kept from the first, made for the second


# What cannot be


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (
            {"objectives": [GOLD], "self_distillation": {}},
            "self_distillation.objectives: expected one that reads a teacher, .* found gold",
        ),
        (
            {"objectives": [POSTERIOR], "self_distillation": {"objectives": [GOLD]}},
            "self_distillation.objectives: expected one that reads a teacher, .* found gold",
        ),
        (
            {"objectives": [POSTERIOR], "self_distillation": {"generations": 0}},
            "self_distillation.generations: expected greater than or equal to 1",
        ),
        (
            {
                "objectives": [GOLD],
                "self_distillation": {"k": 2, "objectives": [{"kind": "top_wk", "k": 3}]},
            },
            "self_distillation.objectives.0.k: expected at most self_distillation.k = 2, found 3",
        ),
        (
            {"objectives": [{"kind": "top_wk", "k": 3}], "self_distillation": {"k": 2}},
            "objectives.0.k: expected at most self_distillation.k = 2, found 3",
        ),
        (
            {
                "objectives": [GOLD],
                "self_distillation": {"objectives": [{"kind": "hidden"}]},
            },
            "self_distillation.objectives.0: expected what a student leaves .* reads vectors",
        ),
        (
            {
                "transfer": "all",
                "phases": [{"objectives": [GOLD], "mix": 2}],
                "self_distillation": {"objectives": [POSTERIOR]},
            },
            "phases: expected none with mix, for nobody labels text for the first generation",
        ),
        (
            {
                "transfer": "all",
                "phases": [{"text": "transfer", "objectives": [GOLD]}],
                "self_distillation": {"objectives": [POSTERIOR]},
            },
            "phases.0.text: expected labelled, for transfer text has no gold tags",
        ),
    ],
)
def test_what_cannot_be_is_named_by_its_key(tmp_path: Path, recipe: dict, expected: str):
    with pytest.raises(InputError, match=rf"recipes\.posterior\.{expected}"):
        read(tmp_path, recipe)


def test_transfer_text_may_wait_for_the_second_generation(tmp_path: Path):
    recipe = {
        "objectives": [GOLD],
        "transfer": "all",
        "mix": 3,
        "self_distillation": {"generations": 2, "passes": 8, "objectives": [GOLD, POSTERIOR]},
    }
    found = read(tmp_path, recipe).recipes["posterior"]
    assert [phase.mix for phase in found.course] == [None]
    assert [phase.mix for phase in found.reborn.course] == [3]
