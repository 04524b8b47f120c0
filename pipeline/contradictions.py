"""What a recipe asks for that cannot be: found before any work, named by its key."""

from collections.abc import Iterator

from pipeline.errors import InputError
from pipeline.generations import SAID, SelfDistillation
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
    yield from _unread(recipe)
    yield from _of_transfer(recipe)
    for number, phase in enumerate(recipe.course):
        where = f"phases.{number}." if recipe.phases else ""
        yield from (f"{where}{line}" for line in _of_phase(recipe, phase))
        training = phase.training(recipe.training(shared, 1), number)
        if phase.unfreeze == "gradual" and training.epochs < 2:
            yield f"{where}epochs: expected 2 or more for unfreeze: gradual, found 1"
    if (own := recipe.self_distillation) is not None:
        yield from _of_generations(recipe, own)


def _unread(recipe: Recipe) -> Iterator[str]:
    """What the recipe says and no phase of any generation asks it for."""
    for key in ("objectives", "noise"):
        own = [
            bool(phases) and all(getattr(phase, key) is not None for phase in phases)
            for phases in (recipe.phases, recipe.reborn.phases)
        ]
        if all(own) and getattr(recipe, key):
            kinds = ", ".join(each.kind for each in getattr(recipe, key))
            yield f"{key}: expected none, for each phase has its own, found {kinds}"


def _of_transfer(recipe: Recipe) -> Iterator[str]:
    """What of the recipe asks for transfer text that is not there, or the other way round."""
    own = recipe.self_distillation
    if recipe.limit and not recipe.taught and own is None:
        yield (
            "transfer: expected 0, for no objective but gold reads unlabelled text; found "
            f"{recipe.transfer!r}"
        )
    phases = [*recipe.course, *recipe.reborn.course]
    if recipe.limit and all(phase.text == "labelled" for phase in phases):
        yield f"transfer: expected 0, for no phase reads it, found {recipe.transfer!r}"
    if recipe.mix is not None and not any(phase.mix for phase in phases) and own is None:
        yield "mix: expected null, for no phase has text: all, found " + repr(recipe.mix)


def _useless(recipe: Recipe, phase: Phase) -> bool:
    """Whether a phase reads transfer text and learns nothing from it.

    A first generation that nobody teaches has none, so that it may as well say `all`.
    """
    here = phase.text == "transfer" or (phase.text == "all" and recipe.taught)
    return bool(recipe.limit) and here and not phase.taught


def _of_generations(recipe: Recipe, own: SelfDistillation) -> Iterator[str]:
    where = "" if own.objectives is None else "self_distillation."
    if not recipe.reborn.taught:
        found = ", ".join(each.kind for _, each in recipe.reborn.placed())
        yield (
            "self_distillation.objectives: expected one that reads a teacher, which the generation "
            f"before is, found {found}"
        )
    if not recipe.taught and any(phase.mix is not None for phase in recipe.course):
        yield "phases: expected none with mix, for nobody labels text for the first generation"
    for key, name, reads in recipe.reborn.readers():
        for reading in reads:
            if reading not in SAID:
                key = key if key == "saliency" else f"{where}{key}"
                yield (
                    f"{key}: expected what a student leaves for the next ({', '.join(SAID)}), "
                    f"found {name}, which reads {reading}"
                )
    for key, objective in recipe.reborn.placed():
        k = getattr(objective, "k", None)
        if k is not None and k > own.k:
            yield f"{where}{key}.k: expected at most self_distillation.k = {own.k}, found {k}"


def _of_phase(recipe: Recipe, phase: Phase) -> Iterator[str]:
    if phase.mix is not None and phase.text != "all":
        yield f"mix: expected text: all, of which both kinds are mixed, found text: {phase.text}"
    if not recipe.limit and (phase.text == "transfer" or phase.mix is not None):
        key = "mix" if phase.mix is not None else "text"
        yield f"{key}: expected sentences of transfer text in the recipe, found transfer: 0"
    elif _useless(recipe, phase):
        yield (
            "text: expected labelled, for transfer text has no gold tags and the objectives "
            f"({', '.join(each.kind for each in phase.minimised)}) read nothing else; "
            f"found {phase.text}"
        )
