"""What reruns when: DVC's own status of the real graph, after one edit each, on a small project."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import small_project
from ruamel.yaml import YAML
from small_project import DVC, params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what DVC calls

BOTH = ("en", "sv")
TEACHERS, SCORES, EXTRACTS, TESTED = (
    {f"{stage}@{name}" for name in BOTH}
    for stage in ("train_teacher", "score", "extract", "evaluate_teacher")
)
DISTILLS, EVALUATES = (
    {f"{stage}@{recipe}-1" for recipe in ("gold", "posterior")} for stage in ("distill", "evaluate")
)
COMPRESSES = {f"compress@posterior-{variant}" for variant in ("float32", "int8")}
EXPORTS = {"export@posterior"}
LAST = {"compare", "speed"} | EXPORTS
STUDENTS = DISTILLS | EVALUATES | COMPRESSES | LAST
ALL = {"prepare"} | TEACHERS | SCORES | EXTRACTS | TESTED | STUDENTS


@dataclass
class Project:
    """A project that `dvc repro` has finished, and what may be asked of it."""

    folder: Path
    environment: Mapping[str, str]

    def dvc(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.run(*DVC, *command)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def repro(self, *stages: str) -> str:
        run = self.dvc("repro", *stages)
        assert run.returncode == 0, run.stdout
        return run.stdout

    def changed(self) -> set[str]:
        """The stages that DVC's status calls changed, by what each reads itself."""
        with self._repository() as repository:
            return set(repository.status())

    def rerun(self) -> set[str]:
        """Those, and all that DVC's graph puts after them: the most that `dvc repro` would run."""
        with self._repository() as repository:
            changed, graph = set(repository.status()), repository.index.graph
        found = {stage for stage in graph if stage.name in changed}
        waiting = [*found]
        while waiting:
            after = set(graph.predecessors(waiting.pop())) - found
            found |= after
            waiting += after
        return {stage.name for stage in found}

    def _repository(self) -> Any:
        from dvc.repo import Repo

        return Repo(self.folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    place = tmp_path_factory.mktemp("dvc")
    environment = small_project.environment(place)
    folder = place / "project"
    project = Project(small_project.make_project(folder, environment), environment)
    output = project.repro()
    assert {line.split("'")[1] for line in output.splitlines() if "Running stage" in line} == ALL
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            if name.startswith("DVC_"):
                patch.setenv(name, value)
        patch.chdir(folder)  # DVC names stages as seen from here
        yield project


@pytest.fixture(autouse=True)
def undone(project: Project) -> Iterator[None]:
    """Whatever a test edits is as it was afterwards."""
    quiet = {"cwd": project.folder, "env": dict(project.environment), "check": True}
    yield
    subprocess.run(["git", "checkout", "--quiet", "--", "."], **quiet)


def parameters(project: Project, edit: Callable[[dict[str, Any]], None]) -> None:
    sections = params()
    edit(sections)
    small_project.write_params(project.folder, sections)


def hidden(sections: dict[str, Any]) -> None:
    sections["recipes"]["gold"]["student"]["hidden"] = 9


def weight(sections: dict[str, Any]) -> None:
    sections["recipes"]["posterior"]["objectives"][1]["weight"]["start"] = 0.5


def temperature(sections: dict[str, Any]) -> None:
    sections["recipes"]["posterior"]["objectives"][1]["temperature"] = 2


def k(sections: dict[str, Any]) -> None:
    sections["extract"]["k"] = 2


def teacher(sections: dict[str, Any]) -> None:
    sections["teachers"]["en"]["training"]["epochs"] = 2


def samples(sections: dict[str, Any]) -> None:
    sections["evaluate"]["samples"] = 200


def seed(sections: dict[str, Any]) -> None:
    sections["grid"]["seeds"] = [1, 2]


SECOND = {f"{stage}@{r}-2" for stage in ("distill", "evaluate") for r in ("gold", "posterior")}
OF_GOLD, OF_POSTERIOR = (
    {f"distill@{recipe}-1", f"evaluate@{recipe}-1"} | LAST for recipe in ("gold", "posterior")
)
OF_EN = {f"{stage}@en" for stage in ("train_teacher", "score", "extract", "evaluate_teacher")}


@pytest.mark.parametrize(
    ("edit", "changed", "rerun"),
    [
        (k, EXTRACTS | {"compare"}, EXTRACTS | STUDENTS),
        (hidden, {"distill@gold-1", "compare"}, OF_GOLD),
        (weight, {"distill@posterior-1", "compare"} | COMPRESSES, OF_POSTERIOR | COMPRESSES),
        (temperature, {"distill@posterior-1", "compare"} | COMPRESSES, OF_POSTERIOR | COMPRESSES),
        (teacher, {"train_teacher@en"} | COMPRESSES, OF_EN | STUDENTS),
        (samples, {"compare"}, {"compare"}),
        (seed, SECOND | LAST - EXPORTS, SECOND | LAST),
    ],
)
def test_a_parameter_reruns_what_reads_it_and_what_follows(project, edit, changed, rerun):
    parameters(project, edit)
    assert project.changed() == changed
    assert project.rerun() == rerun


@pytest.mark.parametrize(
    ("file", "changed", "rerun"),
    [
        ("pipeline/students.py", STUDENTS - EXPORTS - {"compare"}, STUDENTS),
        ("pipeline/objectives.py", DISTILLS, STUDENTS),
        ("pipeline/reporting/report.py", {"compare"}, {"compare"}),
        # Students extract as well: each generation what the next one learns from.
        ("pipeline/extraction.py", EXTRACTS | TESTED | DISTILLS, EXTRACTS | TESTED | STUDENTS),
        (
            "pipeline/networks.py",
            ALL - {"prepare", "compare"} - EXTRACTS - TESTED - EXPORTS,
            ALL - {"prepare"},
        ),
        ("pipeline/running/bench.py", set(), set()),
        ("stages/cli.py", set(), set()),
    ],
)
def test_code_reruns_the_stages_that_import_it_and_what_follows(project, file, changed, rerun):
    path = project.folder / file
    path.write_text(path.read_text() + "\n# edited\n")
    assert project.changed() == changed
    assert project.rerun() == rerun


def test_a_comment_in_the_parameters_reruns_nothing(project):
    path = project.folder / "params.yaml"
    path.write_text("# what for\n" + path.read_text())
    assert project.changed() == set()


def test_nothing_to_do_runs_nothing(project, record_property):
    begun = time.monotonic()
    output = project.repro()
    record_property("seconds", round(time.monotonic() - begun, 2))
    assert "Running stage" not in output
    assert "up to date" in output


def test_a_change_and_its_reversal_recompute_nothing(project):
    before = (project.folder / "dvc.lock").read_text()
    parameters(project, k)
    assert "Running stage 'extract@en'" in project.repro("extract@en")
    parameters(project, lambda sections: None)
    output = project.repro()
    assert "Stage 'extract@en' is cached - skipping run" in output
    assert "Running stage" not in output
    assert (project.folder / "dvc.lock").read_text() == before


def test_a_corpus_that_changes_is_a_matter_of_its_own_teacher(project):
    raw = project.folder / "data" / "raw" / "sv" / "train.conll"
    before = raw.read_text()
    raw.write_text(before + "\nEve\tB-PER\nslept\tO\n")
    assert project.changed() == {"prepare"}
    assert project.rerun() == ALL
    project.repro("prepare")
    own = {"train_teacher@sv", "score@sv", "evaluate_teacher@sv"}
    assert project.changed() == own | STUDENTS - EXPORTS
    assert project.rerun() == own | {"extract@sv"} | STUDENTS

    raw.write_text(before)
    assert "Running stage" not in project.repro()
    assert project.changed() == set()


def test_what_a_removed_recipe_leaves_behind_is_refused_by_name(project):
    def gold_alone(sections: dict[str, Any]) -> None:
        sections["grid"]["recipes"] = sections["export"]["recipes"] = ["gold"]

    parameters(project, gold_alone)
    run = project.dvc("repro", "compare")
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    assert "data/evaluations/students/posterior" in run.stdout
    assert "rm -r" in run.stdout

    parameters(project, lambda sections: None)
    assert "Running stage" not in project.repro()
    assert (project.folder / "metrics" / "summary.json").exists()


def test_an_experiment_in_a_copy_runs_the_code_of_the_copy(project):
    """`dvc exp run --temp` takes along the edits of the working directory, not yet committed."""
    with (project.folder / "stages" / "extract.py").open("a") as code:
        code.write('\nprint("this code lies in", __file__)\n')
    run = project.dvc("exp", "run", "--temp", "--set-param", "extract.k=1", "extract@en")
    assert run.returncode == 0, run.stdout
    (said,) = (line for line in run.stdout.splitlines() if "this code lies in" in line)
    assert str(project.folder / ".dvc" / "tmp" / "exps") in said
    shown = project.dvc("exp", "show", "--json").stdout
    assert '"k": 1' in shown
    assert YAML(typ="safe").load(project.folder / "params.yaml")["extract"]["k"] == 3


def test_a_study_makes_what_is_left_and_writes_it_down(project):
    """One recipe less and one that is another: made ahead, and nothing left over in the way."""
    recipes = params()["recipes"]
    recipes["gold"]["student"]["hidden"] = 9
    experiment = {
        "recipes": {"gold": recipes["gold"]},
        "grid": {"teachers": ["en", "sv"], "recipes": ["gold"], "seeds": [1, 2]},
        "export": {"recipes": ["gold"], "variants": ["float32"], "variant": "float32"},
    }
    with (project.folder / "less.yaml").open("w") as file:
        YAML().dump(experiment, file)
    study = [sys.executable, "-m", "stages.cli", "study", "less.yaml", "--out", "page.md"]
    for times in (1, 2):
        run = project.run(*study)
        assert run.returncode == 0, run.stdout
        ahead = {path.stem for path in (project.folder / ".work/studies/less").glob("distill@*")}
        assert ahead == {"distill@gold-1", "distill@gold-2"}
        assert ("posterior/1: taken away" in run.stdout) == (times == 1)
        assert ("distill, 1 at a time" in run.stdout) == (times == 1)
    page = (project.folder / "page.md").read_text()
    assert page.count("| `gold` |") == 1
    assert (project.folder / "page" / "less.svg").exists()

    for students in ("models/students", "data/evaluations/students"):
        shutil.rmtree(project.folder / students / "gold" / "2")
    parameters(project, lambda sections: None)
    assert "Running stage" not in project.repro()
