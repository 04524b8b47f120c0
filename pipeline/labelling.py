"""Who labels which corpus for a student, and where what they say lies: teachers and ensembles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError


@dataclass(frozen=True)
class Labeller:
    """Folders of what a teacher or an ensemble says, and the stages that write two of them."""

    emissions: Path
    targets: Path
    teacher: Path
    scored_by: str
    trained_by: str


@dataclass(frozen=True)
class Answers:
    """Folders of what all teachers say: emissions, targets, and the teachers themselves.

    All three of an ensemble lie in a folder of its name below `ensembles`.
    """

    emissions: Path
    targets: Path
    teachers: Path
    ensembles: Path

    def of(self, name: str) -> Labeller:
        """The folders of one teacher or ensemble."""
        own = self.ensembles / name
        if own.is_dir():
            stage = f"ensemble@{name}"
            return Labeller(own / "emissions", own / "targets", own / "teacher", stage, stage)
        emissions, targets, teacher = (
            folder / name for folder in (self.emissions, self.targets, self.teachers)
        )
        return Labeller(emissions, targets, teacher, f"score@{name}", f"train_teacher@{name}")


def labellers(
    lessons: Path, ensembles: Path, chosen: Sequence[str], where: str
) -> Mapping[str, str | None]:
    """Who labels each corpus, None where nobody does: the first of `chosen` that labels it.

    Where none is chosen, the first of its teachers. `lessons` holds `teachers.json`; `where` is the
    key for messages. Raises InputError where one of `chosen` labels no corpus.
    """
    named = json.loads((lessons / "teachers.json").read_text(encoding="utf-8"))
    if not chosen:
        return {corpus: teachers[0] if teachers else None for corpus, teachers in named.items()}
    found: dict[str, str | None] = dict.fromkeys(named)
    for name in chosen:
        own = _of_ensemble(ensembles / name) or [c for c in named if name in named[c]]
        if not own:
            raise InputError(
                f"{where}: expected teachers that label a corpus, found {name}, which labels none; "
                f"if it is an ensemble, run `dvc repro ensemble@{name}`"
            )
        for corpus in own:
            found[corpus] = found[corpus] or name
    return found


def _of_ensemble(folder: Path) -> list[str]:
    """The corpora that an ensemble labels; none where there is no such ensemble."""
    path = folder / "label.json"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []
