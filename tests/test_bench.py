"""Producing: what belongs to a fingerprint, what is kept for how long, what stops publication."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.running.artifacts import try_lock, writing
from pipeline.running.bench import AHEAD, Bench, produce


class Interrupted(Exception):
    pass


class Stage:
    """A stage in the working directory: two inputs, one code file, parameters to change at will."""

    def __init__(self) -> None:
        self.params: dict[str, object] = {"rate": 0.1}
        self.out = Path("models/en")
        Path("data").mkdir()
        Path("data/a").write_text("a")
        Path("data/b").write_text("b")
        Path("stage.py").write_text("code")

    def produce(self, body: Callable[[Bench], None]) -> None:
        produce(
            self.out,
            inputs=[Path("data")],
            code=[Path("stage.py")],
            params=lambda: dict(self.params),
            body=body,
        )

    def interrupt(self) -> set[str]:
        """Runs up to a checkpoint; the fingerprints whose work is kept after that."""
        with pytest.raises(Interrupted):
            self.produce(keep_and_stop)
        return {folder.name for folder in self.kept()}

    def kept(self) -> list[Path]:
        return list(Path(".work/models-en").iterdir())


def keep_and_stop(bench: Bench) -> None:
    with writing(bench.kept / "checkpoint") as partial:
        partial.write_text("kept")
    bench.out.write_text("not to be seen")
    raise Interrupted


def finish(bench: Bench) -> None:
    assert not bench.out.exists()
    bench.out.write_text("done")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.chdir(tmp_path)
    return Stage()


def test_a_result_is_published_and_the_bench_cleared(stage):
    stage.produce(finish)
    assert stage.out.read_text() == "done"
    assert stage.kept() == []


def test_what_was_kept_is_there_again(stage):
    stage.interrupt()
    assert not stage.out.exists()
    found = []
    stage.produce(lambda bench: (found.append(os.listdir(bench.kept)), finish(bench)))  # noqa: PTH208
    assert found == [["checkpoint"]]
    assert stage.out.read_text() == "done"


EDITS = {
    "input": lambda stage: Path("data/b").write_text("B"),
    "input gone": lambda stage: Path("data/b").unlink(),
    "input more": lambda stage: Path("data/c").write_text(""),
    "input renamed": lambda stage: Path("data/b").rename("data/c"),
    "code": lambda stage: Path("stage.py").write_text("CODE"),
    "params": lambda stage: stage.params.update(rate=0.2),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_each_edit_is_other_work(stage, edit):
    before = stage.interrupt()
    edit(stage)
    assert len(stage.interrupt() - before) == 1


def test_the_same_content_is_the_same_work(stage):
    before = stage.interrupt()
    Path("data/b").unlink()
    Path("data/b").write_text("b")
    assert stage.interrupt() == before


def test_another_out_is_other_work(stage):
    before = stage.interrupt()
    stage.out = Path("models/sv")
    with pytest.raises(Interrupted):
        stage.produce(keep_and_stop)
    (other,) = Path(".work/models-sv").iterdir()
    assert other.name not in before


def test_a_copy_of_the_project_shares_the_work_through_dvc_root(stage, tmp_path, monkeypatch):
    before = stage.interrupt()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    Stage().produce(lambda bench: finish(bench) if (bench.kept / "checkpoint").exists() else None)
    assert Path("models/en").read_text() == "done"
    assert not Path(".work").exists()
    assert not (tmp_path / ".work/models-en" / before.pop()).exists()


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_nothing_is_published_when_anything_changed_meanwhile(stage, edit, settled, monkeypatch):
    if settled:  # as if the inputs were a minute old: then an equal stat stands for equal content
        clock = time.time_ns
        monkeypatch.setattr("pipeline.running.snapshots.time.time_ns", lambda: clock() + 60 * 10**9)
        time.sleep(0.02)  # past the tick of the file system's clock
    stage.out.parent.mkdir()
    stage.out.write_text("former")
    with pytest.raises(InputError, match="models/en: not published"):
        stage.produce(lambda bench: (finish(bench), edit(stage)))
    assert stage.out.read_text() == "former"
    assert len(stage.kept()) == 1


def test_what_changed_is_named(stage):
    with pytest.raises(InputError, match=r"data/b, data/c, the parameters\. "):
        stage.produce(
            lambda bench: [EDITS[name](stage) for name in ("input", "input more", "params")]
        )


def test_rewriting_the_same_is_no_change(stage):
    stage.produce(lambda bench: (finish(bench), Path("data/b").write_text("b")))
    assert stage.out.read_text() == "done"


def test_a_missing_input_is_named_before_any_work(stage):
    Path("data").rename("elsewhere")
    with pytest.raises(InputError, match=r"data: expected an input .* found nothing"):
        stage.produce(finish)
    assert not Path(".work").exists()


def test_only_the_newest_interrupted_runs_are_kept(stage):
    first = stage.interrupt()
    for number in range(5):
        stage.params["rate"] = number
        newest = stage.interrupt()
    assert len(newest) == 4  # three, and the one at work
    assert not first & newest


def test_a_run_at_work_is_never_forgotten(stage):
    (held,) = stage.interrupt()
    with (Path(".locks") / held).open("a") as lock:
        assert try_lock(lock)
        for number in range(5):
            stage.params["rate"] = number
            stage.interrupt()
    assert held in {folder.name for folder in stage.kept()}


def test_a_folder_of_files_still_being_written_is_no_input(stage):
    with writing(Path("data/other")) as partial:
        partial.write_text("")
        before = stage.interrupt()
    Path("data/other").unlink()
    assert stage.interrupt() == before


def test_two_file_systems(stage, tmp_path, monkeypatch):
    """Where `.work` lies on another one than the project, the result is copied."""

    def refuse(*names: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    def body(bench: Bench) -> None:
        bench.out.mkdir()
        (bench.out / "part").write_text("done")
        monkeypatch.setattr("shutil.os.rename", refuse)

    stage.produce(body)
    assert (stage.out / "part").read_text() == "done"


# Ahead of DVC


def test_what_is_made_ahead_is_published_by_the_next_run(stage, monkeypatch):
    bodies: list[str] = []

    def body(bench: Bench) -> None:
        bodies.append("ran")
        bench.out.write_text("result")

    monkeypatch.setenv(AHEAD, "1")
    stage.produce(body)
    stage.produce(body)
    assert not stage.out.exists()
    monkeypatch.delenv(AHEAD)
    stage.produce(body)
    assert stage.out.read_text() == "result"
    assert bodies == ["ran"]
    assert not [*Path(".work").rglob("done")]


def test_what_was_made_ahead_of_an_edit_is_not_published(stage, monkeypatch):
    monkeypatch.setenv(AHEAD, "1")
    stage.produce(lambda bench: bench.out.write_text("old") and None)
    monkeypatch.delenv(AHEAD)
    Path("data/a").write_text("edited")
    stage.produce(lambda bench: bench.out.write_text("new") and None)
    assert stage.out.read_text() == "new"
