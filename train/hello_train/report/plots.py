"""The pictures of a report, as SVG to be put into a page of HTML.

Equal numbers give equal pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from hello_runtime.text.score import Score
from markupsafe import Markup

from hello_train.report import svg
from hello_train.report.gates import Values
from hello_train.report.history import Evaluation
from hello_train.report.slowest import LEARNED
from hello_train.report.svg import LETTER, LINE, Axis, Frame, Size, Style

BLUE = "#0072b2"
"""From the palette of Okabe and Ito 2008, "Color Universal Design"."""
DASHED: Style = {"stroke-dasharray": "6 3"}
DOTTED: Style = {"stroke-dasharray": "2 3"}
MODEL: Style = {"stroke": BLUE, "stroke-width": 2}
SHARES = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6")
"""Colours from 0 to 1: the paler ones of ColorBrewer's "Blues", on which black can be read."""
SIGNED = ("#e08214", "#fdb863", "#fee0b6", "#f7f7f7", "#d8daeb", "#b2abd2", "#8073ac")
"""Colours from the least to the largest value: the paler ones of ColorBrewer's "PuOr"."""
CELL = Size(67, 31)
"""Of a heat map."""
GAP: Style = {"stroke": "#fff", "stroke-width": 2}
CHOSEN: Style = {"stroke": "#000", "stroke-width": 2.5}
INSET = 3.5
"""Distance of the frame of the largest logit from the edge of its cell. The frame has the colour of
the number, and not that of the page, which may be dark."""
SMALLEST_LOSS = 1e-8
"""The lower end of a logarithmic axis, in nats; float32 rounds smaller losses to zero."""
SHOWN_UNITS = 16
"""Largest number of rows in a heat map."""

CURVE = Size(374, 250)
WIDE_CURVE = Size(442, 278)
SPARK = Size(144, 29)


def losses_by_epoch(
    name: str,
    own: Sequence[float],
    others: Sequence[Sequence[float]],
    colour: str,
    first_right: int | None,
    floor: float | None = None,
) -> Markup:
    """Draw the losses of a training by epoch, and those of others pale behind them.

    Args:
        name: the name of the training.
        own: its losses in nats, at least one.
        others: the losses of the others, on the same axes.
        colour: the colour of its curve.
        first_right: the first epoch with the right output, counted from 1.
        floor: the bound of its loss from below, in nats.
    """
    every = [own, *others]
    epochs, top = max(map(len, every)), 1.05 * max(map(max, filter(None, every))) or 1.0
    loss = Axis("loss, nats per character", {at: f"{at:.4g}" for at in svg.round_steps(top, 7)})
    area = svg.frame(CURVE, (0, epochs), (0, top), loss)
    parts = [svg.axes(area, Axis("epoch", svg.whole_steps(epochs)), loss)]
    for values in others:
        parts.append(svg.curve(area, range(1, len(values) + 1), values, {"opacity": 0.3}))
    parts.append(svg.curve(area, range(1, len(own) + 1), own, {**MODEL, "stroke": colour}))
    if floor is not None:
        parts.append(across(area, floor, DASHED))
    if first_right is not None:
        x, y = area.x(first_right), area.y(own[first_right - 1])
        parts.append(svg.path([(x, area.top), (x, area.bottom)], DOTTED))
        parts.append(svg.dot((x, y), 4.5, colour))
    label = f"Loss of the {name} over {len(own)} epochs, from {own[0]:.2f} to {own[-1]:.2f}"
    return svg.picture(label, CURVE, *parts)


def loss_curve(evaluations: Sequence[Evaluation], unit: str = "character") -> Markup:
    """Draw the training loss over the steps, on a logarithmic axis; `unit` is what it is of."""
    losses = [max(SMALLEST_LOSS, evaluation.loss) for evaluation in evaluations]
    low, high = decades(losses)
    loss = Axis(
        f"loss, nats per {unit}", {float(at): f"{10.0**at:g}" for at in range(low, high + 1)}
    )
    steps = [evaluation.step for evaluation in evaluations]
    area = svg.frame(WIDE_CURVE, (0, 1.02 * max(1, *steps)), (low, high), loss)
    label = f"Training loss, from {losses[0]:.3g} to {losses[-1]:.3g}"
    return svg.picture(label, WIDE_CURVE, by_step(area, loss, steps, losses, 1))


def accuracy_curve(evaluations: Sequence[Evaluation], scores: Mapping[str, Score]) -> Markup:
    """Draw the accuracy on held-out characters, on a logarithmic axis of the error.

    Args:
        evaluations: at least one.
        scores: the rows to compare with; no mistake is drawn as half a mistake.
    """
    count = sum(places for _, places in evaluations[-1].by_character.values())
    smallest = 0.5 / max(1, count)
    wrong = [max(smallest, 1 - evaluation.accuracy) for evaluation in evaluations]
    others = {
        name: max(smallest, 1 - row.characters) for name, row in scores.items() if name != "model"
    }
    low, high = decades([*wrong, *others.values()])
    ticks = {-float(at): f"{100 - 100 * 10.0**at:.8g}%" for at in range(low, high + 1)}
    right, steps = Axis("characters right", ticks), [one.step for one in evaluations]
    area = svg.frame(WIDE_CURVE, (0, 1.02 * max(1, *steps)), (-high, -low), right, top=1.5 * LINE)
    parts = [by_step(area, right, steps, wrong, -1)]
    looks = {"model": MODEL}
    for style, (name, value) in zip((DASHED, DOTTED), others.items(), strict=False):
        parts.append(across(area, -math.log10(value), style))
        looks[name] = style
    first, last = evaluations[0].accuracy, evaluations[-1].accuracy
    label = f"Held-out characters right, from {first:.2%} to {last:.2%}"
    return svg.picture(label, WIDE_CURVE, *parts, legend(looks))


def by_step(
    area: Frame, axis: Axis, steps: Sequence[int], values: Sequence[float], sign: int
) -> str:
    """Draw the logarithms of the values of evaluations, times a sign, over their steps."""
    heights = [sign * math.log10(value) for value in values]
    dots = (svg.dot((area.x(x), area.y(y)), 2, BLUE) for x, y in zip(steps, heights, strict=True))
    line = svg.curve(area, steps, heights, MODEL)
    ticks = svg.whole_steps(max(1, *steps))
    return "".join([svg.axes(area, Axis("batches learned", ticks), axis), line, *dots])


def across(area: Frame, value: float, style: Style) -> str:
    """Draw a line across an area at a value."""
    return svg.path([(area.left, area.y(value)), (area.right, area.y(value))], style)


def legend(looks: Mapping[str, Style]) -> str:
    """Draw what each line means, in a row at the top."""
    parts, x = [], LINE
    for name, style in looks.items():
        parts.append(svg.path([(x, LINE / 2), (x + 22, LINE / 2)], style))
        parts.append(svg.text(name, x + 28, LINE / 2, "start"))
        x += 28 + LETTER * len(name) + LINE
    return "".join(parts)


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the exponents of the powers of ten around positive values, at least one apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def spark(char: str, shares: Sequence[float]) -> Markup:
    """Draw the accuracy of a character over time, as small as a word."""
    last = len(shares) - 1
    area = Frame(4, 2, SPARK.width - 4, SPARK.height - 2, (0, max(1, last)), (-0.05, 1.1))
    return svg.picture(
        f"{char}: right from {shares[0]:.0%} to {shares[-1]:.0%}",
        SPARK,
        across(area, LEARNED, {**DOTTED, "opacity": 0.4}),
        svg.curve(area, range(len(shares)), shares, MODEL),
        svg.dot((area.x(last), area.y(shares[-1])), 2, BLUE),
    )


def heat_map(
    label: str,
    values: Values,
    columns: Sequence[str],
    rows: Sequence[str],
    *,
    is_share: bool,
    chosen: Sequence[int],
) -> Markup:
    """Draw the values of a gate or a state over a text.

    Args:
        label: what it shows, for screen readers.
        values: float32 [time, hidden]
        columns: a name for each character.
        rows: the names of the units to draw.
        is_share: whether the values lie between 0 and 1; otherwise they have a sign.
        chosen: the row to frame for each character; empty for no frames.
    """
    grid = values.T[: len(rows)]  # (units, time)
    bound = max(1.0, float(np.abs(grid).max()))
    margin = LETTER * max(map(len, rows)) + LINE / 2
    parts = []
    for (row, column), value in np.ndenumerate(grid):
        left, top = margin + column * CELL.width, row * CELL.height
        share = float(value) if is_share else (float(value) / bound + 1) / 2
        corner = (left, top, left + CELL.width, top + CELL.height)
        colour = mixed(SHARES if is_share else SIGNED, share)
        parts.append(svg.rectangle(*corner, {"fill": colour, **GAP}))
        number = f"{value:.2f}".replace("-", "\u2212")
        middle = left + CELL.width / 2, top + CELL.height / 2
        parts.append(svg.text(number, *middle, colour="#000"))
        if chosen and chosen[column] == row:
            inside = (left + INSET, top + INSET, corner[2] - INSET, corner[3] - INSET)
            parts.append(svg.rectangle(*inside, CHOSEN))
    for row, name in enumerate(rows):
        parts.append(svg.text(name, margin - LINE / 4, (row + 0.5) * CELL.height, "end"))
    below = len(rows) * CELL.height + LINE / 2 + 2
    for column, name in enumerate(columns):
        parts.append(svg.text(name, margin + (column + 0.5) * CELL.width, below))
    size = Size(margin + len(columns) * CELL.width + 1, below + LINE / 2)
    return svg.picture(label, size, *parts)


def mixed(colours: Sequence[str], share: float) -> str:
    """Return the colour at a share of the way through colours, 0 to 1.

    >>> mixed(("#000000", "#ff8000", "#ffffff"), 0.25)
    '#804000'
    """
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    before, after = list(pairwise(colours))[min(int(place), len(colours) - 2)]
    part = place - min(int(place), len(colours) - 2)
    levels = [
        round((1 - part) * int(before[at : at + 2], 16) + part * int(after[at : at + 2], 16))
        for at in (1, 3, 5)
    ]
    return "#" + "".join(f"{level:02x}" for level in levels)
