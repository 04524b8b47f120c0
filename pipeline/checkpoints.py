"""Checkpoints of a training run as one safetensors file: weights, best weights, Adam's moments."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.running.artifacts import writing

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The weights now, those of the best epoch so far, and where the run stands, as JSON."""

    now: Weights
    best: Weights
    progress: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer) -> None:
    """Replace the checkpoint at `path`, in one step."""
    parts = {"now": checkpoint.now, "best": checkpoint.best, "adam": _moments(optimiser)}
    tensors = {f"{part}.{name}": row[name] for part, row in parts.items() for name in row}
    with writing(path) as file:
        save_file(tensors, file, {"progress": json.dumps(checkpoint.progress)})


def load(path: Path, optimiser: torch.optim.Optimizer) -> Checkpoint:
    """Read the checkpoint at `path`, and put the optimiser into the state that it had."""
    tensors = load_file(path)
    now, best, moments = (
        {k.removeprefix(part): v for k, v in tensors.items() if k.startswith(part)}
        for part in ("now.", "best.", "adam.")
    )
    _restore(optimiser, moments)
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return Checkpoint(now, best, json.loads(header["__metadata__"]["progress"]))


def _moments(optimiser: torch.optim.Optimizer) -> Weights:
    """The optimiser's state under flat names: `3.exp_avg`."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{name}": tensor for i, row in state.items() for name, tensor in row.items()}


def _restore(optimiser: torch.optim.Optimizer, moments: Weights) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        index, moment = name.split(".", 1)
        state.setdefault(int(index), {})[moment] = tensor
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
