"""What a recipe learns from: its splits, each with what is read of its teacher's answers."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.assembly import Lesson, taken
from pipeline.corpus import read_split
from pipeline.description import read_description
from pipeline.emissions import ANSWERS, Answer, read_emissions, width_of
from pipeline.fusion import Forms
from pipeline.labelling import Answers
from pipeline.losses.supervision import Reading
from pipeline.parts import read_tags
from pipeline.recipes import Recipe
from pipeline.tags import require_tags
from pipeline.targets import read_targets


@dataclass(frozen=True)
class Source:
    """A split that is learnt from, and the teacher that labels it, if any."""

    path: Path
    teacher: str | None

    def below(self, folder: Path) -> Path:
        """Where the answers to this split lie among those of its teacher."""
        return folder / self.path.parent.name / self.path.stem


def columns_of(reads: Collection[Reading]) -> list[Answer]:
    """What is read of the files that `score` writes."""
    return [name for name in ANSWERS if name in reads]


def vector_widths(
    recipe: Recipe, sources: Sequence[Source], teachers: Sequence[str], answers: Answers
) -> list[int]:
    """How many numbers the vectors of each teacher have, in their order; none: not read."""
    if "vectors" not in recipe.reads:
        return []
    first = {source.teacher: source for source in reversed(sources)}
    return [width_of(first[teacher].below(answers.of(teacher).emissions)) for teacher in teachers]


def _forms(recipe: Recipe, sources: Sequence[Source], answers: Answers) -> dict[str | None, Forms]:
    """By teacher, what it believes of each form over all that the recipe learns from it."""
    forms: dict[str | None, Forms] = {}
    for source in sources:
        if source.teacher is None or recipe.fusion is None:
            continue
        split = read_split(source.path)
        targets = source.below(answers.of(source.teacher).targets)
        own = forms.setdefault(source.teacher, Forms(recipe.fusion, len(split.tag_set)))
        own.add(split, read_targets(targets), taken(split, recipe.limit))
    return forms


def taught_lessons(
    recipe: Recipe, sources: Sequence[Source], teachers: Sequence[str], answers: Answers
) -> Iterator[Lesson]:
    """Each split, with what its teacher says where one labelled it and objectives read it."""
    columns, forms = columns_of(recipe.reads), _forms(recipe, sources, answers)
    for source in sources:
        split = read_split(source.path)
        if source.teacher is None:
            yield Lesson(split)
            continue
        labeller = answers.of(source.teacher)
        targets, emissions = source.below(labeller.targets), source.below(labeller.emissions)
        own, remedy = (split.tag_set, source.path), "run `dvc repro extract`"
        require_tags(read_tags(targets), targets, *own, remedy)
        scores, rows = None, read_targets(targets)
        if columns:
            require_tags(read_tags(emissions), emissions, *own, remedy)
            scores = read_emissions(emissions, columns)
        if "emissions" in columns:
            known = read_description(labeller.teacher).tags
            require_tags(known, labeller.teacher, *own, remedy)
        if recipe.saliency is not None and scores is not None:
            scores = recipe.saliency.weighed(scores)
        if source.teacher in forms:
            rows = forms[source.teacher].fused(split, rows, taken(split, recipe.limit))
        yield Lesson(split, rows, scores, teachers.index(source.teacher))
