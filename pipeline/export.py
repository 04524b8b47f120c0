"""An exported student: a folder that stands alone, written, weighed and sealed with checksums.

emissions.onnx      from the reader's arrays, by name, to `emissions` [batch, words, tags]
transitions.npy     [tags + 2, tags]: between [from, to], then start, then end; -inf forbids
model.json          tags, scheme, head, recipe and variant
reader.json, …      what the reader needs to turn words into arrays
README.md           the model card
SHA256SUMS          of every other file; `sha256sum --check` reads it
"""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from pipeline.errors import InputError
from pipeline.tagger import Tagger

FORMAT = 1
"""Raised when a folder of before cannot be read any more."""

_SUMS = "SHA256SUMS"
_NOT_NEEDED = {_SUMS, "README.md", "scores.json", "huggingface"}


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


def weigh(folder: Path) -> tuple[int, int]:
    """Bytes of the files that tagging needs: as they are, and each packed by deflate."""
    files = [path for path in _files(folder) if path.parts[0] not in _NOT_NEEDED]
    contents = [(folder / path).read_bytes() for path in files]
    return sum(map(len, contents)), sum(len(zlib.compress(content, 9)) for content in contents)


def seal(folder: Path) -> None:
    """Write the checksums of all files that are there."""
    lines = [f"{_digest(folder / path)}  {path.as_posix()}\n" for path in _files(folder)]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")


def verify(folder: Path) -> None:
    """Raises InputError unless the folder holds the files that its checksums name, unchanged."""
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(
            f"{folder / _SUMS}: expected the checksums of an exported student, found {error!r}; "
            "run the stage that writes this folder again"
        ) from None
    named = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    found = {path.as_posix(): _digest(folder / path) for path in _files(folder)}
    if differing := sorted(path for path, _ in named.items() ^ found.items()):
        raise InputError(
            f"{folder}: expected the files that {_SUMS} names, found others: "
            f"{', '.join(dict.fromkeys(differing))}; run the stage that writes this folder again"
        )


def _files(folder: Path) -> list[Path]:
    """All files below but the checksums, in order, relative to the folder."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != Path(_SUMS))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
