"""The report: one HTML page that needs nothing else, with every number beside its settings.

To add a section, write a function from `Findings` to HTML and put it in `_SECTIONS`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from io import StringIO
from statistics import fmean
from typing import Any

from ruamel.yaml import YAML

from pipeline.reporting.comparison import Standing, spread, teacher_f1, teacher_mean
from pipeline.reporting.exhibits import curves_figure, labels_figure, scatter_figure, seeds_figure
from pipeline.reporting.findings import Findings
from pipeline.reporting.passages import sentences
from pipeline.reporting.stylesheet import STYLESHEET
from pipeline.reporting.wording import (
    NONE,
    number,
    percent,
    plus_minus,
    probability,
    share,
    signed,
    size,
)


def report(found: Findings) -> str:
    """The whole page; equal findings give equal text."""
    sections = "\n".join(
        f"<section><h2>{title}</h2>\n{section(found)}</section>" for title, section in _SECTIONS
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>limbeck: distilled taggers</title>\n<style>{STYLESHEET}</style></head>\n<body>\n"
        f"<h1>What the students kept of their teachers</h1>\n{_lead(found)}\n{sections}\n"
        "</body></html>\n"
    )


def _lead(found: Findings) -> str:
    best, baseline = found.standings[found.best], found.standings[found.results.baseline]
    said = f"<b>{escape(found.best)}</b>, the recipe with the best dev F1, reaches "
    said += f"<b>{plus_minus(best.f1, best.f1_std)}</b> F1 on test"
    if best.retention is not None:
        said += f", {share(best.retention)} of what its teachers reach"
    if best is not baseline:
        said += f"; the baseline <b>{escape(found.results.baseline)}</b> reaches "
        said += plus_minus(baseline.f1, baseline.f1_std)
    if best is not baseline and best.gap_closed is not None:
        said += f". Of the gap between baseline and teachers that closes {share(best.gap_closed)}"
    return f'<p class="lead">{said}.</p>\n<p class="note">{_conditions(found)}</p>'


def _conditions(found: Findings) -> str:
    """What every number on the page rests on."""
    lineup, examined = found.results.lineup, found.results.students[found.results.baseline][0]
    schemes = sorted({evaluation.scheme for evaluation in examined.corpora.values()})
    texts, unseen = (
        ", ".join(f"{escape(name)} ({len(examined.corpora[name])} sentences)" for name in names)
        for names in (found.results.counted, found.results.zero_shot)
    )
    apart = f" Zero-shot, not in that mean, for no student saw text of it: {unseen}." * bool(unseen)
    seeds = ", ".join(map(str, lineup.seeds))
    return (
        f"Span-level micro-F1 in percent, strict (seqeval’s strict mode), scheme "
        f"{', '.join(schemes)}; the mean over the test splits of {texts}; "
        f"± standard deviation over seeds {seeds}.{apart}"
    )


def _standings(found: Findings) -> str:
    heads = "tagger|F1|difference [95 %]|p|retention|gap closed|agreement|parameters|size"
    rows = [*_teacher_rows(found), *_recipe_rows(found)]
    settings = found.settings["evaluate"]
    caption = (
        "Difference from the baseline in points of F1, with its 95 % bootstrap interval; p: paired "
        f"approximate randomisation, {settings['samples']} shuffles, seed {settings['seed']}, "
        "not corrected for the number of recipes. Teachers: on their own corpora. Shaded: the best "
        "recipe on dev."
    )
    return seeds_figure(found) + _table(heads.split("|"), rows, caption) + _contests(found)


def _contests(found: Findings) -> str:
    """Recipes against each other; nothing where section evaluate names no pairs."""
    if not found.contests:
        return ""
    rows = [
        (
            "",
            [
                f"{escape(each.recipe)} − {escape(each.against)}",
                signed(each.difference),
                " to ".join(percent(end).replace("-", "−") for end in each.interval),
                probability(each.p_value),
            ],
        )
        for each in found.contests
    ]
    return _table(["pair", "difference", "95 %", "p"], rows, "The pairs that evaluate.pairs names.")


def _teacher_rows(found: Findings) -> Iterator[tuple[str, list[str]]]:
    for place, (name, examined) in enumerate(found.results.teachers.items(), start=1):
        f1 = percent(teacher_mean(found.results, name))
        label = f'{escape(name)} <span class="quiet">teacher</span>'
        sizes = [number(examined.parameters), size(examined.size)]
        kind = "above" if place == len(found.results.teachers) else ""
        yield kind, [label, f1, *[NONE] * 5, *sizes]


def _recipe_rows(found: Findings) -> Iterator[tuple[str, list[str]]]:
    baseline = found.standings[found.results.baseline]
    for name, standing in found.standings.items():
        is_baseline = standing is baseline
        label = escape(name) + (' <span class="quiet">baseline</span>' if is_baseline else "")
        kind = "best" if name == found.best and not is_baseline else ""
        yield (
            kind,
            [
                label,
                plus_minus(standing.f1, standing.f1_std),
                _difference(standing, baseline),
                probability(standing.p_value),
                share(standing.retention),
                NONE if is_baseline else share(standing.gap_closed),
                percent(standing.agreement),
                number(standing.parameters),
                size(standing.size),
            ],
        )


def _difference(standing: Standing, baseline: Standing) -> str:
    if standing.interval is None:
        return NONE
    low, high = (percent(end).replace("-", "−") for end in standing.interval)
    return f'{signed(standing.f1 - baseline.f1)} <span class="quiet">[{low}, {high}]</span>'


def _by_corpus(found: Findings) -> str:
    corpora, scores = found.results.corpora, teacher_f1(found.results)
    rows = [
        ("", [f'{escape(name)} <span class="quiet">teacher</span>']
         + [percent(scores[name].get(corpus)) for corpus in corpora])
        for name in found.results.teachers
    ]  # fmt: skip
    rows += [
        ("", [escape(name), *(_over_seeds(standing.corpora[corpus]) for corpus in corpora)])
        for name, standing in found.standings.items()
    ]
    caption = "Strict F1 on the test split of each corpus, mean ± standard deviation over seeds."
    heads = [f"{name} (zero-shot)" * (name in found.results.zero_shot) or name for name in corpora]
    return _table(["tagger", *heads], rows, caption) + _zero_shot(found) + scatter_figure(found)


def _zero_shot(found: Findings) -> str:
    """Students on languages or domains that they saw no text of; nothing where there are none."""
    if not found.results.zero_shot:
        return ""
    rows = [
        ("", [escape(name), _over_seeds(each.zero_shot), probability(each.zero_shot_p_value)])
        for name, each in found.standings.items()
    ]
    names = ", ".join(map(escape, found.results.zero_shot))
    caption = f"Zero-shot: strict F1, mean over {names}; p: of the difference from the baseline."
    return _table(["recipe", "F1", "p"], rows, caption)


def _over_seeds(scores: Sequence[float]) -> str:
    return plus_minus(fmean(scores), spread(scores))


def _settings(found: Findings) -> str:
    blocks = (
        f"<h3>{escape(name)}</h3><pre>{escape(_yaml(value))}</pre>"
        for name, value in found.settings.items()
    )
    note = "From params.yaml; what is not there has its default."
    return f'<p class="note">{note}</p>{"".join(blocks)}'


def _yaml(value: Any) -> str:
    text, writer = StringIO(), YAML()
    writer.default_flow_style, writer.width = None, 100
    writer.dump(value, text)
    return text.getvalue().rstrip()


def _definitions(found: Findings) -> str:
    items = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in _DEFINITIONS.items())
    return f"<dl>{items}</dl>"


def _table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], caption: str) -> str:
    """Rows are a CSS class and cells of HTML, the first of which heads the row."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    body = "".join(
        f'<tr class="{kind}"><th scope="row">{first}</th>'
        + "".join(f"<td>{cell}</td>" for cell in rest)
        + "</tr>"
        for kind, (first, *rest) in rows
    )
    return (
        f'<div class="wide"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


_DEFINITIONS = {
    "F1": "A predicted span counts if both borders and the label are those of gold. Spans are "
    "summed over a test split; the score of a tagger is the mean over corpora.",
    "retention": "Student F1 over teacher F1, on the corpora that have a teacher; of several the "
    "first that the corpus names.",
    "gap closed": "(student − baseline) / (teacher − baseline). Not defined where the teacher is "
    "not above the baseline.",
    "agreement": "Strict F1 of the student’s spans with the teacher’s in the place of gold.",
    "p": "How often a difference at least as large arises when the spans of each sentence change "
    "sides at random, seeds together, corpus by corpus. It speaks of other sentences for these "
    "very taggers; the spread over seeds speaks of training again.",
    "parameters, size": "Weights of one tagger, and bytes of all the files that it needs on disk.",
}

_SECTIONS: tuple[tuple[str, Callable[[Findings], str]], ...] = (
    ("Standings", _standings),
    ("By corpus", _by_corpus),
    ("By label", labels_figure),
    ("Learning curves", curves_figure),
    ("Where they differ", sentences),
    ("What the figures mean", _definitions),
    ("Settings", _settings),
)
