"""dvc.yaml names as dependencies exactly the code that each stage imports."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.running.closure import closure

ROOT = Path(__file__).parents[1]
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
MODULES = {name: f"stages/{stage['cmd'].split()[1]}.py" for name, stage in STAGES.items()}
MOST_LINES = 3500
# An edit in what these import costs a teacher's pass over all text: they are kept small. Other
# stages are cheap to run again. Readers and taggers are the same for teachers and for students,
# which must read fast and project their vectors.
MOST_FOR_TEACHERS = 2600
TEACHERS = ["train_teacher", "score", "extract", "evaluate_teacher"]
# Every kind of tagger, in PyTorch and exported: some seconds' work each.
MOST_FOR_SPEED = 4200
# Every student, every objective, every way to learn from them, and all that is read of answers;
# and a pass and an extraction, for students that teach the next.
MOST_FOR_DISTILL = 5800


def code_of(stage: str) -> list[str]:
    found = closure(Path(MODULES[stage]), ROOT)
    return [path.relative_to(ROOT).as_posix() for path in found]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_imports(stage: str):
    named = [path for path in STAGES[stage]["deps"] if path.endswith(".py")]
    paste = "\n".join(f"      - {path}" for path in code_of(stage))
    assert named == code_of(stage), f"deps of {stage} in dvc.yaml should hold:\n{paste}"


def written(path: Path) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in path.read_text().splitlines())


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_pulls_in_too_much(stage: str):
    # Kernels stand by themselves, and which of them runs depends on the device.
    read = [path for path in code_of(stage) if not path.startswith("pipeline/kernels/")]
    lines = {path: written(ROOT / path) for path in read}
    most = MOST_FOR_TEACHERS if stage in TEACHERS else MOST_LINES
    most = {"distill": MOST_FOR_DISTILL, "speed": MOST_FOR_SPEED, "compress": MOST_FOR_SPEED}.get(
        stage, most
    )
    assert sum(lines.values()) <= most, sorted(lines.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("stage", TEACHERS)
def test_teachers_do_not_see_students(stage: str):
    hidden = {"pipeline/students.py", "pipeline/objectives.py", "pipeline/recipes.py"}
    assert not hidden & {*code_of(stage)}


def test_a_pass_of_a_teacher_does_not_see_what_sums_over_paths():
    assert not {"pipeline/lattice.py", "pipeline/decoding.py"} & {*code_of("score")}


def modules() -> list[Path]:
    return sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "stages").rglob("*.py")])


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_imports_point_down(path: Path):
    names = imported(path)
    inside = path.parent.name == "pipeline"
    above = {name for name in names if name.split(".")[0] == "stages"}
    if inside:
        assert not above
    elif path.name not in ("cli.py", "commands.py"):
        assert not above - {"stages.params"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_every_module_says_what_it_is(path: Path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= 300
    if path.name == "__init__.py":
        assert len(tree.body) == 1
