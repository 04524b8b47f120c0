"""A recipe that asks for what it cannot have is told so by its own key, before any work."""

import pytest

from pipeline.asking import Questions, Saliency
from pipeline.config import parse
from pipeline.demands import refuse_demands
from pipeline.errors import InputError
from pipeline.recipes import Recipe

AGAIN = {"objectives": [{"kind": "gold"}, {"kind": "posterior"}]}
ALL = Questions(saliency=Saliency(), vectors=True)


def recipe(*kinds: str, **more) -> Recipe:
    student = {"kind": "bilstm", "words": 4, "characters": 4, "hidden": 4}
    objectives = [{"kind": kind} for kind in kinds]
    return parse(Recipe, {"student": student, "objectives": objectives, **more}, "r")


def refused(recipe: Recipe, score: Questions) -> list[str]:
    with pytest.raises(InputError) as caught:
        refuse_demands("params.yaml: recipes.r", recipe, score, ["both"])
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    "fine",
    [
        recipe("gold"),
        recipe("gold", "top_wk", "posterior", fusion={}),
        recipe("gold", "hidden", "posterior", saliency={}, fusion={"share": 0.1}),
        recipe("emission_mse", "hidden_mse", saliency={"share": 0.5}),
        recipe("gold", fusion={}, self_distillation=AGAIN),
    ],
)
def test_what_can_be_had_is_not_refused(fine: Recipe):
    refuse_demands("r", fine, ALL, ["both"])


def test_vectors_that_nobody_asked_for():
    lines = refused(recipe("gold", "hidden"), Questions())
    assert lines == [
        "params.yaml: recipes.r.objectives.1: hidden reads vectors; expected score.vectors: true, "
        "found none"
    ]


def test_saliency_that_nobody_asked_for():
    (line,) = refused(recipe("posterior", saliency={}), Questions(vectors=True))
    assert line.startswith("params.yaml: recipes.r.saliency: a weight by saliency reads saliency; ")
    assert "expected score.saliency, for instance {every: 4}, found none" in line


@pytest.mark.parametrize("kind", ["top_k", "top_wk", "fuzzy_tags", "structural"])
def test_words_of_a_path_cannot_be_weighed(kind: str):
    (line,) = refused(recipe("gold", "posterior", kind, saliency={}), ALL)
    assert line.startswith("params.yaml: recipes.r.saliency: expected null, or ")
    assert line.endswith(f"found {kind} (objectives.2)")


def test_weights_of_words_are_nothing_to_gold():
    (line,) = refused(recipe("gold", saliency={}), ALL)
    assert line.endswith("found gold alone")


@pytest.mark.parametrize(
    "more", [{"confidence": {"kind": "drop", "least": 0.5}}, {"teachers": ["en"]}]
)
def test_what_is_said_of_a_teacher_is_nothing_to_gold(more):
    (line,) = refused(recipe("gold", **more), ALL)
    (key,) = more
    assert line.startswith(f"params.yaml: recipes.r.{key}: expected none, for no objective reads")
    refuse_demands("r", recipe("gold", **more, self_distillation=AGAIN), ALL, ["both"])


def test_fusion_that_nobody_would_see():
    (line,) = refused(recipe("gold", "structural", fusion={}), ALL)
    assert line.startswith("params.yaml: recipes.r.fusion: expected null, or an objective that ")
    assert line.endswith("found gold, structural")


def test_all_that_is_wrong_is_said_at_once():
    lines = refused(recipe("gold", "hidden", "top_k", saliency={}, fusion={}), Questions())
    assert len(lines) == 4


def test_an_ensemble_has_neither_vectors_nor_saliency():
    asked = recipe("gold", "hidden", saliency={}, teachers=["en", "both"])
    lines = refused(asked, ALL)
    assert [line.split(":")[1] for line in lines] == [
        " recipes.r.objectives.1",
        " recipes.r.saliency",
    ]
    assert all("expected teachers, found both" in line for line in lines)
    refuse_demands("r", recipe("posterior", fusion={}, teachers=["both"]), ALL, ["both"])
