"""A recipe's phases, one fit after another; each is done once, and their curves become one."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.course import Course
from pipeline.curves import Row, joined
from pipeline.device import seed_of
from pipeline.examples import Examples
from pipeline.lattice import Lattice
from pipeline.losses.supervision import Gold, Targets, Trust
from pipeline.objectives import total
from pipeline.phases import Phase
from pipeline.running.artifacts import writing
from pipeline.running.progress import log
from pipeline.tagger import Tagger
from pipeline.training import Training, fit
from pipeline.unfreezing import Part, only, steps


@dataclass(frozen=True)
class _Stretch:
    """One fit: a phase, or a step of it in which so much is thawed, after `begun` of its epochs."""

    name: str
    phase: Phase
    whole: Training
    """How the phase is trained of which this is a part."""
    training: Training
    begun: int
    thawed: list[Part]


def learn(
    student: Tagger,
    examples: Examples,
    phases: Sequence[Phase],
    trust: Trust | None,
    validate: Callable[[Tagger], float],
    training: Training,
    kept: Path,
) -> list[Row]:
    """Train in place, phase after phase; returns the curve, whose steps and epochs go on.

    `trust` and `validate` are as in `total` and `fit`. What is in the folder `kept` lets a killed
    run go on in the phase where it was.
    """
    curve: list[Row] = []
    stretches = [*_stretches(student, phases, training)]
    for stretch in stretches:
        if len(stretches) > 1:
            parts = sum(map(len, stretch.thawed))
            log(f"{stretch.name}: {stretch.phase.text} text, {parts} tensors are trained")
        course = Course(examples, stretch.phase, stretch.whole.seed, stretch.begun)
        loss = partial(_loss, stretch, trust)
        task = partial(fit, student, course, loss, validate, stretch.training)
        with only(stretch.thawed, student):
            curve = joined(curve, _once(student, kept / stretch.name, task))
    return curve


def _stretches(student: Tagger, phases: Sequence[Phase], training: Training) -> Iterator[_Stretch]:
    for number, phase in enumerate(phases):
        whole, begun = phase.training(training, number), 0
        reads = [frozenset(objective.reads) for objective in phase.minimised]
        course = steps(phase.unfreeze, student, whole.epochs, reads)
        for step, (thawed, epochs) in enumerate(course):
            seed = seed_of(whole.seed, step) if step else whole.seed
            part = replace(whole, epochs=epochs, seed=seed)
            yield _Stretch(f"phase-{number}-{step}", phase, whole, part, begun, thawed)
            begun += epochs


def _loss(
    stretch: _Stretch,
    trust: Trust | None,
    student: Lattice,
    beside: tuple[Gold, Targets],
    progress: float,
) -> Float[Tensor, " batch"]:
    """One loss a sentence; weights move over the whole phase, not over each step of it."""
    epochs = stretch.whole.epochs
    share = stretch.training.epochs / epochs
    done = stretch.begun / epochs + share * progress
    return total(stretch.phase.minimised, done, student, *beside, epochs=epochs, trust=trust)


def _once(student: Tagger, folder: Path, task: Callable[[Path], list[Row]]) -> list[Row]:
    """The curve of what a task makes of a student, in a folder for its checkpoints.

    Both are kept in the folder's place, so that the task runs only once.
    """
    path = folder.with_suffix(".safetensors")
    if path.exists():
        student.load_state_dict(load_file(path))
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["curve"])
    folder.mkdir(parents=True, exist_ok=True)
    curve = task(folder)
    weights = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
    with writing(path) as partly:
        save_file(weights, partly, {"curve": json.dumps(curve)})
    shutil.rmtree(folder)
    return curve
