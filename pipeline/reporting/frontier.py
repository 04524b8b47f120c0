"""The frontier: F1 against speed, one mark a tagger, as a page of its own and as a table.

Times are this machine's and differ from run to run, so they stay out of the report, whose bytes
depend on its inputs alone. Figures are those of `metrics/speed.json`.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from pipeline.reporting.ink import Point, Series
from pipeline.reporting.pictures import frontier, legend
from pipeline.reporting.stylesheet import STYLESHEET
from pipeline.reporting.wording import NONE, number, percent, size

Figures = Mapping[str, Any]

_GROUPS = {"teachers": "teacher", "recipes": "student", "exported": "exported"}
_HEADS = (
    "tagger|F1|sentences/s<br>one by one|times<br>as fast|ms, median|ms, 95th<br>percentile|"
    "sentences/s<br>in batches|on 2 threads|weights|size|memory"
)


class Mark(NamedTuple):
    """One tagger on one corpus; `speed`: sentences a second, one at a time, on one thread."""

    tagger: str
    group: str
    corpus: str
    f1: float
    speed: float


def page(figures: Figures) -> str:
    """The whole page; equal figures give equal text."""
    marks = list(_marks(figures))
    colours = {tagger: place for place, tagger in enumerate(dict.fromkeys(m.tagger for m in marks))}
    corpora = sorted({mark.corpus for mark in marks})
    drawn = "\n".join(_figure(corpus, marks, colours, figures) for corpus in corpora)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>limbeck: how fast the taggers are</title>\n<style>{STYLESHEET}</style></head>\n"
        f"<body>\n<h1>How fast the taggers are</h1>\n{_conditions(figures)}\n"
        f"<section><h2>F1 against speed</h2>\n{legend(colours)}{drawn}</section>\n"
        f"<section><h2>All figures</h2>\n{_table(figures)}</section>\n</body></html>\n"
    )


def points(figures: Figures) -> str:
    """The marks as comma-separated values, for `dvc plots`."""
    rows = [",".join(Mark._fields).replace("speed", "sentences_per_second")]
    rows += [",".join(map(str, mark)) for mark in _marks(figures)]
    return "\n".join(rows) + "\n"


def undominated(marks: Sequence[Mark]) -> list[Mark]:
    """Those than which none is both faster and better, from the slowest to the fastest."""
    best: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (-mark.speed, -mark.f1)):
        if not best or mark.f1 > best[-1].f1:
            best.append(mark)
    return best[::-1]


def _marks(figures: Figures) -> Iterator[Mark]:
    for group, kind in _GROUPS.items():
        for name, tagger in figures.get(group, {}).items():
            for corpus, scores in tagger["corpora"].items():
                speed = tagger["single"]["sentences_per_second"]
                yield Mark(f"{name} ({kind})", group, corpus, scores["f1"], speed)


def _figure(
    corpus: str, marks: Sequence[Mark], colours: Mapping[str, int], figures: Figures
) -> str:
    mine = [mark for mark in marks if mark.corpus == corpus]
    series = [Series(mark.tagger, colours[mark.tagger], [_point(mark)]) for mark in mine]
    beside = {
        name: tagger["single"]["sentences_per_second"]
        for name, tagger in figures.get("references", {}).items()
    }
    best = [_point(mark) for mark in undominated(mine)]
    picture = frontier(series, best, beside, "sentences a second, one at a time", "F1 (%)")
    caption = (
        f"<b>{escape(corpus)}</b>: strict F1 on test, of students the mean over seeds, by "
        "sentences a second on one thread, one at a time. No tagger is both faster and better than "
        "one on the dashed line."
    )
    if beside:
        caption += f" At {escape(', '.join(beside))}: a network of that size, with random weights."
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _point(mark: Mark) -> Point:
    said = f"{mark.tagger}: {percent(mark.f1)} F1, {mark.speed:,.0f} sentences/s"
    return mark.speed, mark.f1, said


def _conditions(figures: Figures) -> str:
    waited = f"{100 * figures['waited']:.0f} %"
    return (
        f'<p class="note">{escape(figures["machine"])}. {figures["sentences"]} test sentences one '
        f"at a time, others {figures['batch']} at a time; words in, tags out. Taggers took turns, "
        "each in a process of its own. On one thread what counts is computing time, on two the "
        f"clock on the wall. Of the time on one thread, other programs took {waited}.</p>"
    )


def _table(figures: Figures) -> str:
    heads = "".join(f"<th>{head}</th>" for head in _HEADS.split("|"))
    rows = "\n".join(
        f"<tr><th>{escape(name)} <span class=quiet>{kind}</span></th>{_cells(tagger)}</tr>"
        for group, kind in {**_GROUPS, "references": "random weights"}.items()
        for name, tagger in figures.get(group, {}).items()
    )
    caption = (
        f"F1: mean over corpora. As fast: as teacher {escape(figures['over'])}, one sentence at a "
        "time on one thread. Memory: the most that a process held which did nothing but tag, "
        "Python and libraries included."
    )
    return (
        f'<div class="wide"><table><caption>{caption}</caption><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(tagger: Figures) -> str:
    single, latency = tagger["single"], tagger["latency_ms"]
    cells = (
        percent(tagger.get("f1")),
        f"{single['sentences_per_second']:,.0f}",
        f"{single['speedup']:.1f}",
        f"{latency['p50']:.2f}",
        f"{latency['p95']:.2f}",
        f"{tagger['sentences_per_second']:,.0f}",
        f"{tagger['threads']['2']['sentences_per_second']:,.0f}",
        NONE if tagger["parameters"] is None else number(tagger["parameters"]),
        size(tagger["bytes"]),
        size(tagger["peak_memory_bytes"]),
    )
    return "".join(f"<td>{cell}</td>" for cell in cells)
