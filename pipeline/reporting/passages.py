"""Sentences in the report: words as they are, with the spans of two taggers marked."""

from collections.abc import Iterable, Sequence
from html import escape

from pipeline.reporting.contrasts import Contrast, Contrasts
from pipeline.reporting.findings import Findings
from pipeline.tags import Span


def sentences(found: Findings) -> str:
    """The section on sentences that one of baseline and best recipe has right."""
    baseline, best = found.results.baseline, found.best
    if best == baseline:
        return "<p>The grid names no recipe beside the baseline.</p>"
    seed = found.results.lineup.seeds[0]
    return (
        f'<p class="note">Seed {seed} of both. A sentence is right where all of its spans are, '
        "and nothing more is found. Solid lines mark spans that annotators have too, dashed "
        f"lines others.</p>{_contrasts(found.gained, right=best, wrong=baseline)}"
        f"{_contrasts(found.lost, right=baseline, wrong=best)}"
    )


def _contrasts(found: Contrasts, right: str, wrong: str) -> str:
    title = (
        f"<h3>{escape(right)} right, {escape(wrong)} wrong: {found.number} of {found.sentences} "
        f'sentences <span class="quiet">({len(found.shown)} shown)</span></h3>'
    )
    items = "".join(_contrast(contrast, wrong) for contrast in found.shown)
    return f'{title}<ul class="sentences">{items}</ul>'


def _contrast(found: Contrast, wrong: str) -> str:
    lines = [
        (f"{found.corpus}: annotated", _marked(found.words, found.gold, found.gold)),
        (wrong, _marked(found.words, found.mistaken, found.gold)),
    ]
    rows = (
        f'<p><span class="who">{escape(who)}</span><span>{text}</span></p>' for who, text in lines
    )
    return f"<li>{''.join(rows)}</li>"


def _marked(words: Sequence[str], spans: Iterable[Span], gold: Sequence[Span]) -> str:
    """Words with marks around spans."""
    parts, end = [], 0
    for span in sorted(spans):
        parts += map(escape, words[end : span.first])
        kind = "right" if span in gold else "wrong"
        text, end = escape(" ".join(words[span.first : span.end])), span.end
        parts.append(f'<mark class="{kind}">{text}<small>{escape(span.label)}</small></mark>')
    return " ".join([*parts, *map(escape, words[end:])])
