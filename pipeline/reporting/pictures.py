"""Pictures as inline SVG, without a script or a font: dots, lines, bars, scatters and intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.reporting.ink import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    LogScale,
    Number,
    Point,
    Ranks,
    Scale,
    Series,
    around,
    coloured,
    dashed,
    drawing,
    lettering,
    marker,
    markers,
    shape_of,
    x_axis,
    y_axis,
)

_LETTER = 6.6  # of the labels, on average


@dataclass(frozen=True)
class Whisker:
    """A value with an interval around it, the number of its colour, and where it stands."""

    colour: int
    value: Number
    low: Number
    high: Number
    at: Number = 0


def strip(rows: Mapping[str, Series], marks: Mapping[str, Number], x: str) -> str:
    """A row of dots each, a bar at their mean, and dashed lines at named values."""
    left = _room(rows)
    height = TOP + 34 * len(rows) + BOTTOM + 16
    values = [point[0] for row in rows.values() for point in row.points]
    across = around([*values, *marks.values()], left, WIDTH - RIGHT - 24)
    parts = [x_axis(across, TOP + 16, height - BOTTOM, x)]
    parts += [dashed(name, across(v), TOP + 16, height - BOTTOM) for name, v in marks.items()]
    for place, (name, row) in enumerate(rows.items()):
        y = TOP + 16 + 34 * place + 17
        parts.append(lettering(left - 12, y + 4, name, "end"))
        parts.append(_dots(row, across, y))
    return drawing(height, parts, x)


def lines(series: Sequence[Series], x: str, y: str) -> str:
    """A line through the points of each series, from left to right."""
    across, up = _scales(series)
    parts = [x_axis(across, TOP, HEIGHT - BOTTOM, x), y_axis(up, WIDTH - RIGHT, y)]
    for each in series:
        path = " ".join(f"{across(a)},{up(b)}" for a, b, _ in each.points)
        line = f'<polyline points="{path}" fill="none" stroke="currentColor"/>'
        parts.append(coloured(each.colour, line + markers(each, across, up, 0.7)))
    return drawing(HEIGHT, parts, f"{y} by {x}")


def scatter(series: Sequence[Series], x: str, y: str) -> str:
    """Points on axes that share their scale, and the diagonal on which x is y."""
    values = [value for each in series for point in each.points for value in point[:2]] or [0.0]
    across = around(values, LEFT, WIDTH - RIGHT)
    up = Scale(across.low, across.high, HEIGHT - BOTTOM, TOP)
    ends = f'x1="{across.start}" y1="{up.start}" x2="{across.end}" y2="{up.end}"'
    parts = [x_axis(across, TOP, HEIGHT - BOTTOM, x), y_axis(up, WIDTH - RIGHT, y)]
    parts.append(f'<line class="mark" {ends}/>')
    parts += [coloured(each.colour, markers(each, across, up, 1.2)) for each in series]
    return drawing(HEIGHT, parts, f"{y} by {x}")


def frontier(
    series: Sequence[Series], best: Sequence[Point], marks: Mapping[str, Number], x: str, y: str
) -> str:
    """Points by a logarithmic x, a line through the `best`, dashed lines at named values of x."""
    points = [point for each in series for point in each.points]
    values = [*(point[0] for point in points), *marks.values()]
    across = LogScale(min(values) / 1.5, max(values) * 1.5, LEFT, WIDTH - RIGHT)
    up = around([point[1] for point in points], HEIGHT - BOTTOM, TOP + 16)
    parts = [x_axis(across, TOP + 16, HEIGHT - BOTTOM, x), y_axis(up, WIDTH - RIGHT, y)]
    parts += [dashed(name, across(v), TOP + 16, HEIGHT - BOTTOM) for name, v in marks.items()]
    path = " ".join(f"{across(a)},{up(b)}" for a, b, _ in best)
    parts.append(f'<polyline class="mark" points="{path}" fill="none"/>')
    parts += [coloured(each.colour, markers(each, across, up, 1.4)) for each in series]
    return drawing(HEIGHT, parts, f"{y} by {x}")


def bars(groups: Mapping[str, Sequence[Series]], x: str) -> str:
    """Bars from 0 to 100, one a series, in groups; the first x of a series is its value."""
    left, thick = _room(groups), 11
    sizes = [thick * len(group) + 12 for group in groups.values()]
    height = TOP + sum(sizes) + BOTTOM
    across = Scale(0, 100, left, WIDTH - RIGHT - 24)
    parts = [x_axis(across, TOP, height - BOTTOM, x)]
    for place, (name, group) in enumerate(groups.items()):
        top = TOP + sum(sizes[:place]) + 6
        parts.append(lettering(left - 12, top + thick * len(group) / 2 + 4, name, "end"))
        parts += [_bar(each, across, top + thick * n, thick - 2) for n, each in enumerate(group)]
    return drawing(height, parts, x)


def spans(rows: Mapping[str, Whisker], x: str) -> str:
    """A row each: a value and the interval around it; a dashed line at zero."""
    left = _room(rows)
    height = TOP + 26 * len(rows) + BOTTOM
    ends = [end for row in rows.values() for end in (row.low, row.high)]
    across = around([0.0, *ends], left, WIDTH - RIGHT - 24)
    parts = [x_axis(across, TOP, height - BOTTOM, x)]
    parts.append(dashed("", across(0.0), TOP, height - BOTTOM))
    for place, (name, row) in enumerate(rows.items()):
        y = TOP + 26 * place + 13
        parts.append(lettering(left - 12, y + 4, name, "end"))
        whisker = f'x1="{across(row.low)}" x2="{across(row.high)}" y1="{y}" y2="{y}"'
        dot = marker(row.colour, across(row.value), y, f"{name}: {row.value:+.2f}", 1.1)
        parts.append(coloured(row.colour, f'<line class="mean" {whisker}/>{dot}'))
    return drawing(height, parts, x)


def sweep(
    series: Mapping[str, Sequence[Whisker]], marks: Mapping[str, Number], x: str, y: str
) -> str:
    """A line each through values at numbers, which stand side by side; its name at its end.

    Dashed lines at named values of y.
    """
    numbers = sorted({each.at for line in series.values() for each in line})
    ends = [end for line in series.values() for each in line for end in (each.low, each.high)]
    right = WIDTH - RIGHT - _room([*series, *marks])
    across = Ranks(0, 1, LEFT, right, numbers)
    up = around([*ends, *marks.values()], HEIGHT - BOTTOM, TOP)
    parts = [x_axis(across, TOP, HEIGHT - BOTTOM, x), y_axis(up, right, y)]
    named = {name: up(line[-1].value) for name, line in series.items()}
    named |= {name: up(value) for name, value in marks.items()}
    for name, place in _apart(named).items():
        parts.append(lettering(right + 24, place + 4, name, "start", "title"))
        if name in series:
            colour = series[name][-1].colour
            parts.append(coloured(colour, marker(colour, right + 14, place, name, 1.0)))
    for value in marks.values():
        ends_of_line = f'x1="{LEFT}" x2="{right}" y1="{up(value)}" y2="{up(value)}"'
        parts.append(f'<line class="mark" {ends_of_line}/>')
    for name, line in series.items():
        path = " ".join(f"{across(each.at)},{up(each.value)}" for each in line)
        pieces = [f'<polyline points="{path}" fill="none" stroke="currentColor"/>']
        for each in line:
            place = f'x1="{across(each.at)}" x2="{across(each.at)}"'
            pieces.append(f'<line class="mean" {place} y1="{up(each.low)}" y2="{up(each.high)}"/>')
            what = f"{name}, {each.at:g}: {each.value:.2f}"
            pieces.append(marker(each.colour, across(each.at), up(each.value), what, 1.0))
        parts.append(coloured(line[-1].colour, "".join(pieces)))
    return drawing(HEIGHT, parts, f"{y} by {x}")


def standing_alone(picture: str, style: str) -> str:
    """A picture as a file of its own, which brings its style along."""
    first, rest = picture.split(">", 1)
    return f'{first} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{rest}\n'


def legend(names: Mapping[str, int]) -> str:
    """Names beside their colours and markers, as HTML."""
    items = "".join(f"<li>{_swatch(colour)}{escape(name)}</li>" for name, colour in names.items())
    return f'<ul class="legend">{items}</ul>'


def _apart(wanted: Mapping[str, Number], gap: Number = 14) -> dict[str, Number]:
    """Heights as near as can be to those wanted, but one line of letters apart, in their order."""
    placed: dict[str, Number] = {}
    above, below = -gap, HEIGHT - BOTTOM
    for name in sorted(wanted, key=lambda name: wanted[name]):
        above = placed[name] = max(wanted[name], above + gap)
    for name in reversed(placed):
        placed[name] = min(placed[name], below)
        below = placed[name] - gap
    return placed


def _room(names: Iterable[str]) -> Number:
    return min(240.0, 24 + _LETTER * max(map(len, names), default=0))


def _dots(row: Series, across: Scale, y: Number) -> str:
    values = [point[0] for point in row.points]
    mean = across(sum(values) / len(values))
    bar = f'<line class="mean" x1="{mean}" x2="{mean}" y1="{y - 10}" y2="{y + 10}"/>'
    dots = [marker(row.colour, across(value), y, what, 1.1) for value, _, what in row.points]
    return coloured(row.colour, bar + "".join(dots))


def _bar(series: Series, across: Scale, top: Number, thick: Number) -> str:
    value, _, what = series.points[0]
    box = f'x="{across.start}" y="{top}" height="{thick}"'
    width = f'width="{max(across(value) - across.start, 0.5):.1f}"'
    bar = f'<rect {box} {width} fill="currentColor"><title>{escape(what)}</title></rect>'
    number = lettering(across(value) + 5, top + thick, f"{value:.1f}", "start", "small")
    return coloured(series.colour, bar) + number


def _swatch(colour: int) -> str:
    shape = f'<path class="dot" d="{shape_of(colour)}"/>'
    return f'<svg class="swatch" viewBox="-6 -6 12 12">{coloured(colour, shape)}</svg>'


def _scales(series: Sequence[Series]) -> tuple[Scale, Scale]:
    points = [point for each in series for point in each.points] or [(0.0, 0.0, "")]
    across = around([point[0] for point in points], LEFT, WIDTH - RIGHT)
    return across, around([point[1] for point in points], HEIGHT - BOTTOM, TOP)
