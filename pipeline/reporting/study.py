"""A study in a page of Markdown: its table, between marks of its own, and its picture as SVG.

Figures are those of `metrics/summary.json`. Recipes whose names end in numbers (`top_k-1`,
`top_k-10`) are a sweep: the picture has a line for each name and the numbers from left to right.
Otherwise it shows how far each recipe is from the baseline, in grey where that is no more than
chance. Corpora from which no student learns have a picture of their own.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.reporting.pictures import Whisker, spans, standing_alone, sweep
from pipeline.reporting.stylesheet import DRAWN
from pipeline.reporting.wording import NONE, plus_minus, probability, share, signed

Figures = Mapping[str, Any]

_MARK = re.compile(r"-(\d+)$")


def section(
    name: str, figures: Figures, command: str, conditions: str, pictures: Sequence[str]
) -> str:
    """Command, conditions, pictures and tables of one study; equal figures give equal text."""
    shown = [f"![{name}]({picture})" for picture in pictures]
    parts = [f"    {command}", conditions + ".", *shown, _recipes(figures)]
    if "pairs" in figures:
        parts.append(_pairs(figures["pairs"]))
    return "\n\n".join(parts)


def spliced(page: str, name: str, text: str) -> str:
    """The page with the text between the marks of a study; a page without them gets them last."""
    first, last = f"<!-- study: {name} -->", f"<!-- end of {name} -->"
    block = f"{first}\n\n{text}\n\n{last}"
    if first not in page or last not in page:
        return f"{page.rstrip()}\n\n{block}\n".lstrip()
    before, after = page.partition(first)[0], page.partition(last)[2]
    return before + block + after


def pictures(name: str, figures: Figures) -> dict[str, str]:
    """Files of SVG by name: a sweep, or differences from the baseline, and zero-shot ones."""
    recipes = figures["recipes"]
    found = {f"{name}.svg": standing_alone(_swept(recipes) or _compared(recipes), DRAWN)}
    if unseen := _unseen(recipes):
        found[f"{name}-zero-shot.svg"] = standing_alone(unseen, DRAWN)
    return found


def _swept(recipes: Figures) -> str:
    """A line for each name with numbers behind it; nothing where there is none."""
    if not (lines := _sweeps(recipes)):
        return ""
    baseline, first = next(iter(recipes.items()))
    marks = {} if _MARK.search(baseline) else {baseline: first["f1"]}
    return sweep(lines, marks, "number in the recipe's name", "F1 on test (%)")


def _compared(recipes: Figures) -> str:
    """How far each recipe is from the baseline."""
    rows = {
        name: Whisker(_sure(*_ends(recipe)), _behind(recipe, recipes), *_ends(recipe))
        for name, recipe in recipes.items()
        if recipe.get("interval")
    }
    return spans(rows, "points of F1 from the baseline, with 95 % intervals")


def _unseen(recipes: Figures) -> str:
    """How far each recipe is from the baseline where no student learns; nothing without spread."""
    found = {name: recipe["zero_shot"] for name, recipe in recipes.items() if "zero_shot" in recipe}
    if len(found) < 2 or any(each["f1_std"] is None for each in found.values()):
        return ""
    first = next(iter(found.values()))
    rows = {}
    for name in [*found][1:]:
        apart = found[name]["f1"] - first["f1"]
        squares = found[name]["f1_std"] ** 2 + first["f1_std"] ** 2
        room = 2 * (squares / recipes[name]["seeds"]) ** 0.5
        low, high = apart - room, apart + room
        rows[name] = Whisker(_sure(low, high), apart, low, high)
    return spans(rows, "zero-shot: points of F1 from the baseline, ± 2 standard errors over seeds")


def _recipes(figures: Figures) -> str:
    recipes = figures["recipes"]
    corpora = list(next(iter(recipes.values()))["corpora"])
    unseen = any("zero_shot" in recipe for recipe in recipes.values())
    heads = ["", "F1", "difference", "p", "kept", "gap closed", *["zero-shot"] * unseen, *corpora]
    rows = [
        _row(f"*{name}*, teacher", teacher, len(heads))
        for name, teacher in figures["teachers"].items()
    ]
    for name, recipe in recipes.items():
        cells = [
            f"`{name}`",
            plus_minus(recipe["f1"], recipe["f1_std"]),
            signed(_behind(recipe, recipes)) if recipe.get("interval") else NONE,
            probability(recipe["p_value"]),
            share(recipe["retention"]),
            share(recipe["gap_closed"]),
            *([_zero_shot(recipe)] if unseen else []),
            *(f"{recipe['corpora'][corpus]['f1']:.2f}" for corpus in corpora),
        ]
        rows.append(cells)
    return _table(heads, rows)


def _row(name: str, teacher: Figures, width: int) -> list[str]:
    return [name, plus_minus(teacher["f1"], None), *[""] * (width - 2)]


def _zero_shot(recipe: Figures) -> str:
    found = recipe["zero_shot"]
    return f"{plus_minus(found['f1'], found['f1_std'])}, p {probability(found['p_value'])}"


def _pairs(pairs: Figures) -> str:
    rows = [
        [
            f"`{name}`".replace(" - ", "` − `"),
            signed(pair["difference"]),
            f"{signed(pair['interval']['low'])} to {signed(pair['interval']['high'])}",
            probability(pair["p_value"]),
        ]
        for name, pair in pairs.items()
    ]
    return _table(["", "difference", "95 %", "p"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, numbers to the right."""
    rule = ["---", *["--:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def _sweeps(recipes: Figures) -> dict[str, list[Whisker]]:
    """A line a name, where at least two recipes have a number behind the same name."""
    found: dict[str, dict[int, Figures]] = defaultdict(dict)
    for name, recipe in recipes.items():
        if number := _MARK.search(name):
            found[name[: number.start()]][int(number[1])] = recipe
    lines = {name: points for name, points in found.items() if len(points) > 1}
    return {
        name: [_spread(_colour(place), recipe, at) for at, recipe in sorted(points.items())]
        for place, (name, points) in enumerate(lines.items())
    }


def _spread(colour: int, recipe: Figures, at: int) -> Whisker:
    """F1, plus and minus its standard deviation over seeds."""
    f1, spread = recipe["f1"], recipe["f1_std"] or 0.0
    return Whisker(colour, f1, f1 - spread, f1 + spread, at)


def _behind(recipe: Figures, recipes: Figures) -> float:
    """Points of F1 from the baseline, which is the first recipe."""
    return recipe["f1"] - next(iter(recipes.values()))["f1"]


def _ends(recipe: Figures) -> tuple[float, float]:
    return recipe["interval"]["low"], recipe["interval"]["high"]


def _sure(low: float, high: float) -> int:
    """A colour where the interval leaves zero out, else grey."""
    return 1 if low <= 0 <= high else 2


def _colour(place: int) -> int:
    return 2 + place % 6
