"""distill: one recipe and one seed, from corpora and targets to a student."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import nn

from pipeline.assembly import write_examples
from pipeline.corpus import read_split, split_path
from pipeline.curves import Row, joined, write_curve
from pipeline.device import found_device, seed_of
from pipeline.emissions import answered
from pipeline.errors import InputError
from pipeline.examples import Examples
from pipeline.generations import SELF, SelfDistillation, labelled
from pipeline.labelling import Answers, labellers
from pipeline.lessons import development_f1
from pipeline.losses.supervision import Reading
from pipeline.parts import metadata_of, parts_of
from pipeline.recipes import Recipe, unanswered
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log
from pipeline.schedule import learn
from pipeline.students import new_student, save_student
from pipeline.tagger import Tagger
from pipeline.taught import Source, columns_of, taught_lessons, vector_widths
from pipeline.training import Training
from pipeline.transitions import read_transitions


def run(
    read: Callable[[], tuple[Recipe, Training]],
    corpora: Path,
    lessons: Path,
    emissions: Path,
    targets: Path,
    teachers: Path,
    ensembles: Path,
    out: Path,
) -> None:
    """Train the student of one recipe on all corpora and publish it at `out`.

    `read` gives the recipe and how to train; `lessons` says which teacher labels which corpus;
    `emissions` and `targets` hold what teachers say, `teachers` the teachers themselves,
    `ensembles` all three of each ensemble. Raises InputError where an input lacks or there is
    nothing to learn from.
    """
    recipe, _ = read()
    key = f"recipes.{out.parent.name}"
    made_by("prepare", corpora)
    teachers_of = labellers(
        made_by("prepare", lessons), ensembles, recipe.teachers, f"{key}.teachers"
    )
    sources = [
        Source(path, labelling)
        for corpus, teacher in teachers_of.items()
        for labelling in [teacher if recipe.taught else None]
        for kind in ("train", "transfer")
        # Text that neither annotators nor a teacher labelled has nothing to teach.
        if kind == "train" or (recipe.limit and labelling)
        if (path := split_path(corpora, corpus, kind)).exists()
    ]
    learnt = dict.fromkeys(source.path.parent.name for source in sources)
    dev = [path for corpus in learnt if (path := split_path(corpora, corpus, "dev")).exists()]
    if not sources or not dev:
        raise InputError(
            f"{corpora}: expected corpora with train and dev splits for recipe {out.parent.name}, "
            f"found {', '.join(teachers_of) or 'none'}"
        )
    own = _own_text(recipe, corpora, teachers_of)
    _refuse_untaught(key, recipe, sources, own)
    answers = Answers(emissions, targets, teachers, ensembles)
    labels = _read_of(key, recipe, sources, answers)
    if (lender := recipe.student.teacher) is not None:
        labels.append(made_by(f"train_teacher@{lender}", teachers / lender))
    produce(
        out,
        inputs=[
            *dict.fromkeys(each.path for each in (*sources, *own)),
            *dev,
            *dict.fromkeys(labels),
        ],
        code=closure(Path("stages/distill.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _distill(*read(), sources, own, dev, answers, bench),
    )


def _own_text(recipe: Recipe, corpora: Path, names: Iterable[str]) -> list[Source]:
    """What a student labels for the next generation: all that the recipe reads, whoever labels."""
    if recipe.self_distillation is None:
        return []
    return [
        Source(path, SELF)
        for corpus in names
        for kind in ("train", "transfer")
        if kind == "train" or recipe.limit
        if (path := split_path(corpora, corpus, kind)).exists()
    ]


def _refuse_untaught(
    where: str, recipe: Recipe, sources: Sequence[Source], own: Sequence[Source]
) -> None:
    learnt = (*sources, *own)
    if recipe.limit and not any(source.path.stem == "transfer" for source in learnt):
        raise InputError(
            f"{where}.transfer: expected unlabelled text that a teacher labels, "
            "found none; name it in corpora.<corpus>.transfer, with a teacher, or take `transfer` "
            "and `epochs` out of the recipe"
        )
    annotated = [source for source in sources if source.path.stem != "transfer"]
    for number, phase in enumerate(recipe.course):
        read = annotated if phase.text == "labelled" else sources
        if not phase.golden and not any(source.teacher for source in read):
            key = f"{where}.phases.{number}" if recipe.phases else where
            raise InputError(
                f"{key}.objectives: expected text that a teacher labels, for no objective reads "
                "gold tags, found none; name a teacher in corpora.<corpus>.teachers, or add "
                "{kind: gold}"
            )


def _read_of(where: str, recipe: Recipe, sources: Sequence[Source], answers: Answers) -> list[Path]:
    """What is read of the teachers; InputError names the reader that finds nothing."""
    taught = [source for source in sources if source.teacher]
    found = [
        path
        for key, name, reads in recipe.readers()
        for source in taught
        for path in _needed(f"{where}.{key}", name, reads, source, answers)
    ]
    for key, objective in recipe.placed():
        for source in taught:
            _refuse_k(f"{where}.{key}.k", getattr(objective, "k", None), source, answers)
    return found


def _needed(
    where: str, name: str, reads: Collection[Reading], source: Source, answers: Answers
) -> list[Path]:
    own = answers.of(str(source.teacher))
    emissions = source.below(own.emissions)
    try:
        found = [made_by("extract", source.below(own.targets))]
        if columns_of(reads):
            found.append(made_by(own.scored_by, emissions))
        if "emissions" in reads:
            found.append(made_by(own.trained_by, own.teacher))
    except InputError as error:
        raise InputError(f"{where}: {name} reads what lacks: {error}") from None
    for reading in columns_of(reads):
        if reading not in (known := answered(emissions)):
            lack = f"in {emissions} {', '.join(known)}; run `dvc repro {own.scored_by}`"
            raise InputError(unanswered(where, name, reading, lack))
    return found


def _refuse_k(where: str, k: int | None, source: Source, answers: Answers) -> None:
    targets = source.below(answers.of(str(source.teacher)).targets)
    if k is not None and k > (most := metadata_of(parts_of(targets)[0]).get("k", 0)):
        raise InputError(
            f"{where}: expected at most {most}, as {targets} has them, found {k}; "
            "run `dvc repro extract`"
        )


def _distill(
    recipe: Recipe,
    training: Training,
    sources: Sequence[Source],
    own: Sequence[Source],
    dev: list[Path],
    answers: Answers,
    bench: Bench,
) -> None:
    """The student of a recipe, or the last of its generations: each labels `own` for the next."""
    validate = development_f1([read_split(path) for path in dev])
    learnt = partial(_generation, validate=validate, teachers=answers.teachers)
    student, curve = learnt(recipe, training, sources, answers, bench.kept)
    again = recipe.self_distillation
    for number in range(1, 1 + (again.generations if again else 0)):
        folder = bench.kept / f"generation-{number}"
        log(f"generation {number}: taught by the one before it")
        paths = [source.path for source in own]
        said = labelled(student, recipe.student, paths, cast(SelfDistillation, again), folder)
        lucky = replace(training, seed=seed_of(training.seed, -2, number))
        student, more = learnt(recipe.reborn, lucky, own, said, folder)
        curve = joined(curve, more)
    save_student(student.cpu(), recipe.student, bench.out)
    write_curve(bench.out / "curve.csv", curve)


def _generation(
    recipe: Recipe,
    training: Training,
    sources: Sequence[Source],
    answers: Answers,
    kept: Path,
    *,
    validate: Callable[[Tagger], float],
    teachers: Path,
) -> tuple[Tagger, list[Row]]:
    """A student and its curve; `teachers` is the folder of those from which it may begin."""
    torch.manual_seed(training.seed)
    file = kept / "examples.arrow"
    names = sorted({source.teacher for source in sources if source.teacher})
    # One split at a time, and none is held while the student learns from the file.
    lessons = taught_lessons(recipe, sources, names, answers)
    write_examples(file, lessons, recipe.limit, recipe.reads)
    tag_set, scheme = (first := read_split(sources[0].path)).tag_set, first.scheme
    del first
    read = names if "emissions" in recipe.reads else ()
    between = [read_transitions(answers.of(name).teacher).scores() for name in read]
    widths = vector_widths(recipe, sources, names, answers)
    examples = Examples(file, len(tag_set), between, widths)
    log(f"{len(examples)} sentences, {sum(examples.lengths)} words")
    student = new_student(recipe.student, examples.words(), tag_set, scheme, recipe.head, teachers)
    if widths:
        student.projection = nn.Linear(student.encoder.width, sum(widths))
    student.to(found_device())
    phases, trust = recipe.course, recipe.confidence
    return student, learn(student, examples, phases, trust, validate, training, kept)
