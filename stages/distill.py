"""distill: one recipe and one seed, from corpora and targets to a student."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.assembly import Lesson, write_examples
from pipeline.corpus import read_split, split_path
from pipeline.curves import write_curve
from pipeline.description import read_description
from pipeline.device import found_device
from pipeline.emissions import read_emissions
from pipeline.errors import InputError
from pipeline.examples import Examples
from pipeline.labelling import Answers, labellers
from pipeline.lessons import development_f1
from pipeline.objectives import Objective
from pipeline.parts import metadata_of, parts_of, read_tags
from pipeline.recipes import Recipe
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log
from pipeline.schedule import learn
from pipeline.students import new_student, save_student
from pipeline.tags import require_tags
from pipeline.targets import read_targets
from pipeline.training import Training
from pipeline.transitions import read_transitions


@dataclass(frozen=True)
class _Source:
    """A split that is learnt from, and the teacher that labels it, if any."""

    path: Path
    teacher: str | None

    def below(self, folder: Path) -> Path:
        """Where the answers to this split lie among those of its teacher."""
        return folder / self.path.parent.name / self.path.stem


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
    labelled = labellers(made_by("prepare", lessons), ensembles, recipe.teachers, f"{key}.teachers")
    sources = [
        _Source(path, labelling)
        for corpus, teacher in labelled.items()
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
            f"found {', '.join(labelled) or 'none'}"
        )
    _refuse_untaught(key, recipe, sources)
    answers = Answers(emissions, targets, teachers, ensembles)
    labels = _read_of(key, recipe, sources, answers)
    if (lender := recipe.student.teacher) is not None:
        labels.append(made_by(f"train_teacher@{lender}", teachers / lender))
    produce(
        out,
        inputs=[*(source.path for source in sources), *dev, *dict.fromkeys(labels)],
        code=closure(Path("stages/distill.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _distill(*read(), sources, dev, answers, bench),
    )


def _refuse_untaught(where: str, recipe: Recipe, sources: Sequence[_Source]) -> None:
    if recipe.limit and not any(source.path.stem == "transfer" for source in sources):
        raise InputError(
            f"{where}.transfer: expected unlabelled text that a teacher labels, "
            "found none; name it in corpora.<corpus>.transfer, with a teacher, or take `transfer` "
            "and `epochs` out of the recipe"
        )
    labelled = [source for source in sources if source.path.stem != "transfer"]
    for number, phase in enumerate(recipe.course):
        read = labelled if phase.text == "labelled" else sources
        if not phase.golden and not any(source.teacher for source in read):
            own = f"{where}.phases.{number}" if recipe.phases else where
            raise InputError(
                f"{own}.objectives: expected text that a teacher labels, for no objective reads "
                "gold tags, found none; name a teacher in corpora.<corpus>.teachers, or add "
                "{kind: gold}"
            )


def _read_of(
    where: str, recipe: Recipe, sources: Sequence[_Source], answers: Answers
) -> list[Path]:
    """What the objectives read of the teachers; InputError names the one that finds nothing."""
    return [
        path
        for place, objective in recipe.placed()
        if objective.reads
        for source in sources
        if source.teacher
        for path in _needed(f"{where}.{place}", objective, source, answers)
    ]


def _needed(where: str, objective: Objective, source: _Source, answers: Answers) -> list[Path]:
    own = answers.of(str(source.teacher))
    try:
        found = [made_by("extract", source.below(own.targets))]
        if "emissions" in objective.reads:
            found.append(made_by(own.scored_by, source.below(own.emissions)))
            found.append(made_by(own.trained_by, own.teacher))
    except InputError as error:
        raise InputError(f"{where}: {objective.kind} reads what lacks: {error}") from None
    most = metadata_of(parts_of(found[0])[0]).get("k", 0)
    k = getattr(objective, "k", None)
    if k is not None and k > most:
        raise InputError(
            f"{where}.k: expected at most {most}, as {found[0]} has them, found {k}; "
            "run `dvc repro extract`"
        )
    return found


def _distill(
    recipe: Recipe,
    training: Training,
    sources: Sequence[_Source],
    dev: list[Path],
    answers: Answers,
    bench: Bench,
) -> None:
    torch.manual_seed(training.seed)
    file = bench.kept / "examples.arrow"
    teachers = sorted({source.teacher for source in sources if source.teacher})
    # One split at a time, and none is held while the student learns from the file.
    lessons = _lessons(recipe, sources, teachers, answers)
    write_examples(file, lessons, recipe.limit, recipe.reads)
    tag_set, scheme = (first := read_split(sources[0].path)).tag_set, first.scheme
    del first
    read = teachers if "emissions" in recipe.reads else ()
    between = [read_transitions(answers.of(teacher).teacher).scores() for teacher in read]
    examples = Examples(file, len(tag_set), between)
    log(f"{len(examples)} sentences, {sum(examples.lengths)} words")
    student = new_student(
        recipe.student, examples.words(), tag_set, scheme, recipe.head, answers.teachers
    )
    curve = learn(
        student.to(found_device()),
        examples,
        recipe.course,
        recipe.confidence,
        development_f1([read_split(path) for path in dev]),
        training,
        bench.kept,
    )
    save_student(student.cpu(), recipe.student, bench.out)
    write_curve(bench.out / "curve.csv", curve)


def _lessons(
    recipe: Recipe, sources: Sequence[_Source], teachers: Sequence[str], answers: Answers
) -> Iterator[Lesson]:
    """Each split, with what its teacher says where one labelled it and objectives read it."""
    for source in sources:
        split = read_split(source.path)
        if source.teacher is None:
            yield Lesson(split)
            continue
        labeller = answers.of(source.teacher)
        targets, emissions = source.below(labeller.targets), source.below(labeller.emissions)
        own, remedy = (split.tag_set, source.path), "run `dvc repro extract`"
        require_tags(read_tags(targets), targets, *own, remedy)
        scores = None
        if "emissions" in recipe.reads:
            require_tags(read_tags(emissions), emissions, *own, remedy)
            known = read_description(labeller.teacher).tags
            require_tags(known, labeller.teacher, *own, remedy)
            scores = read_emissions(emissions)
        yield Lesson(split, read_targets(targets), scores, teachers.index(source.teacher))
