"""An exported student as a folder that stands alone.

emissions.onnx      from the reader's arrays, by name, to `emissions` [batch, words, tags]
transitions.npy     [tags + 2, tags]: between [from, to], then start, then end; -inf forbids
model.json          tags, scheme, head, recipe and variant
reader.json, …      what the reader needs to turn words into arrays
README.md           the model card
SHA256SUMS          of every other file; `sha256sum --check` reads it
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from pipeline.tagger import Tagger

FORMAT = 1
"""Raised when a folder of before cannot be read any more."""


def write_student(
    folder: Path, student: Tagger, model: onnx.ModelProto, recipe: str, variant: str
) -> None:
    """Write what is needed to tag: `model` gives the student's emissions, exactly or nearly."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emissions.onnx").write_bytes(model.SerializeToString(deterministic=True))
    np.save(folder / "transitions.npy", transition_table(student), allow_pickle=False)
    about = {
        "format": FORMAT,
        "head": student.head,
        "recipe": recipe,
        "scheme": student.scheme,
        "tags": list(student.tags),
        "variant": variant,
    }
    text = json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")
    encoder: Any = student.encoder
    encoder.reader.save(folder)


@torch.no_grad()
def transition_table(student: Tagger) -> np.ndarray:
    """Transitions [from, to], then a row of start and one of end: [tags + 2, tags] float32."""
    between, start, end = student.transitions.scores()
    return torch.cat([between, start[None], end[None]]).cpu().numpy().astype(np.float32)
