"""What a recipe asks of its teacher's answers that it cannot have: named before any work."""

from collections.abc import Collection, Iterator

from pipeline.asking import Questions
from pipeline.errors import InputError
from pipeline.objectives import BY_WORDS
from pipeline.recipes import ASKED, Recipe, unanswered


def refuse_demands(
    where: str, recipe: Recipe, score: Questions, ensembles: Collection[str]
) -> None:
    """InputError with a line for each; `where` is the recipe's key."""
    found = [
        *_unanswered(where, recipe, score),
        *_of_ensembles(where, recipe, ensembles),
        *_useless(where, recipe),
    ]
    if found:
        raise InputError("\n".join(found))


def _unanswered(where: str, recipe: Recipe, score: Questions) -> Iterator[str]:
    asked = {"saliency": score.saliency, "vectors": score.vectors or None}
    for key, name, reads in recipe.readers():
        for reading in reads:
            if reading in ASKED and asked[reading] is None:
                yield unanswered(f"{where}.{key}", name, reading, "none")


def _of_ensembles(where: str, recipe: Recipe, ensembles: Collection[str]) -> Iterator[str]:
    """What no ensemble can say, since its members say it each in a way of their own."""
    asked = [name for name in recipe.teachers if name in ensembles]
    for key, name, reads in recipe.readers():
        for reading in reads:
            if reading in ASKED and asked:
                yield (
                    f"{where}.{key}: {name} reads {reading}; expected teachers, found "
                    f"{', '.join(asked)}, of which ensembles have none"
                )


def _useless(where: str, recipe: Recipe) -> Iterator[str]:
    """Whatever is said of a teacher where nothing would see it, in any generation."""
    taught = [(key, each) for key, each in recipe.placed() if each.reads]
    if recipe.saliency is not None:
        blind = [f"{each.kind} ({key})" for key, each in taught if not isinstance(each, BY_WORDS)]
        if blind or not taught:
            yield (
                f"{where}.saliency: expected null, or teachers read by objectives that add up words"
                f" alone, found {', '.join(blind) or 'gold alone'}"
            )
    read = recipe.reads | recipe.reborn.reads
    for key, given in (("confidence", recipe.confidence), ("teachers", recipe.teachers)):
        if given and not read:
            yield (
                f"{where}.{key}: expected none, for no objective reads a teacher, found {given!r}"
            )
    if recipe.fusion is not None and "marginals" not in read:
        kinds = ", ".join(each.kind for _, each in recipe.placed())
        yield (
            f"{where}.fusion: expected null, or an objective that reads marginals, such as "
            f"posterior, found {kinds}"
        )
