"""distill: one recipe and one seed, from corpora and targets to a student."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.corpus import Split, read_split, split_path
from pipeline.device import found_device
from pipeline.errors import InputError
from pipeline.examples import Examples, write_examples
from pipeline.lattice import Lattice
from pipeline.lessons import development_f1
from pipeline.objectives import Gold, Targets, total
from pipeline.parts import read_tags
from pipeline.recipes import Recipe
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log
from pipeline.students import new_student, save_student
from pipeline.tags import require_tags
from pipeline.targets import TargetRows, read_targets
from pipeline.training import Training, fit, write_curve


def run(
    read: Callable[[], tuple[Recipe, Training]],
    corpora: Path,
    lessons: Path,
    targets: Path,
    trained: Path,
    out: Path,
) -> None:
    """Train the student of one recipe on all corpora and publish it at `out`.

    `read` gives the recipe and how to train; `lessons` says which teacher labels which corpus;
    `trained` holds the teachers, of which a student may begin with a part.
    Raises InputError where an input lacks or there is nothing to learn from.
    """
    recipe, _ = read()
    teachers = _teachers(made_by("prepare", corpora), made_by("prepare", lessons))
    taught = {
        path: folder
        for corpus, teacher in teachers.items()
        for kind in ("train", "transfer")
        for folder in [targets / teacher / corpus / kind if recipe.taught and teacher else None]
        # Text that neither annotators nor a teacher labelled has nothing to teach.
        if kind == "train" or (recipe.limit and folder)
        if (path := split_path(corpora, corpus, kind)).exists()
    }
    dev = [path for corpus in teachers if (path := split_path(corpora, corpus, "dev")).exists()]
    if not taught or not dev:
        raise InputError(
            f"{corpora}: expected corpora with train and dev splits for recipe {out.parent.name}, "
            f"found {', '.join(teachers) or 'none'}"
        )
    if recipe.limit and not any(path.stem == "transfer" for path in taught):
        raise InputError(
            f"recipes.{out.parent.name}.transfer: expected unlabelled text that a teacher labels, "
            "found none; name it in corpora.<corpus>.transfer, with a teacher, or take `transfer` "
            "and `epochs` out of the recipe"
        )
    labels = [made_by("extract", folder) for folder in taught.values() if folder is not None]
    if (lender := recipe.student.teacher) is not None:
        labels.append(made_by(f"train_teacher@{lender}", trained / lender))
    produce(
        out,
        inputs=[*taught, *dev, *labels],
        code=closure(Path("stages/distill.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _distill(*read(), taught, dev, trained, bench),
    )


def _teachers(corpora: Path, lessons: Path) -> dict[str, str | None]:
    """The teacher of each corpus, None where nobody labels it."""
    teachers: dict[str, str | None] = {
        folder.name: None for folder in sorted(corpora.iterdir()) if folder.is_dir()
    }
    for lesson in sorted(lessons.glob("*/label.json")):
        for corpus in json.loads(lesson.read_text(encoding="utf-8")):
            teachers[corpus] = lesson.parent.name
    return teachers


def _distill(
    recipe: Recipe,
    training: Training,
    taught: Mapping[Path, Path | None],
    dev: list[Path],
    trained: Path,
    bench: Bench,
) -> None:
    torch.manual_seed(training.seed)
    file = bench.kept / "examples.arrow"
    # One split at a time, and none is held while the student learns from the file.
    write_examples(file, (_lesson(*item) for item in taught.items()), recipe.limit)
    tag_set, scheme = (first := read_split(next(iter(taught)))).tag_set, first.scheme
    del first
    examples = Examples(file, len(tag_set))
    log(f"{len(examples)} sentences, {sum(examples.lengths)} words")
    student = new_student(recipe.student, examples.words(), tag_set, scheme, recipe.head, trained)
    curve = fit(
        student.to(found_device()),
        examples,
        partial(_loss, recipe),
        development_f1([read_split(path) for path in dev]),
        training,
        bench.kept,
    )
    save_student(student.cpu(), recipe.student, bench.out)
    write_curve(bench.out / "curve.csv", curve)


def _lesson(path: Path, folder: Path | None) -> tuple[Split, Iterator[TargetRows] | None]:
    """A split, and the targets of its sentences where a teacher labelled them."""
    split = read_split(path)
    if folder is None:
        return split, None
    require_tags(read_tags(folder), folder, split.tag_set, path, "run `dvc repro extract`")
    return split, read_targets(folder)


def _loss(
    recipe: Recipe, student: Lattice, beside: tuple[Gold, Targets], progress: float
) -> Float[Tensor, " batch"]:
    return total(recipe.objectives, progress, student, *beside)
