"""ensemble: what several teachers say of the same text, as one: emissions and targets; no GPU."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from pipeline.description import (
    Description,
    read_description,
    size_of,
    weights_of,
    write_description,
)
from pipeline.emissions import Emissions, joined, read_emissions_part, write_emissions
from pipeline.ensembles import Ensemble
from pipeline.errors import InputError
from pipeline.extraction import Extract, extract_part
from pipeline.parts import parts_of, read_tags
from pipeline.running.artifacts import made_by, writing
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import progress
from pipeline.tags import require_tags
from pipeline.transitions import Transitions, read_transitions


@dataclass(frozen=True)
class _Member:
    """A teacher: its folder, and that of its emissions."""

    folder: Path
    emissions: Path


def run(
    read: Callable[[], tuple[Ensemble, Extract]],
    teachers: Path,
    emissions: Path,
    lessons: Path,
    out: Path,
) -> None:
    """Write `out/{teacher,emissions,targets}` and `out/label.json`, as of one teacher.

    Of the corpora that all its members label. Raises InputError where there is none, or where
    members know different tags.
    """
    ensemble, _ = read()
    members = [
        _Member(
            made_by(f"train_teacher@{name}", teachers / name),
            made_by(f"score@{name}", emissions / name),
        )
        for name in ensemble.teachers
    ]
    manifests = [made_by("prepare", lessons / name / "label.json") for name in ensemble.teachers]
    labelled = _shared(manifests, out.name)
    produce(
        out,
        inputs=[*(place for each in members for place in vars(each).values()), *manifests],
        code=closure(Path("stages/ensemble.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _make(*read(), members, labelled, bench),
    )


def _shared(manifests: Sequence[Path], name: str) -> dict[str, Any]:
    """The corpora that are in all manifests."""
    first, *others = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
    shared = {
        corpus: splits for corpus, splits in first.items() if all(corpus in m for m in others)
    }
    if not shared:
        raise InputError(
            f"ensembles.{name}.teachers: expected teachers of one corpus at least, found none that "
            "all of them label; name them together in corpora.<corpus>.teachers"
        )
    return shared


def _make(
    ensemble: Ensemble,
    settings: Extract,
    members: Sequence[_Member],
    labelled: dict[str, Any],
    bench: Bench,
) -> None:
    work = bench.kept / "answers"
    between = [read_transitions(member.folder) for member in members]
    tags = _write_teacher(work / "teacher", ensemble, members, between)
    (work / "label.json").write_text(json.dumps(labelled, indent=2) + "\n", encoding="utf-8")
    own = read_transitions(work / "teacher")
    folders = [
        folder.relative_to(members[0].emissions)
        for corpus in labelled
        for folder in sorted((members[0].emissions / corpus).iterdir())
    ]
    for name in folders:
        for member in members:
            found = member.emissions / name
            require_tags(read_tags(found), found, tags, members[0].folder, "run `dvc repro score`")
    parts = [
        (name, part.name) for name in folders for part in parts_of(members[0].emissions / name)
    ]
    with progress(len(parts), f"{ensemble.kind} of {', '.join(ensemble.teachers)}", "parts") as on:
        for name, part in parts:
            written = work / "emissions" / name / part
            if not written.exists():
                rows = _together(ensemble, [m.emissions / name / part for m in members], between)
                with writing(written) as file:
                    write_emissions(file, rows, tags)
            extract_part(settings, own, tags, written, work / "targets" / name / part)
            on(1)
    shutil.move(work, bench.out)


def _write_teacher(
    folder: Path, ensemble: Ensemble, members: Sequence[_Member], between: Sequence[Transitions]
) -> tuple[str, ...]:
    """Description and scores between tags, as if it had been trained; returns the tags."""
    abouts = [read_description(member.folder) for member in members]
    for member, about in zip(members, abouts, strict=True):
        known = abouts[0].tags, members[0].folder
        require_tags(about.tags, member.folder, *known, "train the teachers again")
    head, scores = ensemble.transitions(between)
    encoder = {
        "kind": ensemble.kind,
        "teachers": list(ensemble.teachers),
        "parameters": sum(weights_of(member.folder) for member in members),
        "bytes": sum(size_of(member.folder) for member in members),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_description(folder, Description(encoder, head, abouts[0].tags, abouts[0].scheme))
    weights = {f"transitions.{name}": tensor.contiguous() for name, tensor in scores.items()}
    save_file(weights, folder / "weights.safetensors")
    return abouts[0].tags


def _together(
    ensemble: Ensemble, paths: Sequence[Path], between: Sequence[Transitions]
) -> Emissions:
    """The emissions of one part, of all members made one."""
    made = [
        Emissions(rows[0].sentence_ids, rows[0].offsets, ensemble.emissions(rows, between))
        for rows in _beside(paths)
    ]
    return joined(made)


def _beside(paths: Sequence[Path]) -> Iterator[Sequence[Emissions]]:
    """The row groups of the same part of each member."""
    for path in paths:
        made_by("score", path)
    groups = [[*read_emissions_part(path)] for path in paths]
    for path, found in zip(paths, groups, strict=True):
        same = len(found) == len(groups[0]) and all(
            np.array_equal(a.sentence_ids, b.sentence_ids) and np.array_equal(a.offsets, b.offsets)
            for a, b in zip(found, groups[0], strict=True)
        )
        if not same:
            raise InputError(
                f"{path}: expected the sentences of {paths[0]}, found others; run `dvc repro score`"
            )
    return zip(*groups, strict=True)
