"""The pictures of a report: SVG by matplotlib, to be put into a page of HTML.

Equal numbers give equal pictures: they have no date, and the ids inside them come from their label.
matplotlib's global settings do not change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
from hello_runtime.text.score import Score
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from hello_train.report.gates import Values
from hello_train.report.history import Evaluation
from hello_train.report.slowest import LEARNED
from hello_train.report.visible import plain

INK = "#010203"
"""Replaced by `currentColor`, the colour of the page's text; nothing else has this colour."""
BLUE = "#0072b2"
"""From the palette of Okabe and Ito 2008, "Color Universal Design"."""
STYLE = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
FRAME: dict[str, Any] = {"fill": False, "edgecolor": "black", "linewidth": 2.5}
"""The frame of the largest logit, inside its cell, which has the same colour on a dark page."""
INSET = (0.05, 0.11)
"""Distance of the frame from the cell's edge, as shares of its width and height."""
PALER = 1.6
"""The colour scale of a heat map reaches so many times its largest value, so that black text can
be read everywhere."""
SMALLEST_LOSS = 1e-8
"""The lower end of a logarithmic axis, in nats; float32 rounds smaller losses to zero."""
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
SHOWN_UNITS = 16
"""Largest number of rows in a heat map."""

Size = tuple[float, float]
"""Width and height, in inches of 96 CSS pixels."""
CURVE: Size = (3.9, 2.6)
WIDE_CURVE: Size = (4.6, 2.9)
SPARK: Size = (1.5, 0.3)


def draw(label: str, size: Size, paint: Callable[[Axes], None]) -> Markup:
    """Return a picture.

    Args:
        label: what it shows, for screen readers; unique in a page.
        size: its size where there is room.
        paint: draws on the axes.
    """
    name = str(escape(plain(label)))
    with style.context([STYLE, {"svg.hashsalt": name}], after_reset=True):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure.subplots())
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
    svg = file.getvalue()
    svg = svg[svg.index("<svg ") + len("<svg ") :].replace(INK, "currentColor")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # unused, and not unique in a page
    return Markup(f'<svg role="img" aria-label="{name}" {svg}')


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

    def paint(axes: Axes) -> None:
        for values in others:
            axes.plot(range(1, len(values) + 1), values, color=INK, alpha=0.3, linewidth=1)
        axes.plot(range(1, len(own) + 1), own, color=colour, linewidth=2)
        if floor is not None:
            axes.axhline(floor, color=INK, linewidth=1, linestyle=(0, (6, 3)))
        if first_right is not None:
            axes.axvline(first_right, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
            axes.plot(first_right, own[first_right - 1], "o", color=colour, markersize=7)
        axes.set_xlim(0, max(map(len, every)))
        axes.set_ylim(0, 1.05 * max(map(max, filter(None, every))))
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss, nats per character")
        axes.grid(axis="y")

    label = f"Loss of the {name} over {len(own)} epochs, from {own[0]:.2f} to {own[-1]:.2f}"
    return draw(label, CURVE, paint)


def loss_curve(evaluations: Sequence[Evaluation], unit: str = "character") -> Markup:
    """Draw the training loss over the steps, on a logarithmic axis; `unit` is what it is of."""
    losses = [max(SMALLEST_LOSS, evaluation.loss) for evaluation in evaluations]

    def paint(axes: Axes) -> None:
        plot_batches(axes, evaluations, losses)
        axes.set_yscale("log")
        axes.set_ylim(*decades(losses))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel(f"loss, nats per {unit}")

    return draw(f"Training loss, from {losses[0]:.3g} to {losses[-1]:.3g}", WIDE_CURVE, paint)


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

    def paint(axes: Axes) -> None:
        plot_batches(axes, evaluations, wrong, label="model")
        for line, (name, value) in zip(((0, (4, 2)), (0, (1, 1.5))), others.items(), strict=False):
            axes.axhline(value, color=INK, linewidth=1.2, linestyle=line, label=name)
        axes.set_yscale("log")
        axes.set_ylim(*reversed(decades([*wrong, *others.values()])))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 - 100 * share:.8g}%"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("characters right")
        axes.figure.legend(loc="outside upper left", ncols=3, handlelength=1.8, columnspacing=1.2)

    first, last = evaluations[0].accuracy, evaluations[-1].accuracy
    return draw(f"Held-out characters right, from {first:.2%} to {last:.2%}", WIDE_CURVE, paint)


def plot_batches(
    axes: Axes, evaluations: Sequence[Evaluation], values: Sequence[float], label: str = ""
) -> None:
    """Plot a value of each evaluation over its step."""
    steps = [evaluation.step for evaluation in evaluations]
    axes.plot(steps, values, "-o", color=BLUE, linewidth=2, markersize=3, label=label)
    axes.set_xlim(0, 1.02 * max(1, *steps))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set_xlabel("batches learned")
    axes.grid(axis="y")


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten around positive values, at least one apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def spark(char: str, shares: Sequence[float]) -> Markup:
    """Draw the accuracy of a character over time, as small as a word."""

    def paint(axes: Axes) -> None:
        axes.axhline(LEARNED, color=INK, alpha=0.4, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.plot(shares, color=BLUE, linewidth=1.6)
        axes.plot(len(shares) - 1, shares[-1], "o", color=BLUE, markersize=3)
        axes.set_ylim(-0.05, 1.1)
        axes.set_axis_off()

    return draw(f"{char}: right from {shares[0]:.0%} to {shares[-1]:.0%}", SPARK, paint)


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
    bound = 1.0 if is_share else max(1.0, float(np.abs(grid).max()))

    def paint(axes: Axes) -> None:
        axes.pcolormesh(
            grid,
            cmap="Blues" if is_share else "PuOr",
            vmin=0 if is_share else -PALER * bound,
            vmax=PALER * bound,
            edgecolors="white",
            linewidth=1.5,
        )
        for (row, column), value in np.ndenumerate(grid):
            number = f"{value:.2f}".replace("-", "\u2212")
            axes.text(column + 0.5, row + 0.5, number, color="black", ha="center", va="center")
        for column, unit in enumerate(chosen):
            if unit < len(rows):
                left, top = INSET
                corner, size = (column + left, unit + top), (1 - 2 * left, 1 - 2 * top)
                axes.add_patch(Rectangle(corner, *size, **FRAME))
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return draw(label, (0.6 + 0.7 * len(columns), 0.35 + 0.32 * len(rows)), paint)
