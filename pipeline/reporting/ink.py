"""What pictures are made of: scales, axes, markers and text, as pieces of SVG.

Colours are CSS classes `c0` to `c7` (see stylesheet.py), each with a marker of its own, so that no
picture needs colour to be read. Lengths are in pixels of a drawing `WIDTH` wide, which scales.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720
HEIGHT = 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 44

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


@dataclass(frozen=True)
class Ranks(Scale):
    """Values side by side, equally far apart whatever their differences."""

    values: Sequence[Number] = ()

    def __call__(self, value: Number) -> Number:
        """Where a value lies, which is one of those given."""
        share = (self.values.index(value) + 0.5) / len(self.values)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, number: int = 6) -> list[Number]:
        """All of them."""
        return [*self.values]


def around(values: Iterable[Number], start: Number, end: Number) -> Scale:
    """A scale that ends at round values, with all of these between them."""
    known = [*values]
    low, high = min(known), max(known)
    step = _round_step(max(high - low, 1.0) / 5)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return Scale(low, high if high > low else low + step, start, end)


def _round_step(step: Number) -> Number:
    """The next of 1, 2, 5, 10, 20, 50 …, or a tenth of these."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-6)))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def drawing(height: Number, parts: Sequence[str], what: str) -> str:
    """The whole, from its pieces; `what` is for those who do not see it."""
    box = f'viewBox="0 0 {WIDTH} {height:g}"'
    return f'<svg {box} role="img" aria-label="{escape(what)}">{"".join(parts)}</svg>'


def x_axis(scale: Scale, top: Number, bottom: Number, title: str) -> str:
    """Lines upwards at the ticks of a scale from left to right, numbers and a title below them."""
    lines = [
        f'<line class="grid" x1="{scale(v)}" x2="{scale(v)}" y1="{top}" y2="{bottom}"/>'
        + lettering(scale(v), bottom + 16, f"{v:g}", "middle")
        for v in scale.ticks()
    ]
    middle = (scale.start + scale.end) / 2
    return "".join(lines) + lettering(middle, bottom + 36, title, "middle", "title")


def y_axis(scale: Scale, right: Number, title: str) -> str:
    """Lines to the right at the ticks of a scale from the bottom up, numbers and a title beside."""
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{scale(v)}" y2="{scale(v)}"/>'
        + lettering(LEFT - 8, scale(v) + 4, f"{v:g}", "end")
        for v in scale.ticks()
    ]
    middle = (scale.start + scale.end) / 2
    turned = f'<g transform="translate(14,{middle:g}) rotate(-90)">'
    return "".join(lines) + turned + lettering(0, 0, title, "middle", "title") + "</g>"


def dashed(name: str, x: Number, top: Number, bottom: Number) -> str:
    """A dashed line upwards, with its name above it."""
    line = f'<line class="mark" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'
    return line + lettering(x, top - 6, name, "middle", "title")


def markers(series: Series, across: Scale, up: Scale, size: Number) -> str:
    """A marker at every point of a series."""
    points = ((across(x), up(y), what) for x, y, what in series.points)
    return "".join(marker(series.colour, x, y, what, size) for x, y, what in points)


def marker(colour: int, x: Number, y: Number, what: str, size: Number) -> str:
    """One marker; what it stands for shows under the pointer."""
    place = f'transform="translate({x},{y}) scale({size})"'
    return f'<path class="dot" d="{shape_of(colour)}" {place}><title>{escape(what)}</title></path>'


def shape_of(colour: int) -> str:
    """Of a second round of colours, each has the next one's marker."""
    return _SHAPES[(colour + colour // COLOURS) % COLOURS]


def coloured(colour: int, content: str) -> str:
    """Pieces in one of the colours."""
    return f'<g class="c{colour % COLOURS}">{content}</g>'


def lettering(x: Number, y: Number, words: str, anchor: str, kind: str = "label") -> str:
    """Words that start, end or have their middle at a place."""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'
