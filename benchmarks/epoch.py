"""Where an epoch of the student goes, part by part, and what it took at an older commit.

    python benchmarks/epoch.py [--against COMMIT] [--repeats 7] [--transfer] [--objectives KINDS]

Prepares the embedded corpora, trains small teachers and extracts their targets with the commands
of `limbeck`, all in a temporary folder. Then one process for each version of the code trains the
student of `params.yaml` on one thread, an epoch in turn: every version and objective once, then
all of them again. Printed are medians of the repetitions, in milliseconds.
"""

import argparse
import inspect
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
OBJECTIVES = ("top_wk", "posterior")
PARTS = (
    "order", "examples", "inputs", "encoder", "lattice", "objective", "backward", "optimiser",
    "validation", "rest",
)  # fmt: skip
FOLDERS = {
    name: Path("models" if name == "teachers" else "data") / name
    for name in ("corpora", "lessons", "targets", "emissions", "ensembles", "teachers")
}
FOLDERS["ensembles"] = Path("data/ensembles")
FOLDERS["trained"] = FOLDERS["teachers"]  # as some older versions call it
TEACHER = {
    "encoder": {"kind": "bilstm", "words": 64, "characters": 32, "hidden": 96, "dropout": 0.3},
    "head": "crf",
    "training": {
        "epochs": 4, "batch_words": 256, "learning_rate": 4e-3, "transition_learning_rate": 1e-2,
    },
}  # fmt: skip

Epoch = dict[str, float]
"""Seconds of each part of an epoch; `loss`, nats a sentence; `sentences`, how many; `products`,
seconds that the products of the LSTM's matrices would take at the rate of one large product."""


def main() -> None:
    """Measure and print; with `--worker`, train on command for another process."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--against", help="a commit to measure in turn with this code")
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--transfer", action="store_true", help="learn from unlabelled text too")
    options.add_argument(
        "--objectives", nargs="+", default=OBJECTIVES, metavar="KIND",
        help="kinds of objectives, each of which is learnt from beside gold",
    )  # fmt: skip
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        _work()
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        versions = {"now": ROOT}
        if chosen.against:
            versions = {chosen.against: _checkout(chosen.against, place / "older"), **versions}
        workers = {}
        for name, code in versions.items():
            _make_targets(place / name, code, chosen)
            workers[name] = Worker(place / name, code)
        runs = _measure(workers, ["gold", *chosen.objectives], chosen.repeats)
    for text in (_parts(runs), _ratios(runs)):
        print(text, end="\n\n")


def _checkout(commit: str, folder: Path) -> Path:
    """The files of a commit, in a folder of their own."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x"], cwd=folder, check=True, input=archive.stdout)
    return folder


def _make_targets(folder: Path, code: Path, chosen: argparse.Namespace) -> None:
    """Corpora, teachers, emissions and targets in `folder`, made by the code of one version."""
    (folder / "data").mkdir(parents=True)
    (folder / "data/embedded").symlink_to(ROOT / "data/embedded")
    _write_params(folder / "params.yaml", code / "params.yaml", chosen)
    _limbeck(folder, code, "prepare --out data/corpora --lessons data/lessons")
    for name in ("en", "sv"):
        lesson, model = f"data/lessons/{name}", f"models/teachers/{name}"
        corpora = "--corpora data/corpora"
        for command in (
            f"train_teacher {name} {corpora} --lesson {lesson}/learn.json --out {model}",
            f"score --teacher {model} {corpora} --lesson {lesson}/label.json "
            f"--out data/emissions/{name}",
            f"extract --teacher {model} --emissions data/emissions/{name} "
            f"--out data/targets/{name}",
        ):
            _limbeck(folder, code, command)


def _write_params(path: Path, own: Path, chosen: argparse.Namespace) -> None:
    """The parameters of a version, with quick teachers and a recipe for each objective."""
    yaml = YAML(typ="safe")
    params = yaml.load(own)
    params["teachers"] = dict.fromkeys(("en", "sv"), TEACHER)
    params["distill"] |= {"epochs": chosen.repeats + 1, "decay": "constant"}
    if any(kind.startswith("hidden") for kind in chosen.objectives):
        params["score"]["vectors"] = True
    params["recipes"] = {
        name: {
            "student": {"kind": "bilstm", "hidden": 96},
            "objectives": [{"kind": kind} for kind in dict.fromkeys(("gold", name))],
            "transfer": "all" if chosen.transfer and name != "gold" else 0,
        }
        for name in ("gold", *chosen.objectives)
    }
    params["grid"]["recipes"] = list(params["recipes"])
    if "export" in params:  # older versions had none
        params["export"]["recipes"] = ["gold"]
    yaml.dump(params, path)


def _limbeck(folder: Path, code: Path, command: str) -> None:
    arguments = [sys.executable, "-m", "stages.cli", *command.split()]
    done = subprocess.run(arguments, cwd=folder, env=_environment(code), capture_output=True)
    if done.returncode:
        sys.exit(f"limbeck {command}: {done.stderr.decode()}")


def _environment(code: Path) -> dict[str, str]:
    alone = {"OMP_NUM_THREADS": "1", "LIMBECK_CHECKPOINT_SECONDS": "1e9"}
    return os.environ | alone | {"PYTHONPATH": str(code)}


class Worker:
    """A process that trains with the code of one version."""

    def __init__(self, folder: Path, code: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).resolve(), "--worker"],
            cwd=folder,
            env=_environment(code),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def epoch(self, recipe: str) -> Epoch:
        """One more epoch of a recipe."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(recipe, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate()


def _measure(
    workers: dict[str, Worker], recipes: Sequence[str], repeats: int
) -> dict[tuple[str, str], list[Epoch]]:
    """Epochs by version and objective; the first of each only warms up."""
    runs: dict[tuple[str, str], list[Epoch]] = defaultdict(list)
    for _ in range(repeats + 1):
        for recipe in recipes:
            for name, worker in workers.items():
                runs[name, recipe].append(worker.epoch(recipe))
    for worker in workers.values():
        worker.end()
    return runs


def _parts(runs: dict[tuple[str, str], list[Epoch]]) -> str:
    """A table: a part a row, a version and objective a column."""
    heads = [f"{recipe} {name}" for name, recipe in runs]
    lines = [f"{'milliseconds an epoch':24}" + "".join(f"{head:>19}" for head in heads)]
    for part in (*PARTS, "epoch", "without validation"):
        cells = [1000 * median(_seconds(epoch, part) for epoch in runs[key][1:]) for key in runs]
        lines.append(f"{part:24}" + "".join(f"{cell:19.1f}" for cell in cells))
    speeds = [median(e["sentences"] / _seconds(e, "epoch") for e in runs[key][1:]) for key in runs]
    floor = "".join(f"{1000 * runs[key][0].get('products', 0.0):19.1f}" for key in runs)
    lines.append(f"{'floor of the LSTM':24}{floor}")
    lines.append(f"{'sentences a second':24}" + "".join(f"{speed:19.0f}" for speed in speeds))
    for place, title in ((0, "loss of the first epoch"), (-1, "loss of the last epoch")):
        cells = "".join(f"{runs[key][place]['loss']:19.5f}" for key in runs)
        lines.append(f"{title:24}{cells}")
    return "\n".join(lines)


def _ratios(runs: dict[tuple[str, str], list[Epoch]]) -> str:
    """What distillation costs over gold alone, and how much faster this code is."""
    lines = []
    versions = list(dict.fromkeys(name for name, _ in runs))
    recipes = list(dict.fromkeys(recipe for _, recipe in runs))
    for name in versions:
        for recipe in recipes:
            ratio = _ratio(runs[name, recipe], runs[name, "gold"])
            lines.append(f"{name}: an epoch of {recipe} takes {ratio:.2f} of one of gold")
    for recipe in recipes if len(versions) > 1 else ():
        ratio = _ratio(runs[versions[0], recipe], runs["now", recipe])
        lines.append(f"{recipe}: {ratio:.2f} times faster than {versions[0]}")
    return "\n".join(lines)


def _ratio(above: list[Epoch], below: list[Epoch]) -> float:
    """Median over repetitions of the ratio of two epochs that ran one after the other."""
    pairs = zip(above[1:], below[1:], strict=True)
    return median(_seconds(a, "epoch") / _seconds(b, "epoch") for a, b in pairs)


def _seconds(epoch: Epoch, part: str) -> float:
    if part == "epoch":
        return sum(epoch[part] for part in PARTS)
    if part == "without validation":
        return sum(epoch[part] for part in PARTS if part != "validation")
    return epoch[part]


class Clock:
    """Seconds spent in named parts; a part within another does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[str] = ["rest"]
        self._since = time.process_time()

    def _switch(self) -> None:
        now = time.process_time()
        part = "validation" if "validation" in self._inside else self._inside[-1]
        self.seconds[part] += now - self._since
        self._since = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which is counted."""

        @wraps(function)
        def counted(*arguments: Any, **options: Any) -> Any:
            self._switch()
            self._inside.append(part)
            try:
                return function(*arguments, **options)
            finally:
                self._switch()
                self._inside.pop()

        return counted

    def read(self) -> dict[str, float]:
        """Seconds by part since the last reading."""
        self._switch()
        seconds, self.seconds = self.seconds, defaultdict(float)
        return seconds


class Student:
    """A student that trains in a thread of its own, one epoch at each call."""

    def __init__(self, clock: Clock, fit: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._clock, self._epochs, self._go = clock, queue.Queue(), threading.Semaphore(0)
        tagger, self._source, loss, validate, training, kept = arguments
        self._loss = self._count = 0.0
        weights = sum(p.numel() for p in tagger.encoder.lstm.parameters() if p.dim() == 2)
        # Each weight meets each word forward, and twice backward: for the word and for itself.
        self._products = 3 * 2 * weights * sum(self._source.lengths) / _rate()
        tagger.forward = clock.timed("lattice", tagger.forward)
        tagger.encoder.forward = clock.timed("encoder", tagger.encoder.forward)
        tagger.encoder.inputs = clock.timed("inputs", tagger.encoder.inputs)
        self._source.batch = clock.timed("examples", self._source.batch)
        timed = clock.timed("objective", loss)
        validating = clock.timed("validation", validate)

        def summed(*arguments: Any) -> Any:
            losses = timed(*arguments)
            self._loss, self._count = self._loss + losses.detach().sum(), self._count + len(losses)
            return losses

        def pausing(tagger: Any) -> float:
            score = validating(tagger)
            self._epochs.put(None)
            self._go.acquire()
            clock.read()
            return score

        kept.mkdir(parents=True, exist_ok=True)
        run = (tagger, self._source, summed, pausing, training, kept)
        self._thread = threading.Thread(target=self._train, args=(fit, run), daemon=True)

    def epoch(self) -> Epoch:
        """Train until the next validation is over."""
        self._clock.read()
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._epochs.get()
        seconds = self._clock.read()
        loss, self._loss, self._count = float(self._loss / self._count), 0.0, 0.0
        about = {"loss": loss, "sentences": len(self._source.lengths), "products": self._products}
        return {part: seconds.get(part, 0.0) for part in PARTS} | about

    def _train(self, fit: Callable[..., Any], run: tuple[Any, ...]) -> None:
        fit(*run)
        self._epochs.put(None)


def _rate() -> float:
    """Operations a second of a large product of matrices in float32, on one thread."""
    import torch

    size, seconds = 1024, []
    one = torch.rand(size, size)
    for _ in range(8):
        begun = time.process_time()
        torch.mm(one, one)
        seconds.append(time.process_time() - begun)
    return 2 * size**3 / min(seconds)


def _work() -> None:
    """Train the recipe that each line of standard input names for an epoch; say what it took."""
    import torch

    from pipeline import training
    from stages import distill
    from stages.params import read_params

    try:
        from pipeline import schedule as trains
    except ImportError:  # older versions, without phases
        trains = distill
    clock, fit = Clock(), training.fit
    torch.set_num_threads(1)
    students: dict[str, Student] = {}
    params = read_params(Path("params.yaml"))
    for name, recipe in params.recipes.items():
        caught: list[tuple[Any, ...]] = []
        trains.fit = lambda *run, caught=caught: caught.append(run) or []
        read = (recipe, recipe.training(params.distill, 1))
        names = [*inspect.signature(distill.run).parameters][1:-1]  # older versions had fewer
        folders = {name: FOLDERS[name] for name in names}
        distill.run(lambda read=read: read, out=Path(f"models/students/{name}/1"), **folders)
        students[name] = Student(clock, fit, caught[0])
    torch.Tensor.backward = clock.timed("backward", torch.Tensor.backward)
    training.shuffled = clock.timed("order", training.shuffled)
    training._Run._step = clock.timed("optimiser", training._Run._step)
    for line in sys.stdin:
        print(json.dumps(students[line.strip()].epoch()), flush=True)


if __name__ == "__main__":
    main()
