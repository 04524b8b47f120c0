"""What a variant of a student is worth beside the student itself: scores, loss, bytes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.metrics import Counts, f1, f_score, precision, recall

MUCH = 0.3
"""Points of F1: a variant that loses more on dev is said to lose much."""

_NAME = "scores.json"


@dataclass(frozen=True)
class Scores:
    """Strict F1 in percent of each corpus, on dev and on test, and on test of each label."""

    dev: Mapping[str, float]
    f1: Mapping[str, float]
    labels: Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Verdict:
    """One variant: what it scores, what the student in float32 scores, and its size in bytes."""

    scores: Scores
    float32: Scores
    size: int
    deflated: int
    """Bytes if each file were packed by deflate: zeros count for nothing there."""
    parameters: int

    @property
    def loss(self) -> float:
        """Points of F1 that the variant loses on dev, mean over corpora; below 0 it gains."""
        ours, theirs = self.scores.dev, self.float32.dev
        return sum(theirs[corpus] - ours[corpus] for corpus in theirs) / len(theirs)

    @property
    def loses_much(self) -> bool:
        """Whether that is worth a warning."""
        return self.loss > MUCH


def scores(dev: Mapping[str, Counts], test: Mapping[str, Counts]) -> Scores:
    """From counts of spans, by corpus."""
    return Scores(
        {corpus: f1(counts) for corpus, counts in dev.items()},
        {corpus: f1(counts) for corpus, counts in test.items()},
        {corpus: _by_label(counts) for corpus, counts in test.items()},
    )


def summary(verdict: Verdict) -> str:
    """A verdict in a line."""
    mean = sum(verdict.scores.dev.values()) / len(verdict.scores.dev)
    much = f", more than {MUCH}" if verdict.loses_much else ""
    return (
        f"{mean:.2f} F1 on dev, {verdict.loss:.2f} lost against float32{much}; "
        f"{verdict.size:,} bytes, {verdict.deflated:,} packed"
    )


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Write `scores.json`."""
    content = {
        **asdict(verdict.scores),
        "float32": {"dev": verdict.float32.dev, "f1": verdict.float32.f1},
        "loss": verdict.loss,
        "loses_much": verdict.loses_much,
        "bytes": verdict.size,
        "deflated": verdict.deflated,
        "parameters": verdict.parameters,
    }
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / _NAME).write_text(text + "\n", encoding="utf-8")


def read_loss(folder: Path) -> float:
    """The loss that `scores.json` of a variant says; InputError where it is missing or damaged."""
    path = folder / _NAME
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["loss"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the scores of a variant, found {error!r}; "
            "run the stage `compress` of this student again"
        ) from None


def _by_label(counts: Counts) -> dict[str, dict[str, float]]:
    kinds: dict[str, Any] = {"f1": f_score, "precision": precision, "recall": recall}
    found = {}
    for label in counts.labels:
        total = counts[label].sums().sum(axis=0)
        found[label] = {name: float(score(total)) for name, score in kinds.items()}
        found[label]["spans"] = int(total[2])
    return found
