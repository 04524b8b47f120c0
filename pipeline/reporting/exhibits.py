"""The report's figures: each a function from findings to a picture with its legend and caption."""

from collections.abc import Mapping
from html import escape
from statistics import fmean

from pipeline.reporting.comparison import label_f1, reference
from pipeline.reporting.findings import Curve, Findings
from pipeline.reporting.ink import Point, Series
from pipeline.reporting.pictures import bars, legend, lines, scatter, strip
from pipeline.reporting.wording import percent

_TEACHER = 0  # its colour


def seeds_figure(found: Findings) -> str:
    """F1 of every seed by recipe, beside teachers and baseline."""
    rows = {
        name: Series(name, found.colour(name), [(f1, 0.0, percent(f1)) for f1 in standing.seeds])
        for name, standing in found.standings.items()
    }
    goal = reference(found.results)
    marks = {"teachers": fmean(goal.values())} if len(goal) == len(found.results.corpora) else {}
    caption = (
        "Strict F1 on test, mean over corpora. One mark a seed, a bar at their mean; the dashed "
        "line is the mean of the teachers, each on its own corpora."
    )
    return _figure(strip(rows, marks, "F1 (%)"), caption)


def curves_figure(found: Findings) -> str:
    """Dev F1 by training step, one line a seed."""
    series = [
        Series(name, found.colour(name), _points(name, curve))
        for name, curves in found.curves.items()
        for curve in curves
    ]
    caption = (
        "Strict F1 on dev while students learn, mean over corpora; one line a seed. A step is one "
        "update of the weights. The weights of the highest point of each line are those tested."
    )
    return _figure(_legend(found) + lines(series, "training step", "dev F1 (%)"), caption)


def labels_figure(found: Findings) -> str:
    """F1 of each label by tagger."""
    colours = {"teacher": _TEACHER, **_colours(found)}
    groups = {
        label: [
            Series(name, colours[name], [(f1, 0.0, f"{name}, {label}: {percent(f1)}")])
            for name, f1 in scores.items()
        ]
        for label, scores in label_f1(found.results).items()
    }
    caption = (
        "Strict F1 of each label on test, its spans summed over corpora and seeds; "
        "“teacher” is all teachers, each on its own corpora."
    )
    return _figure(legend(colours) + bars(groups, "F1 (%)"), caption)


def scatter_figure(found: Findings) -> str:
    """Student by teacher, a mark a corpus and recipe."""
    goal = reference(found.results)
    series = [
        Series(name, found.colour(name), _beside(name, standing.corpora, goal))
        for name, standing in found.standings.items()
    ]
    corpora = "; ".join(f"{escape(name)}: {percent(f1)}" for name, f1 in goal.items())
    caption = (
        "Each mark is one recipe on one corpus (strict F1 on test, mean over seeds). On the dashed "
        f"line the student is as good as its teacher. Teachers: {corpora}."
    )
    picture = scatter(series, "teacher F1 (%)", "student F1 (%)")
    return _figure(_legend(found) + picture, caption)


def _beside(
    recipe: str, corpora: Mapping[str, tuple[float, ...]], goal: Mapping[str, float]
) -> list[Point]:
    means = {corpus: fmean(corpora[corpus]) for corpus in goal}
    return [
        (goal[corpus], f1, f"{recipe} on {corpus}: {percent(f1)}") for corpus, f1 in means.items()
    ]


def _points(recipe: str, curve: Curve) -> list[Point]:
    return [
        (point.step, point.dev_f1, f"{recipe}, step {point.step}: {percent(point.dev_f1)}")
        for point in curve
    ]


def _colours(found: Findings) -> dict[str, int]:
    return {name: found.colour(name) for name in found.standings}


def _legend(found: Findings) -> str:
    return legend(_colours(found))


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
