"""A recipe's phases, one fit after another; each is done once, and their curves become one."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.course import Course
from pipeline.curves import Row, joined
from pipeline.examples import Examples
from pipeline.lattice import Lattice
from pipeline.losses.supervision import Gold, Targets, Trust
from pipeline.objectives import total
from pipeline.phases import Phase
from pipeline.running.artifacts import writing
from pipeline.running.progress import log
from pipeline.tagger import Tagger
from pipeline.training import Training, fit


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
    for number, phase in enumerate(phases):
        if len(phases) > 1:
            log(f"phase {number + 1} of {len(phases)}: {phase.text} text")
        own = phase.training(training, number)
        folder = kept / f"phase-{number}"
        folder.mkdir(exist_ok=True)
        loss = partial(_loss, phase, trust, own.epochs)
        course = Course(examples, phase, own.seed)
        task = partial(fit, student, course, loss, validate, own, folder)
        curve = joined(curve, _once(student, folder / "done.safetensors", task))
    return curve


def _loss(
    phase: Phase,
    trust: Trust | None,
    epochs: int,
    student: Lattice,
    beside: tuple[Gold, Targets],
    progress: float,
) -> Float[Tensor, " batch"]:
    return total(phase.minimised, progress, student, *beside, epochs=epochs, trust=trust)


def _once(student: Tagger, path: Path, task: Callable[[], list[Row]]) -> list[Row]:
    """The curve of what a task makes of a student; both are kept, so that it runs only once."""
    if path.exists():
        student.load_state_dict(load_file(path))
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["curve"])
    curve = task()
    weights = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
    with writing(path) as partly:
        save_file(weights, partly, {"curve": json.dumps(curve)})
    return curve
