"""The command line of `hello-train`: its sections, what is wrong usage, which options result."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hello_train.data.corruption import CORRUPTIONS
from hello_train.fit.options import HELLO_OPTIONS, TEXT_OPTIONS, TrainOptions

TASKS = {"classes": "--classes", "next": "--next"}
"""The options that choose another task than rewriting."""
LINES = "--text, --pairs or --classes"
"""The options that name lines to learn."""
REWRITING = (
    "corrupt",
    "guarded",
    "pairs",
    "keep",
    "most_labels",
    "skip_unaligned",
)
"""Options of rewriting alone."""
LINE_OPTIONS = (
    "batch_characters",
    "holdout",
    "rare",
    "patience",
    "extra",
    "resume",
    "keep",
    "most_labels",
    "normalization",
    "skip_unaligned",
)
"""Options that need many lines."""

SECTIONS = {
    "What is learned": (
        "cell",
        "compare",
        "text",
        "corrupt",
        "pairs",
        "skip_unaligned",
        "classes",
        "next_",
        "extra",
        "holdout",
        "normalization",
    ),
    "Training": (
        "output",
        "minutes",
        "epochs",
        "patience",
        "learning_rate",
        "batch_characters",
        "seed",
        "every",
        "resume",
    ),
    "Network": (
        "bidirectional",
        "hidden_size",
        "embedding_dim",
        "layers",
        "projection",
        "nonlinearity",
        "guarded",
        "unknown",
        "rare",
        "keep",
        "most_labels",
    ),
}
"""The sections of the help, with the parameters in each."""


class FiniteRange(click.FloatRange):
    """A range of finite numbers."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number to count with", param, ctx)
        return number


def check_task_usage(
    classes: Sequence[Path], next_: bool, text: Sequence[Path], given: Mapping[str, Any]
) -> None:
    """Raise for options that do not fit a classifier or a network of the task next.

    Args:
        classes: those of --classes.
        next_: whether there is --next.
        text: those of --text.
        given: the other options by name; None for one that was not given.

    Raises:
        click.UsageError: what is wrong.
    """
    if not classes and not next_:
        return
    task = TASKS["classes" if classes else "next"]
    if classes and (text or next_):
        raise click.UsageError("--classes excludes --text and --next.")
    if next_ and not text:
        raise click.UsageError("--next learns running text: --next --text PATH.")
    for name in REWRITING:
        if given[name] not in (None, ()):
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} is for text that is rewritten, and not for {task}.")
    if given["unknown"] == "copy":
        raise click.UsageError(f"--unknown copy is for text that is rewritten, and not for {task}.")
    if next_ and given["bidirectional"]:
        raise click.UsageError(
            "--next reads from the start only: it would see what it shall guess."
        )


def check_usage(
    pairs: Sequence[Path], text: Sequence[Path], corrupt: str | None, given: Mapping[str, Any]
) -> None:
    """Raise for options that contradict each other or would be ignored.

    Args:
        pairs: those of --pairs.
        text: those of --text.
        corrupt: that of --corrupt.
        given: the other options by name; None for one that was not given.

    Raises:
        click.UsageError: what is wrong.
    """
    paths = pairs or text
    if pairs and text:
        raise click.UsageError("--pairs and --text exclude each other.")
    if corrupt and not text:
        raise click.UsageError("--corrupt belongs to --text: --text PATH --corrupt HOW.")
    if text and not corrupt:
        raise click.UsageError(
            "--text needs --corrupt HOW, to learn to rewrite, or --next, to learn to generate."
        )
    if given["epochs"] is not None and given["minutes"] is not None:
        raise click.UsageError("--epochs and --minutes exclude each other.")
    if given["nonlinearity"] and given["cell"] != "rnn":
        raise click.UsageError("--nonlinearity is for --cell rnn; the gates of the others are set.")
    names = [name for name in LINE_OPTIONS if given[name] is not None]
    if names and not paths:
        raise click.UsageError(
            f"--{names[0].replace('_', '-')} needs {LINES}: hello is a single line."
        )
    if "WORLD_SIZE" in os.environ and not paths:
        raise click.UsageError(f"torchrun needs {LINES}: hello is a single line.")
    if given["compare"] and (paths or given["cell"]):
        raise click.UsageError("--compare learns hello with every cell: no --text, no --cell.")
    if given["every"] and paths:
        raise click.UsageError("--every is for hello; lines of text are too many to print.")


def choose_options(defaults: TrainOptions, given: Mapping[str, Any]) -> TrainOptions:
    """Return the defaults, replaced by the options of the command line."""
    changes = {name: value for name, value in given.items() if value is not None}
    if changes.keys() & {"epochs", "minutes"}:
        changes = {"epochs": None, "minutes": None} | changes
    return replace(defaults, **changes)


def default(name: str) -> str:
    """Return the defaults of an option, as its help shows them."""
    hello, text = (str(getattr(options, name)) for options in (HELLO_OPTIONS, TEXT_OPTIONS))
    return hello if hello == text else f"{hello} for hello, {text} for text"


def complete_corruption(_: click.Context, __: click.Parameter, start: str) -> list[str]:
    """Return the corruptions whose name starts so, for shell completion."""
    return [name for name in CORRUPTIONS if name.startswith(start)]
