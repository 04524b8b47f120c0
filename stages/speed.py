"""speed: every teacher, and one student of each recipe, on one thread of this machine's CPU."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.corpus import read_split
from pipeline.encoders import load_teacher
from pipeline.examination import size_of
from pipeline.running.artifacts import made_by, writing
from pipeline.running.progress import log
from pipeline.speed import measure
from pipeline.students import load_student
from pipeline.tagger import Tagger

SENTENCES = 100
"""Test sentences that are timed, evenly spaced over all corpora."""


def run(
    recipes: Sequence[str],
    seed: int,
    teacher_names: Sequence[str],
    corpora: Path,
    teachers: Path,
    students: Path,
    out: Path,
) -> None:
    """Write figures of each tagger; `speedup` is over the first teacher."""
    sentences = _spread(made_by("prepare", corpora))
    torch.set_num_threads(1)
    figures = {
        "machine": f"{platform.machine()}, 1 thread, torch {torch.__version__}",
        "sentences": len(sentences),
        "teachers": {
            name: _figures(load_teacher(teachers / name), teachers / name, sentences)
            for name in teacher_names
        },
        "recipes": {
            name: _figures(
                load_student(students / name / str(seed)), students / name / str(seed), sentences
            )
            for name in recipes
        },
    }
    baseline = figures["teachers"][teacher_names[0]]["sentences_per_second"]
    for tagger in (*figures["teachers"].values(), *figures["recipes"].values()):
        tagger["speedup"] = round(tagger["sentences_per_second"] / baseline, 2)
    with writing(out) as path:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _figures(tagger: Tagger, folder: Path, sentences: list[list[str]]) -> dict[str, object]:
    log(f"timing {folder}")
    return {
        **measure(tagger.tag, sentences).figures(),
        "parameters": tagger.weights,
        "bytes": size_of(folder),
    }


def _spread(corpora: Path) -> list[list[str]]:
    texts = [
        words for path in sorted(corpora.glob("*/test.parquet")) for words in read_split(path).words
    ]
    step = max(1, len(texts) // SENTENCES)
    return texts[::step][:SENTENCES]
