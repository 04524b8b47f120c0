"""Writing: whole or not at all, whatever was there, whoever reads, however it ends."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.running.artifacts import made_by, writing

KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from pipeline.running.artifacts import writing
with writing(Path(sys.argv[1])) as partial:
    partial.write_text("half of")
    print("amid", flush=True)
    time.sleep(60)
"""


def make_file(path: Path, text: str) -> None:
    path.write_text(text)


def make_folder(path: Path, text: str) -> None:
    (path / "below").mkdir(parents=True)
    (path / "below" / "part").write_text(text)


def read(path: Path) -> str:
    return (path / "below" / "part" if path.is_dir() else path).read_text()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Bytes a file; beyond it, writing fails as it does on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("new", [make_file, make_folder])
@pytest.mark.parametrize("former", [None, make_file, make_folder])
def test_what_is_written_replaces_what_was_there(tmp_path, former, new):
    out = tmp_path / "models" / "out"
    if former:
        out.parent.mkdir()
        former(out, "former")
    with writing(out) as partial:
        assert partial.suffix == out.suffix
        new(partial, "new")
        if former:
            assert read(out) == "former"
    assert read(out) == "new"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("make", [make_file, make_folder])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, make):
    out = tmp_path / "out"
    make(out, "former")

    def fail() -> None:
        with writing(out) as partial:
            make(partial, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read(out) == "former"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.skipif(sys.platform != "linux", reason="swaps two names at once on Linux alone")
def test_a_reader_never_finds_less_than_a_whole_folder(tmp_path):
    out, stop, missed = tmp_path / "out", threading.Event(), []
    make_folder(out, "0")

    def look() -> None:
        while not stop.is_set():
            if not (out / "below" / "part").exists():
                missed.append(out)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        with writing(out) as partial:
            make_folder(partial, str(number))
    stop.set()
    reader.join()
    assert missed == []
    assert read(out) == "99"


def test_where_names_cannot_be_swapped_the_folder_is_replaced_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.running.artifacts.ctypes.CDLL", lambda name: object())
    make_folder(tmp_path / "out", "former")
    with writing(tmp_path / "out") as partial:
        make_folder(partial, "new")
    assert read(tmp_path / "out") == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_hard_linked_out_is_replaced_never_written_into(tmp_path):
    cached, out = tmp_path / "cached", tmp_path / "out"
    cached.write_text("former")
    cached.chmod(0o444)
    out.hardlink_to(cached)
    with writing(out) as partial:
        partial.write_text("new")
    assert cached.read_text() == "former"
    assert out.read_text() == "new"


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    out = tmp_path / "out"
    out.write_text("former")
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "amid\n"
        with writing(out) as partial:
            partial.write_text("in the meantime")
        assert len(list(tmp_path.iterdir())) == 2, "what is being written is no litter"
        writer.send_signal(signal.SIGKILL)
    assert out.read_text() == "in the meantime"
    with writing(out) as partial:
        partial.write_text("new")
    assert list(tmp_path.iterdir()) == [out]


def overfill(path: Path) -> None:
    path.write_bytes(bytes(1_000_000))


def overfill_hiding_the_cause(path: Path) -> None:
    """As torch does with an open file."""
    try:
        overfill(path)
    except OSError as error:
        raise RuntimeError("unexpected pos 704 vs 598") from error


def overfill_without_errno(path: Path) -> None:
    """As safetensors does, which is written in Rust."""
    with suppress(OSError):
        overfill(path)
    raise RuntimeError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("fill", [overfill, overfill_hiding_the_cause, overfill_without_errno])
def test_a_full_disk_names_the_path_and_leaves_nothing(tmp_path, fill):
    out = tmp_path / "out"
    out.write_text("former")
    message = r"out: the disk is full.*Free some space"
    with files_of_at_most(4096), pytest.raises(InputError, match=message), writing(out) as partial:
        fill(partial)
    assert out.read_text() == "former"
    assert list(tmp_path.iterdir()) == [out]


def test_a_really_full_disk_too(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs rights that are not given here")
    try:
        with pytest.raises(InputError, match="disk is full"), writing(small / "out") as partial:
            overfill(partial)
        assert os.listdir(small) == []  # noqa: PTH208
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_pipe_is_no_place_for_what_appears_whole(tmp_path):
    os.mkfifo(tmp_path / "out")
    said = "out: expected the name of a file or folder, found a device or a pipe"
    with pytest.raises(InputError, match=said), writing(tmp_path / "out"):
        pytest.fail("nothing may be written")
    assert (tmp_path / "out").is_fifo()
    assert [*tmp_path.iterdir()] == [tmp_path / "out"]


@pytest.mark.parametrize("name", ["null", "stdout", "new"])
def test_nothing_is_put_among_devices(name):
    said = f"/dev/{name}: expected the name of a file"
    with pytest.raises(InputError, match=said), writing(Path("/dev") / name):
        pytest.fail("nothing may be written")


def test_other_failures_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), writing(tmp_path / "out"):
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(("there", "found"), [(False, "nothing"), (True, "an empty folder")])
def test_a_missing_input_names_the_stage_to_run(tmp_path, there, found):
    path = tmp_path / "corpora"
    if there:
        path.mkdir()
    with pytest.raises(InputError, match=rf"corpora: .*found {found}; run `dvc repro prepare`"):
        made_by("prepare", path)


def test_an_input_that_is_there_is_handed_on(tmp_path):
    make_folder(tmp_path / "corpora", "text")
    assert made_by("prepare", tmp_path / "corpora") == tmp_path / "corpora"
