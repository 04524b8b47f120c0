"""Long stages under real signals: killed, orphaned, doubled, disturbed; on a DVC project of one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import small_project

HERE = Path(__file__).parent
STEPS, STEPS_BETWEEN_CHECKPOINTS = 30, 5
DVC = [sys.executable, "-m", "dvc"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find processes")


@dataclass
class Project:
    """A DVC project whose one stage trains; what a test may do to it, and see of it.

    To hold another training to these tests, make one of these for it in `blank`.
    """

    folder: Path
    command: list[str]
    out: str
    an_input: str
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        run = subprocess.Popen(
            command or self.command,
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(run)
        return run

    def repro(self) -> str:
        run = self.start(*DVC, "repro")
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 0, output
        return output

    def use(self, command: str) -> None:
        stage = {"cmd": command, "deps": [self.an_input], "outs": [self.out]}
        (self.folder / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage}}))

    def trace(self) -> list[tuple[int, int]]:
        """(process, step) of every step that was executed, in order."""
        path = Path(self.environment["TRACE"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def wait_for_steps(self, count: int) -> int:
        """The process that trains, once so many steps were executed."""
        wait_until(lambda: len(self.trace()) >= count)
        return self.trace()[-1][0]

    def result(self) -> dict[str, bytes]:
        return contents(self.folder / self.out)

    def litter(self) -> list[Path]:
        return [path for path in self.folder.rglob("*.partial") if ".dvc" not in path.parts]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def running(process: int) -> bool:
    """Whether it still executes: neither gone nor a zombie that nobody has reaped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _heeding_ctrl_c():
    """Children of a run in the background (`pytest &`) would be born ignoring SIGINT."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Without anything of the user's own DVC, and without the marks of one that runs the tests."""
    place = tmp_path_factory.mktemp("dvc")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    folders = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    return kept | {
        **{name: str(place / name) for name in folders},
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(HERE.parent),
        "SHELL": "/bin/sh",
    }


@pytest.fixture(scope="module")
def blank(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blank")
    quiet = {"capture_output": True, "check": True, "cwd": folder, "env": dict(environment)}
    subprocess.run([*DVC, "init", "--no-scm", "--quiet"], **quiet)
    (folder / ".dvc" / "config").write_text(
        "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"
        "[cache]\n    type = hardlink,copy\n"
    )
    (folder / ".dvcignore").write_text("/.work/\n/.locks/\n.*.partial/\n")
    (folder / "text.txt").write_text("all that is learnt")
    params = {"steps": STEPS, "steps_between_checkpoints": STEPS_BETWEEN_CHECKPOINTS}
    (folder / "params.json").write_text(json.dumps(params))
    shutil.copy(HERE / "training_to_kill.py", folder)
    return folder


@pytest.fixture
def project(blank: Path, environment: Mapping[str, str], tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    shutil.copytree(blank, folder)
    command = [sys.executable, "training_to_kill.py", "0.05"]
    traced = dict(environment) | {"TRACE": str(tmp_path / "trace")}
    project = Project(folder, command, "model", "text.txt", traced)
    project.use(" ".join(command))
    yield project
    for run in project.started:
        run.kill()
        run.communicate()
    wait_until(lambda: not any(running(process) for process, _ in project.trace()))


@pytest.fixture(scope="module")
def uninterrupted(
    blank: Path, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    shutil.copytree(blank, folder, dirs_exist_ok=True)
    traced = dict(environment) | {"TRACE": str(folder / "trace")}
    command = [sys.executable, "training_to_kill.py", "0"]
    subprocess.run(command, cwd=folder, env=traced, check=True, capture_output=True)
    return contents(folder / "model")


def test_a_killed_training_resumes_under_dvc_and_ends_the_same(project, uninterrupted):
    run = project.start(*DVC, "repro")
    killed = project.wait_for_steps(12)
    os.kill(killed, signal.SIGKILL)
    assert run.wait(timeout=30) != 0
    assert not (project.folder / "model").exists()

    assert "resumes" in project.repro()
    done = [step for process, step in project.trace() if process == killed]
    again = [step for process, step in project.trace() if process != killed]
    checkpoint = (done[-1]) // STEPS_BETWEEN_CHECKPOINTS * STEPS_BETWEEN_CHECKPOINTS
    assert again == list(range(checkpoint, STEPS))
    assert checkpoint >= 10
    assert project.result() == uninterrupted
    assert not list((project.folder / ".work" / "model").iterdir())
    assert "didn't change" in project.repro()


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
@pytest.mark.parametrize("command", ["{}", "true && {} && true"])
def test_the_training_dies_with_dvc(project, shell, command):
    if not Path(shell).exists():
        pytest.skip(f"no {shell} here")
    project.use(command.format(" ".join(project.command)))
    run = project.start(*DVC, "repro", SHELL=shell)
    training = project.wait_for_steps(1)
    assert running(training)
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not running(training), seconds=5)
    assert not (project.folder / "model").exists()


def test_after_dvc_was_killed_the_next_goes_on_from_the_checkpoint(project, uninterrupted):
    run = project.start(*DVC, "repro")
    training = project.wait_for_steps(2 * STEPS_BETWEEN_CHECKPOINTS + 1)
    run.kill()
    run.wait()
    assert "resumes" in project.repro()
    assert next(step for process, step in project.trace() if process != training) >= 5
    assert project.result() == uninterrupted


def test_a_training_that_lost_dvc_before_it_could_look_dies_too(project):
    """The shell starts it and is gone; only then does it begin."""
    started = "import os, subprocess, sys; subprocess.Popen(['sh', '-c', sys.argv[1]])"
    late = f"sleep 0.3; exec {' '.join(project.command)}"
    orphan = [sys.executable, "-c", f"import os; os.setsid(); {started}", late]
    run = project.start(*orphan, DVC_STAGE="train")
    run.communicate(timeout=30)  # until the orphan has closed its output
    assert project.trace() == []


def test_of_two_at_once_one_trains_and_the_other_adopts(project, uninterrupted):
    first = project.start()
    project.wait_for_steps(3)
    second = project.start()
    outputs = [run.communicate(timeout=30)[0] for run in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert "waiting" in outputs[1]
    assert "adopted" in outputs[1]
    assert [step for _, step in project.trace()] == list(range(STEPS))
    assert project.result() == uninterrupted


def test_dvc_adopts_what_a_hand_started_training_makes(project, uninterrupted):
    project.start()
    project.wait_for_steps(3)
    assert "adopted" in project.repro()
    assert [step for _, step in project.trace()] == list(range(STEPS))
    assert project.result() == uninterrupted
    assert "didn't change" in project.repro()


def test_a_second_working_copy_adopts_by_copying(project, blank, uninterrupted, tmp_path):
    """As in `dvc exp run --temp`: another directory, the same $DVC_ROOT."""
    root = str(project.folder)
    copy = Project(tmp_path / "copy", project.command, "model", "text.txt", project.environment)
    shutil.copytree(blank, copy.folder)
    first = project.start(DVC_ROOT=root)
    project.wait_for_steps(3)
    second = copy.start(DVC_ROOT=root)
    assert first.wait(timeout=30) == 0
    output, _ = second.communicate(timeout=30)
    assert second.returncode == 0, output
    assert [step for _, step in project.trace()] == list(range(STEPS))
    assert copy.result() == project.result() == uninterrupted
    assert not (copy.folder / ".work").exists()


def test_who_waits_for_a_killed_training_carries_it_on(project, uninterrupted):
    first = project.start()
    project.wait_for_steps(8)
    second = project.start()
    time.sleep(0.6)  # long enough to stand in line
    first.kill()
    output, _ = second.communicate(timeout=30)
    assert second.returncode == 0, output
    again = [step for process, step in project.trace() if process == second.pid]
    assert again[0] >= STEPS_BETWEEN_CHECKPOINTS
    assert project.result() == uninterrupted


def test_an_edited_input_is_not_published_until_the_edit_is_taken_back(project, uninterrupted):
    path = project.folder / project.an_input
    before = path.read_bytes()
    run = project.start()
    project.wait_for_steps(12)
    path.write_bytes(before + b" and more")
    output, _ = run.communicate(timeout=30)
    assert run.returncode == 2
    assert "text.txt" in output
    assert "Traceback" not in output
    assert not (project.folder / "model").exists()

    path.write_bytes(before)
    executed = len(project.trace())
    project.repro()
    assert len(project.trace()) - executed <= STEPS_BETWEEN_CHECKPOINTS
    assert project.result() == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_training_that_is_asked_to_stop_leaves_nothing_half_written(project, number):
    run = project.start()
    project.wait_for_steps(2 * STEPS_BETWEEN_CHECKPOINTS)
    wait_until(lambda: bool(project.litter()))  # amid the second checkpoint
    run.send_signal(number)
    assert run.wait(timeout=10) != 0
    assert not (project.folder / "model").exists()
    assert project.litter() == []
    (kept,) = project.folder.glob(".work/model/*/kept/*")
    assert json.loads(kept.read_text())[0] == STEPS_BETWEEN_CHECKPOINTS


def test_ctrl_c_in_a_terminal_ends_dvc_and_the_training(project):
    run = project.start("setsid", "--wait", *DVC, "repro")
    training = project.wait_for_steps(7)
    os.killpg(os.getpgid(training), signal.SIGINT)
    assert run.wait(timeout=30) != 0
    assert not running(training)
    assert project.litter() == []


def test_a_full_disk_says_so_and_spares_what_was_there(project):
    model = project.folder / "model"
    model.mkdir()
    (model / "weights.txt").write_text("former")
    room = project.folder / ".work"
    room.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", room]).returncode:
        pytest.skip("mounting a small file system needs rights that are not given here")
    try:
        run = project.start()
        output, _ = run.communicate(timeout=30)
    finally:
        subprocess.run(["umount", room], check=True)
    assert run.returncode == 2, output
    assert "disk is full" in output
    assert contents(model) == {"weights.txt": b"former"}
    assert project.litter() == []


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Project]:
    """A whole small project, its teacher made to train for some seconds."""
    environment = small_project.environment(tmp_path) | {"LIMBECK_CHECKPOINT_SECONDS": "0"}
    folder = small_project.make_project(tmp_path / "real", environment)
    sections = small_project.params()
    sections["teachers"]["en"]["training"] |= {"epochs": 15, "batch_words": 16}
    small_project.write_params(folder, sections)
    command = "limbeck train_teacher en --corpora data/corpora --lesson data/lessons/en/learn.json"
    out = "models/teachers/en"
    project = Project(folder, [*command.split(), "--out", out], out, "", environment)
    yield project
    for run in project.started:
        run.kill()
        run.communicate()


def trainer(folder: Path) -> int:
    """The process that trains in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"train_teacher" in words and (process / "cwd").readlink() == folder:
                return int(process.name)
    raise AssertionError(f"nothing trains in {folder}")


def test_a_killed_teacher_resumes_under_dvc_and_weighs_the_same(real):
    stage = [*DVC, "repro", "train_teacher@en"]
    run = real.start(*stage)
    checkpoints = ".work/models-teachers-en/*/kept/checkpoint.safetensors"
    wait_until(lambda: any(real.folder.glob(checkpoints)), seconds=60)
    os.kill(trainer(real.folder), signal.SIGKILL)
    assert run.wait(timeout=30) != 0
    assert not (real.folder / real.out).exists()

    again = real.start(*stage)
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert "going on from step" in output
    resumed = contents(real.folder / real.out)

    whole = real.start(*real.command[:-1], "whole/en", LIMBECK_CHECKPOINT_SECONDS="1000")
    output, _ = whole.communicate(timeout=60)
    assert whole.returncode == 0, output
    assert "going on" not in output
    assert contents(real.folder / "whole" / "en") == resumed
