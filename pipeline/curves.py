"""Learning curves: a row an epoch, joined where training has several parts, stored as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Row: TypeAlias = dict[str, int | float]
"""One epoch: step, epoch, loss (nats a sentence), dev_f1 (percent)."""


def write_curve(path: Path, curve: Sequence[Row]) -> None:
    """Write rows as CSV: step, epoch, loss, dev_f1."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["step", "epoch", "loss", "dev_f1"], lineterminator="\n")
        table.writeheader()
        table.writerows(curve)


def joined(curve: Sequence[Row], more: Sequence[Row]) -> list[Row]:
    """One curve of two: steps and epochs of the second go on where those of the first end."""
    last = curve[-1] if curve else {"step": 0, "epoch": 0}
    moved = {key: last[key] for key in ("step", "epoch")}
    return [*curve, *({**row, **{key: row[key] + moved[key] for key in moved}} for row in more)]
