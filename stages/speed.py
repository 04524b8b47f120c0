"""speed: teachers, a student of each recipe, exported students and a yardstick, on this CPU."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.corpus import read_split
from pipeline.errors import InputError
from pipeline.reporting.frontier import page, points
from pipeline.running.artifacts import made_by, writing
from pipeline.running.machine import machine
from pipeline.running.progress import log
from pipeline.timing import timed
from pipeline.timing.clocked import Clocked
from pipeline.timing.speed import BATCH, Measured, Speed, figures, measure


@dataclass(frozen=True)
class Lineup:
    """Who is timed: teachers, and of each recipe the student with the first seed."""

    teachers: Sequence[str]
    recipes: Sequence[str]
    seeds: Sequence[int]


@dataclass(frozen=True)
class Entry:
    """One tagger: where its figures stand, how it is loaded, and what is known without a clock."""

    group: str
    name: str
    kind: str
    folder: Path
    known: Mapping[str, Any]


def run(
    settings: Speed,
    lineup: Lineup,
    corpora: Path,
    teachers: Path,
    students: Path,
    evaluations: Path,
    exported: Path | None,
    out: Path,
    report: Path,
    frontier: Path,
) -> None:
    """Write the figures of each tagger, a page that draws them, and a table of what it draws."""
    entries = [
        *_teachers(lineup, teachers, evaluations),
        *_students(lineup, students, evaluations),
        *(_exported(exported) if exported else ()),
        *_references(settings, lineup, teachers),
    ]
    sentences = _sentences(made_by("prepare", corpora))
    log(f"timing {len(entries)} taggers, in turn, on {len(sentences)} test sentences")
    with ExitStack() as stack:
        names = [f"{entry.group}/{entry.name}" for entry in entries]
        command = (sys.executable, "-m", timed.__name__)
        processes = {name: stack.enter_context(Clocked(name, *command)) for name in names}
        weights = _load(processes, entries)
        measured = measure(processes, sentences, settings)
    over = settings.over or lineup.teachers[0]
    found = {
        "machine": machine(),
        "waited": measured.waited,
        "sentences": settings.sentences,
        "batch": BATCH,
        "over": over,
        **_figures(entries, measured, weights, over),
    }
    with writing(out) as path, writing(report) as html, writing(frontier) as table:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        html.write_text(page(found), encoding="utf-8")
        table.write_text(points(found), encoding="utf-8")


def _teachers(lineup: Lineup, folder: Path, evaluations: Path) -> Iterator[Entry]:
    for name in lineup.teachers:
        place = made_by(f"train_teacher@{name}", folder / name)
        known = _examined([evaluations / "teachers" / name])
        yield Entry("teachers", name, "teacher", place, known)


def _students(lineup: Lineup, folder: Path, evaluations: Path) -> Iterator[Entry]:
    for name in lineup.recipes:
        seed = lineup.seeds[0]
        place = made_by(f"distill@{name}-{seed}", folder / name / str(seed))
        known = _examined([evaluations / "students" / name / str(seed) for seed in lineup.seeds])
        yield Entry("recipes", name, "student", place, known)


def _exported(folder: Path) -> Iterator[Entry]:
    """Exported students, whatever variants of them: their own scores say how good they are."""
    for place in sorted(path.parent for path in folder.rglob("model.json")):
        known = _read(place / "scores.json", "export")
        f1 = _mean({corpus: [f1] for corpus, f1 in known["f1"].items()})
        about = {"bytes": known["bytes"], "parameters": known["parameters"], **f1}
        yield Entry("exported", place.relative_to(folder).as_posix(), "exported", place, about)


def _references(settings: Speed, lineup: Lineup, folder: Path) -> Iterator[Entry]:
    """The yardstick reads with the tokenizer of the first teacher that has one, if any has."""
    if settings.reference is None:
        return
    for name in lineup.teachers:
        if (folder / name / "encoder" / "tokenizer.json").is_file():
            yield Entry("references", settings.reference, settings.reference, folder / name, {})
            return
    log(f"speed.reference: no teacher has a tokenizer, so {settings.reference} is not timed")


def _load(processes: Mapping[str, Clocked], entries: Sequence[Entry]) -> dict[str, int | None]:
    """All at once; how many weights each has."""
    for process, entry in zip(processes.values(), entries, strict=True):
        process.load({"kind": entry.kind, "folder": str(entry.folder.absolute())})
    return {name: process.parameters() for name, process in processes.items()}


def _figures(
    entries: Sequence[Entry], measured: Measured, weights: Mapping[str, int | None], over: str
) -> dict[str, dict[str, Any]]:
    timings, teacher = measured.timings, measured.timings[f"teachers/{over}"]
    references = [times for name, times in timings.items() if name.startswith("references/")]
    found: dict[str, dict[str, Any]] = {}
    for entry, (name, times) in zip(entries, timings.items(), strict=True):
        found.setdefault(entry.group, {})[entry.name] = {
            **figures(times, teacher, *references),
            "parameters": weights[name],
            # Of a reference nothing lies on disk: its weights would, in float32.
            "bytes": 4 * (weights[name] or 0),
            "peak_memory_bytes": measured.memory[name],
            **entry.known,
        }
    yardsticks = [found["teachers"][over], *found.get("references", {}).values()]
    for tagger in (tagger for group in found.values() for tagger in group.values()):
        for key, other in zip(
            ("compression", "compression_over_reference"), yardsticks, strict=False
        ):
            tagger[key] = round(other["bytes"] / tagger["bytes"], 2)
    return found


def _examined(folders: Sequence[Path]) -> dict[str, Any]:
    """What evaluations say of one tagger, or of one with each seed: size of the first, mean F1."""
    told = [_read(folder / "evaluation.json", "evaluate") for folder in folders]
    corpora = {name: [each["corpora"][name]["f1"] for each in told] for name in told[0]["corpora"]}
    return {"parameters": told[0]["parameters"], "bytes": told[0]["bytes"], **_mean(corpora)}


def _mean(corpora: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Strict F1 on test in percent: mean over corpora, and by corpus the mean over seeds."""
    means = {corpus: fmean(scores) for corpus, scores in corpora.items()}
    told = {corpus: {"f1": round(f1, 2)} for corpus, f1 in means.items()}
    return {"f1": round(fmean(means.values()), 2), "corpora": told}


def _read(path: Path, stage: str) -> Any:
    try:
        return json.loads(made_by(stage, path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path}: expected JSON, found other text ({error}); run `dvc repro {stage}`"
        ) from None


def _sentences(corpora: Path) -> list[list[str]]:
    tests = sorted(corpora.glob("*/test.parquet"))
    return [words for path in tests for words in read_split(path).words]
