"""Pictures in SVG: lines over two axes, without a library, whose import takes longer than a page.

Lengths are in CSS pixels, and a picture is as wide as its `width`, or narrower where there is less
room. Colours are `currentColor`, that of the page's text, or those that a caller names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup, escape

from hello_train.report.visible import plain

LETTER = 6.5
"""About the width of a letter or digit of text of 12 pixels."""
LINE = 16.0
"""Height of a line of it."""
TICK = 4.0
"""Length of the mark of a tick."""
INK = "currentColor"

Point = tuple[float, float]
Style = Mapping[str, object]
"""Properties of CSS."""
PLAIN: Style = {"fill": "none", "stroke": INK}
"""The style of a line for which nothing else is said."""


class Size(NamedTuple):
    """Width and height."""

    width: float
    height: float


class Frame(NamedTuple):
    """Where the lines are: the edges of this area, and the values at these."""

    left: float
    top: float
    right: float
    bottom: float
    x_range: Point
    y_range: Point
    """The values at the bottom and at the top."""

    def x(self, value: float) -> float:
        """Return the place of a value, from the left of the picture."""
        first, last = self.x_range
        return self.left + (value - first) / (last - first) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the place of a value, from the top of the picture."""
        first, last = self.y_range
        return self.bottom + (value - first) / (last - first) * (self.top - self.bottom)


class Axis(NamedTuple):
    """What is written along an edge."""

    title: str
    ticks: Mapping[float, str]
    """The text of each value that has one."""


def picture(label: str, size: Size, *parts: str) -> Markup:
    """Return a picture.

    Args:
        label: what it shows, for screen readers; unique in a page.
        size: its size where there is room.
        parts: what it consists of, in the order in which it is drawn.
    """
    width, height = (f"{length:g}" for length in size)
    return Markup(
        f'<svg role="img" aria-label="{escape(plain(label))}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="font-size: 12px">{"".join(parts)}</svg>'
    )


def path(points: Sequence[Point], style: Style = PLAIN, *, closed: bool = False) -> str:
    """Return a line through points of a picture, which a closed one ends where it began."""
    steps = " L ".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M {steps}{" Z" * closed}" style="{css({**PLAIN, **style})}"/>'


def rectangle(left: float, top: float, right: float, bottom: float, style: Style) -> str:
    """Return the outline of a rectangle, or its area if the style has a `fill`."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return path(corners, style, closed=True)


def dot(point: Point, radius: float, colour: str) -> str:
    """Return a filled circle."""
    x, y = point
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" style="fill: {colour}"/>'


def text(content: str, x: float, y: float, anchor: str = "middle", colour: str = INK) -> str:
    """Return a line of text whose middle, or other anchor, is at a point, halfway up a digit."""
    look = css({"fill": colour, "text-anchor": anchor})
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" style="{look}">{escape(content)}</text>'


def css(style: Style) -> str:
    """Return a style as CSS writes it."""
    return "; ".join(f"{name}: {value}" for name, value in style.items())


def frame(size: Size, x_range: Point, y_range: Point, y_axis: Axis, top: float = LINE / 2) -> Frame:
    """Return the area that the texts of the axes leave; `top` is kept free above it."""
    left = LINE * 1.5 + LETTER * max(map(len, y_axis.ticks.values())) + TICK
    return Frame(left, top, size.width - 1.25 * LINE, size.height - 2.5 * LINE, x_range, y_range)


def axes(area: Frame, x_axis: Axis, y_axis: Axis) -> str:
    """Return the two axes: lines, ticks, their texts and titles, with grid lines for y."""
    left, top, right, bottom, *_ = area
    parts = [path([(left, top), (left, bottom), (right, bottom)])]
    for value, label in x_axis.ticks.items():
        x = area.x(value)
        parts += [
            path([(x, bottom), (x, bottom + TICK)]),
            text(label, x, bottom + TICK + LINE / 2),
        ]
    for value, label in y_axis.ticks.items():
        y = area.y(value)
        parts += [
            path([(left, y), (right, y)], {"opacity": 0.15}),
            path([(left - TICK, y), (left, y)]),
            text(label, left - 1.5 * TICK, y, "end"),
        ]
    middle = (top + bottom) / 2
    turned = f'<g transform="rotate(-90 {LINE / 2:g} {middle:g})">'
    return "".join(
        [
            *parts,
            text(x_axis.title, (left + right) / 2, bottom + TICK + 1.6 * LINE),
            f"{turned}{text(y_axis.title, LINE / 2, middle)}</g>",
        ]
    )


def curve(area: Frame, xs: Sequence[float], ys: Sequence[float], style: Style) -> str:
    """Return a curve; of each column of pixels it has the ends and the extremes."""
    points = [(area.x(x), area.y(y)) for x, y in zip(xs, ys, strict=True)]
    kept: list[Point] = []
    for _, column in groupby(points, key=lambda point: int(point[0])):
        inside = list(column)
        ends = (inside[0], min(inside, key=height), max(inside, key=height), inside[-1])
        kept += sorted(dict.fromkeys(ends))
    return path(kept, {"stroke-linejoin": "round", **style})


def height(point: Point) -> float:
    """Return how far a point is from the top."""
    return point[1]


def round_steps(last: float, most: int) -> list[float]:
    """Return 0 and round numbers up to a positive one, in at most so many equal steps.

    >>> round_steps(1000, 5)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
    """
    unit = 10.0 ** math.floor(math.log10(last / most))
    step = next(factor * unit for factor in (1, 2, 5, 10) if last / (factor * unit) <= most)
    return [step * number for number in range(int(last / step * (1 + 1e-9)) + 1)]


def whole_steps(last: int, most: int = 5) -> Mapping[float, str]:
    """Return the ticks of an axis of counts up to a number."""
    return {value: f"{value:,.0f}" for value in round_steps(last, min(most, last))}
