"""What a recipe asks for that cannot be is named by its key, before any work."""

from pathlib import Path
from typing import Any

import pytest
import small_project
from ruamel.yaml import YAML

from pipeline.errors import InputError
from stages.params import Params, read_params

GOLD, POSTERIOR = {"kind": "gold"}, {"kind": "posterior"}
TWO: dict[str, Any] = {
    "transfer": "all",
    "phases": [
        {"text": "transfer", "objectives": [POSTERIOR], "epochs": 4},
        {"text": "labelled", "objectives": [GOLD], "epochs": 3},
    ],
}


def read(folder: Path, recipe: dict[str, Any]) -> Params:
    """Parameters whose recipe `posterior` has these keys beside its student."""
    sections = small_project.params()
    student = sections["recipes"]["posterior"]["student"]
    sections["recipes"]["posterior"] = {"student": student, **recipe}
    small_project.write_params(folder, sections)
    return read_params(folder / "params.yaml")


def test_a_schedule_is_one_line(tmp_path: Path):
    line = (
        "phases: [{text: transfer, objectives: [{kind: posterior}], epochs: 4}, "
        "{text: labelled, objectives: [{kind: gold}], epochs: 3}]"
    )
    found = read(tmp_path, {"transfer": "all", **YAML(typ="safe").load(line)})
    recipe = found.recipes["posterior"]
    assert [phase.text for phase in recipe.course] == ["transfer", "labelled"]
    assert recipe.reads == {"marginals"}
    trained = [
        phase.training(recipe.training(found.distill, 1), number)
        for number, phase in enumerate(recipe.course)
    ]
    assert [each.epochs for each in trained] == [4, 3]
    assert len({each.seed for each in trained}) == 2


def phases(*changes: dict[str, Any], **recipe: Any) -> dict[str, Any]:
    both = [{**phase, **change} for phase, change in zip(TWO["phases"], changes, strict=True)]
    return {**TWO, "phases": both, **recipe}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, "objectives: expected one or more, here, found none"),
        ({"objectives": []}, "objectives: expected one or more, here, found none"),
        (
            {"phases": [{"objectives": [GOLD]}, {"epochs": 2}]},
            "objectives: expected one or more, here or in phases.1, found none",
        ),
        (
            phases({"objectives": []}, {}),
            r"phases.0.objectives: expected 1 or more, found \[\]",
        ),
        (
            phases({"objectives": [GOLD]}, {"objectives": [POSTERIOR]}),
            r"phases.0.text: expected labelled, for transfer text has no gold tags .*\(gold\)",
        ),
        (
            phases({}, {"text": "all"}),
            "phases.1.text: expected labelled, .* found all",
        ),
        (phases({}, {}, transfer=0), "phases.0.text: expected .*found transfer: 0"),
        (
            phases({"text": "labelled"}, {}),
            "transfer: expected 0, for no phase reads it, found 'all'",
        ),
        (phases({}, {}, mix=3), "mix: expected null, for no phase has text: all, found 3.0"),
        (phases({"mix": 3}, {}), "phases.0.mix: expected text: all, .*found text: transfer"),
        ({"objectives": [POSTERIOR], "mix": 2}, "mix: expected sentences .* found transfer: 0"),
        ({"objectives": [GOLD], "transfer": 4}, "transfer: expected 0, for no objective but gold"),
        (
            phases({"unfreeze": "gradual", "epochs": 1}, {}),
            "phases.0.epochs: expected 2 or more for unfreeze: gradual, found 1",
        ),
        (phases({}, {}, objectives=[GOLD]), "objectives: expected none, for each .* found gold"),
        (
            phases({"noise": []}, {"noise": []}, noise=[{"kind": "lower"}]),
            "noise: expected none, for each phase has its own, found lower",
        ),
        (phases({"unfreeze": "slow"}, {}), "phases.0.unfreeze: expected 'at_once' or 'gradual'"),
        (phases({"k": 2}, {}), "phases.0.k: unknown key"),
        (phases({"keep": "first"}, {}), "phases.0.keep: expected 'best' or 'last', found 'first'"),
        (phases({"text": "gold"}, {}), "phases.0.text: expected 'labelled', 'transfer' or 'all'"),
        (
            phases({"objectives": [{"kind": "top_k", "k": 9}]}, {}),
            "phases.0.objectives.0.k: expected at most extract.k = 3, found 9",
        ),
        ({"objectives": [POSTERIOR], "transfer": 5, "mix": 0}, "mix: expected greater than 0"),
    ],
)
def test_it_is_named_by_its_key(tmp_path: Path, recipe: dict[str, Any], expected: str):
    with pytest.raises(InputError, match=rf"recipes\.posterior\.{expected}"):
        read(tmp_path, recipe)
