"""export: the variant of a student that is to be used, where it loses no more than may be lost."""

import json
import shutil
from pathlib import Path

from pipeline.errors import InputError
from pipeline.running.artifacts import made_by, writing
from pipeline.running.progress import log
from pipeline.shipping.card import speed_section
from pipeline.shipping.checksums import seal, verify
from pipeline.shipping.verdicts import read_loss


def run(recipe: str, variant: Path, max_loss: float, speed: Path | None, out: Path) -> None:
    """Publish a folder that stage compress wrote at `out`; figures of `speed` go onto its card.

    Raises InputError where the variant loses more than `max_loss` points of F1 on dev, where a file
    is missing or damaged, and where nothing may be written at `out`.
    """
    made_by(f"compress@{recipe}-{variant.name}", variant)
    verify(variant)
    _refuse_loss(variant, max_loss)
    section = "" if speed is None else _speed(speed, f"{recipe}/{variant.name}")
    try:
        with writing(out) as partial:
            shutil.copytree(variant, partial)
            with (partial / "README.md").open("a", encoding="utf-8") as card:
                card.write(section)
            seal(partial)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(
            f"{out}: expected a place that may be written to, found {error}; name another with "
            "--out, or change its rights"
        ) from None
    log(f"{recipe}: {variant.name} is in {out}")


def _refuse_loss(variant: Path, max_loss: float) -> None:
    loss = read_loss(variant)
    if loss > max_loss:
        raise InputError(
            f"{variant}: expected a variant that loses at most {max_loss} points of F1 on dev "
            f"(export.max_loss), found a loss of {loss:.2f}; nothing was written; set "
            "export.variant to another, or export.max_loss to what you can bear"
        )


def _speed(speed: Path, name: str) -> str:
    """What `limbeck speed` found of one variant of one student, as a section of its card."""
    try:
        found = json.loads(speed.read_text(encoding="utf-8"))
        return speed_section(found["exported"][name], found["machine"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{speed}: expected the speed of {name}, found {error!r}; "
            "run `dvc repro speed` first, or leave out --speed"
        ) from None
