"""Pictures as inline SVG: strips of dots, lines, bars and scatters, without a script or a font.

Colours are CSS classes `c0` to `c7` (see stylesheet.py), each with a marker of its own, so that no
picture needs colour to be read. Lengths are in pixels of a drawing `WIDTH` wide, which scales.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720
_HEIGHT = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 44
_LETTER = 6.6  # of the labels, on average

_SHAPES = (  # of markers, by colour
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",  # disc
    "M-3.6,-3.6H3.6V3.6H-3.6Z",  # square
    "M0,-5L4.6,3.6H-4.6Z",  # triangle
    "M0,-5.2L5.2,0L0,5.2L-5.2,0Z",  # diamond
    "M0,5L4.6,-3.6H-4.6Z",  # triangle on its tip
    "M-1.6,-4.8H1.6V-1.6H4.8V1.6H1.6V4.8H-1.6V1.6H-4.8V-1.6H-1.6Z",  # plus
    "M-4.6,0L-2.3,-4H2.3L4.6,0L2.3,4H-2.3Z",  # hexagon
    "M0,-2.2L2.6,-4.8L4.8,-2.6L2.2,0L4.8,2.6L2.6,4.8L0,2.2L-2.6,4.8L-4.8,2.6L-2.2,0L-4.8,-2.6"
    "L-2.6,-4.8Z",  # cross
)
COLOURS = len(_SHAPES)

Number = int | float
Point = tuple[Number, Number, str]
"""x, y, and what it is."""


@dataclass(frozen=True)
class Series:
    """Points that belong together: a name, and the number of a colour."""

    name: str
    colour: int
    points: Sequence[Point]


@dataclass(frozen=True)
class Scale:
    """From values `low` to `high` to pixels `start` to `end`."""

    low: Number
    high: Number
    start: Number
    end: Number

    def __call__(self, value: Number) -> Number:
        """Where a value lies."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, number: int = 6) -> list[Number]:
        """At most about `number` round values between low and high."""
        step = _round_step((self.high - self.low) / number)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


class LogScale(Scale):
    """The same for values above zero, of which equal ratios lie equally far apart."""

    def __call__(self, value: Number) -> Number:
        """Where a value lies."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, number: int = 6) -> list[Number]:
        """Of 1, 2 and 5 times powers of ten those between low and high."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (m * 10.0**power for power in powers for m in (1, 2, 5))
        return [v for v in steps if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]


def around(values: Iterable[Number], start: Number, end: Number) -> Scale:
    """A scale that ends at round values, with all of these between them."""
    known = [*values]
    low, high = min(known), max(known)
    step = _round_step(max(high - low, 1.0) / 5)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return Scale(low, high if high > low else low + step, start, end)


def strip(rows: Mapping[str, Series], marks: Mapping[str, Number], x: str) -> str:
    """A row of dots each, a bar at their mean, and dashed lines at named values."""
    left = _room(rows)
    height = _TOP + 34 * len(rows) + _BOTTOM + 16
    values = [point[0] for row in rows.values() for point in row.points]
    across = around([*values, *marks.values()], left, WIDTH - _RIGHT - 24)
    parts = [_x_axis(across, _TOP + 16, height - _BOTTOM, x)]
    parts += [_mark(name, across(v), _TOP + 16, height - _BOTTOM) for name, v in marks.items()]
    for place, (name, row) in enumerate(rows.items()):
        y = _TOP + 16 + 34 * place + 17
        parts.append(_text(left - 12, y + 4, name, "end"))
        parts.append(_dots(row, across, y))
    return _drawing(height, parts, x)


def lines(series: Sequence[Series], x: str, y: str) -> str:
    """A line through the points of each series, from left to right."""
    across, up = _scales(series)
    parts = [_x_axis(across, _TOP, _HEIGHT - _BOTTOM, x), _y_axis(up, WIDTH - _RIGHT, y)]
    for each in series:
        path = " ".join(f"{across(a)},{up(b)}" for a, b, _ in each.points)
        line = f'<polyline points="{path}" fill="none" stroke="currentColor"/>'
        parts.append(_group(each.colour, line + _markers(each, across, up, 0.7)))
    return _drawing(_HEIGHT, parts, f"{y} by {x}")


def scatter(series: Sequence[Series], x: str, y: str) -> str:
    """Points on axes that share their scale, and the diagonal on which x is y."""
    values = [value for each in series for point in each.points for value in point[:2]] or [0.0]
    across = around(values, _LEFT, WIDTH - _RIGHT)
    up = Scale(across.low, across.high, _HEIGHT - _BOTTOM, _TOP)
    ends = f'x1="{across.start}" y1="{up.start}" x2="{across.end}" y2="{up.end}"'
    parts = [_x_axis(across, _TOP, _HEIGHT - _BOTTOM, x), _y_axis(up, WIDTH - _RIGHT, y)]
    parts.append(f'<line class="mark" {ends}/>')
    parts += [_group(each.colour, _markers(each, across, up, 1.2)) for each in series]
    return _drawing(_HEIGHT, parts, f"{y} by {x}")


def frontier(
    series: Sequence[Series], best: Sequence[Point], marks: Mapping[str, Number], x: str, y: str
) -> str:
    """Points by a logarithmic x, a line through the `best`, dashed lines at named values of x."""
    points = [point for each in series for point in each.points]
    values = [*(point[0] for point in points), *marks.values()]
    across = LogScale(min(values) / 1.5, max(values) * 1.5, _LEFT, WIDTH - _RIGHT)
    up = around([point[1] for point in points], _HEIGHT - _BOTTOM, _TOP + 16)
    parts = [_x_axis(across, _TOP + 16, _HEIGHT - _BOTTOM, x), _y_axis(up, WIDTH - _RIGHT, y)]
    parts += [_mark(name, across(v), _TOP + 16, _HEIGHT - _BOTTOM) for name, v in marks.items()]
    path = " ".join(f"{across(a)},{up(b)}" for a, b, _ in best)
    parts.append(f'<polyline class="mark" points="{path}" fill="none"/>')
    parts += [_group(each.colour, _markers(each, across, up, 1.4)) for each in series]
    return _drawing(_HEIGHT, parts, f"{y} by {x}")


def bars(groups: Mapping[str, Sequence[Series]], x: str) -> str:
    """Bars from 0 to 100, one a series, in groups; the first x of a series is its value."""
    left, thick = _room(groups), 11
    sizes = [thick * len(group) + 12 for group in groups.values()]
    height = _TOP + sum(sizes) + _BOTTOM
    across = Scale(0, 100, left, WIDTH - _RIGHT - 24)
    parts = [_x_axis(across, _TOP, height - _BOTTOM, x)]
    for place, (name, group) in enumerate(groups.items()):
        top = _TOP + sum(sizes[:place]) + 6
        parts.append(_text(left - 12, top + thick * len(group) / 2 + 4, name, "end"))
        parts += [_bar(each, across, top + thick * n, thick - 2) for n, each in enumerate(group)]
    return _drawing(height, parts, x)


def legend(names: Mapping[str, int]) -> str:
    """Names beside their colours and markers, as HTML."""
    items = "".join(f"<li>{_swatch(colour)}{escape(name)}</li>" for name, colour in names.items())
    return f'<ul class="legend">{items}</ul>'


def _round_step(step: Number) -> Number:
    """The next of 1, 2, 5, 10, 20, 50 …, or a tenth of these."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-6)))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _scales(series: Sequence[Series]) -> tuple[Scale, Scale]:
    points = [point for each in series for point in each.points] or [(0.0, 0.0, "")]
    across = around([point[0] for point in points], _LEFT, WIDTH - _RIGHT)
    return across, around([point[1] for point in points], _HEIGHT - _BOTTOM, _TOP)


def _room(names: Iterable[str]) -> Number:
    return min(240.0, 24 + _LETTER * max(map(len, names), default=0))


def _drawing(height: Number, parts: Sequence[str], what: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {height:g}"'
    return f'<svg {box} role="img" aria-label="{escape(what)}">{"".join(parts)}</svg>'


def _x_axis(scale: Scale, top: Number, bottom: Number, title: str) -> str:
    lines = [
        f'<line class="grid" x1="{scale(v)}" x2="{scale(v)}" y1="{top}" y2="{bottom}"/>'
        + _text(scale(v), bottom + 16, f"{v:g}", "middle")
        for v in scale.ticks()
    ]
    middle = (scale.start + scale.end) / 2
    return "".join(lines) + _text(middle, bottom + 36, title, "middle", "title")


def _y_axis(scale: Scale, right: Number, title: str) -> str:
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{scale(v)}" y2="{scale(v)}"/>'
        + _text(_LEFT - 8, scale(v) + 4, f"{v:g}", "end")
        for v in scale.ticks()
    ]
    middle = (scale.start + scale.end) / 2
    turned = f'<g transform="translate(14,{middle:g}) rotate(-90)">'
    return "".join(lines) + turned + _text(0, 0, title, "middle", "title") + "</g>"


def _mark(name: str, x: Number, top: Number, bottom: Number) -> str:
    line = f'<line class="mark" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'
    return line + _text(x, top - 6, name, "middle", "title")


def _dots(row: Series, across: Scale, y: Number) -> str:
    values = [point[0] for point in row.points]
    mean = across(sum(values) / len(values))
    bar = f'<line class="mean" x1="{mean}" x2="{mean}" y1="{y - 10}" y2="{y + 10}"/>'
    dots = [_marker(row.colour, across(value), y, what, 1.1) for value, _, what in row.points]
    return _group(row.colour, bar + "".join(dots))


def _bar(series: Series, across: Scale, top: Number, thick: Number) -> str:
    value, _, what = series.points[0]
    box = f'x="{across.start}" y="{top}" height="{thick}"'
    width = f'width="{max(across(value) - across.start, 0.5):.1f}"'
    bar = f'<rect {box} {width} fill="currentColor"><title>{escape(what)}</title></rect>'
    number = _text(across(value) + 5, top + thick, f"{value:.1f}", "start", "small")
    return _group(series.colour, bar) + number


def _markers(series: Series, across: Scale, up: Scale, size: Number) -> str:
    points = ((across(x), up(y), what) for x, y, what in series.points)
    return "".join(_marker(series.colour, x, y, what, size) for x, y, what in points)


def _marker(colour: int, x: Number, y: Number, what: str, size: Number) -> str:
    place = f'transform="translate({x},{y}) scale({size})"'
    return f'<path class="dot" d="{_shape(colour)}" {place}><title>{escape(what)}</title></path>'


def _swatch(colour: int) -> str:
    shape = f'<path class="dot" d="{_shape(colour)}"/>'
    return f'<svg class="swatch" viewBox="-6 -6 12 12">{_group(colour, shape)}</svg>'


def _shape(colour: int) -> str:
    """Of a second round of colours, each has the next one's marker."""
    return _SHAPES[(colour + colour // COLOURS) % COLOURS]


def _group(colour: int, content: str) -> str:
    return f'<g class="c{colour % COLOURS}">{content}</g>'


def _text(x: Number, y: Number, text: str, anchor: str, kind: str = "label") -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'
