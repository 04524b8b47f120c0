"""What a recipe asks for that cannot be: found before any work, named by its key."""

from collections.abc import Iterator

from pipeline.errors import InputError
from pipeline.phases import Phase
from pipeline.recipes import Recipe
from pipeline.training import Training


def refuse_contradictions(where: str, recipe: Recipe, shared: Training) -> None:
    """InputError with a line for each; `where` is the recipe's key, `shared` section `distill`."""
    found = [f"{where}.{line}" for line in _contradictions(recipe, shared)]
    if found:
        raise InputError("\n".join(found))


def _contradictions(recipe: Recipe, shared: Training) -> Iterator[str]:
    for number, phase in enumerate(recipe.course):
        if not phase.minimised:
            own = f" or in phases.{number}" if recipe.phases else ""
            yield f"objectives: expected one or more, here{own}, found none"
            return
    yield from _of_transfer(recipe)
    for number, phase in enumerate(recipe.course):
        where = f"phases.{number}." if recipe.phases else ""
        yield from (f"{where}{line}" for line in _of_phase(recipe, phase))
        training = phase.training(recipe.training(shared, 1), number)
        if phase.unfreeze == "gradual" and training.epochs < 2:
            yield f"{where}epochs: expected 2 or more for unfreeze: gradual, found 1"


def _of_transfer(recipe: Recipe) -> Iterator[str]:
    """What of the recipe asks for transfer text that is not there, or the other way round."""
    if recipe.limit and not recipe.taught:
        yield (
            "transfer: expected 0, for no objective but gold reads unlabelled text; found "
            f"{recipe.transfer!r}"
        )
    elif recipe.limit and all(phase.text == "labelled" for phase in recipe.course):
        yield f"transfer: expected 0, for no phase reads it, found {recipe.transfer!r}"
    if recipe.mix is not None and not any(phase.mix for phase in recipe.course):
        yield "mix: expected null, for no phase has text: all, found " + repr(recipe.mix)


def _of_phase(recipe: Recipe, phase: Phase) -> Iterator[str]:
    if phase.mix is not None and phase.text != "all":
        yield f"mix: expected text: all, of which both kinds are mixed, found text: {phase.text}"
    if not recipe.limit and (phase.text == "transfer" or phase.mix is not None):
        key = "mix" if phase.mix is not None else "text"
        yield f"{key}: expected sentences of transfer text in the recipe, found transfer: 0"
    elif recipe.limit and recipe.taught and phase.text != "labelled" and not phase.taught:
        yield (
            "text: expected labelled, for transfer text has no gold tags and the objectives "
            f"({', '.join(each.kind for each in phase.minimised)}) read nothing else; "
            f"found {phase.text}"
        )
