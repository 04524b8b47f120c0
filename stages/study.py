"""study: all that the parameters name, several stages at a time, and a table of it into a page.

DVC runs one stage after the other. So of each long stage that is there many times over, those that
have to run are made ahead of DVC, several at a time; `dvc repro` then finds them done and files
them.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pipeline.device import found_threads
from pipeline.errors import InputError
from pipeline.reporting.study import pictures, section, spliced
from pipeline.running.artifacts import made_by, writing
from pipeline.running.bench import AHEAD
from pipeline.running.machine import machine
from pipeline.running.progress import log, progress

_LAST = "compare"
_LONG = ("train_teacher", "score", "distill")
"""Stages that take minutes: made ahead they start twice, which costs others as much as it saves."""


def run(experiment: Path, jobs: int | None, out: Path, seeds: Sequence[int]) -> None:
    """Run what leads to `compare`, then write the experiment's section of the page `out`.

    `jobs` stages run at a time, each on its share of the threads; None: as many as there are
    threads. Raises InputError where a stage fails: its log is named, and what is done stays done.
    """
    threads = found_threads()
    jobs = min(jobs or threads, threads)
    work = Path(".work/studies") / experiment.stem
    work.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        _clear_away()
        groups, metrics = _graph()
        for name in groups:
            if name in _LONG and len(pending := _pending(name)) > 1:
                _make_ahead(name, pending, jobs, threads // jobs, work)
            _reproduce(name, threads // jobs)
    finally:
        seconds = _add_up(work / "seconds.json", time.monotonic() - begun)
    _write(experiment, out, metrics, seconds, jobs, seeds)


def _write(
    experiment: Path, out: Path, metrics: Path, seconds: float, jobs: int, seeds: Sequence[int]
) -> None:
    """The section, and its pictures beside the page."""
    figures = json.loads(made_by(_LAST, metrics).read_text(encoding="utf-8"))
    drawn, folder = pictures(experiment.stem, figures), out.parent / out.stem
    text = section(
        experiment.stem,
        figures,
        command=f"limbeck study {experiment}",
        conditions=f"{machine()}; {jobs} at a time; {seconds / 60:.0f} minutes; seeds "
        f"{', '.join(map(str, seeds))}",
        pictures=[f"{folder.name}/{name}" for name in drawn],
    )
    before = out.read_text(encoding="utf-8") if out.exists() else ""
    for name, image in drawn.items():
        with writing(folder / name) as file:
            file.write_text(image, encoding="utf-8")
    with writing(out) as file:
        file.write_text(spliced(before, experiment.stem, text), encoding="utf-8")
    log(f"{out} now holds {experiment.stem}")


def _graph() -> tuple[list[str], Path]:
    """Stages up to the last, in the order of dvc.yaml, each once; where that has its metrics."""
    from dvc.repo import Repo  # takes a second, and only this command needs it

    with Repo() as repo:
        stages: Any = repo.index.stages
        names = [*dict.fromkeys(stage.name.partition("@")[0] for stage in stages)]
        [last] = [stage for stage in stages if stage.name == _LAST]
        metrics = next(out.def_path for out in last.outs if out.metric)
    return names[: names.index(_LAST) + 1], Path(metrics)


def _clear_away() -> None:
    """Take away what stages that are no more have left where the last one looks, if it is cached.

    Earlier parameters named them. The last one would refuse what it finds there, hours from now.
    """
    from dvc.repo import Repo
    from dvc.utils.serialize import load_yaml

    lock = Path("dvc.lock")
    with Repo() as repo:
        stages: Any = repo.index.stages
        names = {stage.name for stage in stages}
        read = {dep.def_path for stage in stages if stage.name == _LAST for dep in stage.deps}
        for name, entry in load_yaml(lock)["stages"].items() if lock.exists() else ():
            for out in () if name in names else entry["outs"]:
                path = Path(out["path"])
                above = read & {parent.as_posix() for parent in path.parents}
                if above and path.exists() and repo.cache.local.exists(out["md5"]):
                    _take_away(path, Path(above.pop()))


def _take_away(path: Path, above: Path) -> None:
    """A folder, and what holds nothing else below another."""
    log(f"{path}: taken away, since no stage makes it now; DVC's cache has it")
    shutil.rmtree(path)
    for parent in path.parents:
        if parent == above or any(parent.iterdir()):
            return
        parent.rmdir()


def _pending(group: str) -> Mapping[str, str]:
    """Names and commands of a group's stages that DVC would run: changed, and in no cache."""
    from dvc.repo import Repo
    from dvc.stage.cache import RunCacheNotFoundError
    from dvc_data.hashfile.hash_info import HashInfo

    found: dict[str, str] = {}
    with Repo() as repo, repo.lock:
        stages: Any = repo.index.stages
        for stage in stages:
            if stage.name.partition("@")[0] != group or not stage.changed():
                continue
            stage.save_deps()
            for out in stage.outs:  # else these count as made from what was just saved
                out.hash_info = HashInfo()
            try:
                repo.stage_cache.restore(stage, dry=True)
            except RunCacheNotFoundError:
                found[stage.name] = stage.cmd
    return found


def _make_ahead(
    group: str, commands: Mapping[str, str], jobs: int, threads: int, work: Path
) -> None:
    """Run the commands, so many at a time; InputError names the first that failed."""
    failed: list[str] = []
    with (
        progress(len(commands), f"{group}, {jobs} at a time", "stages") as advance,
        ThreadPoolExecutor(jobs) as pool,
    ):

        def make(name: str) -> None:
            if _run(commands[name], work / f"{name}.log", {AHEAD: "1", "DVC_STAGE": name}, threads):
                failed.append(name)
            advance(1)

        list(pool.map(make, commands))
    if failed:
        path = work / f"{failed[0]}.log"
        last = path.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
        raise InputError(
            f"{group}: expected {len(commands)} stages to succeed, found that {', '.join(failed)} "
            f"failed; {path} ends with: {last}"
        )


def _reproduce(group: str, threads: int) -> None:
    """`dvc repro` of one group: files what was made ahead, and runs the rest."""
    command = f"{sys.executable} -m dvc repro --quiet {group}"
    if status := _run(command, None, {}, threads):
        raise InputError(f"dvc repro {group}: expected it to succeed, found status {status}")


def _run(command: str, output: Path | None, more: Mapping[str, str], threads: int) -> int:
    """The exit status of a command; what it says goes to a file, or to whoever watches."""
    environment = {**os.environ, **more, "OMP_NUM_THREADS": str(threads)}
    with nullcontext() if output is None else output.open("w", encoding="utf-8") as file:
        return subprocess.run(
            command, shell=True, env=environment, check=False, stdout=file, stderr=file
        ).returncode


def _add_up(path: Path, seconds: float) -> float:
    """Seconds that this study has taken, over all runs that worked on it."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else 0.0
    with writing(path) as file:
        file.write_text(json.dumps(before + seconds), encoding="utf-8")
    return before + seconds
