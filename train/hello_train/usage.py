"""The command line of `hello-train`: its sections, what is wrong usage, which options result."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import click
from click.core import ParameterSource

from hello_train.data.corruption import CORRUPTIONS, DECOMPOSING
from hello_train.fit.options import HELLO_OPTIONS, TEXT_OPTIONS, TrainOptions
from hello_train.fit.task_options import TASK_OPTIONS, LearnedTask

LINES = "--text, --pairs or --classes"
"""The options that name lines to learn."""
REWRITING = ("corrupt", "guarded", "pairs", "keep", "most_labels", "skip_unaligned")
"""Options of rewriting alone."""
LINE_OPTIONS = (
    "batch_characters", "holdout", "rare", "patience", "extra", "resume", "keep", "most_labels",
    "normalization", "skip_unaligned",
)  # fmt: skip
"""Options that need many lines."""

SECTIONS = {
    "What is learned": (
        "cell", "compare", "text", "corrupt", "pairs", "skip_unaligned", "classes", "next_",
        "extra", "holdout", "normalization",
    ),
    "Training": (
        "output", "minutes", "epochs", "patience", "learning_rate", "batch_characters", "seed",
        "every", "resume",
    ),
    "Network": (
        "bidirectional", "hidden_size", "embedding_dim", "layers", "projection", "nonlinearity",
        "guarded", "unknown", "rare", "keep", "most_labels",
    ),
}  # fmt: skip
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


def options_given(context: click.Context) -> dict[str, Any]:
    """Return the options that the command line has, by their parameter names."""
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def check_task_usage(given: Mapping[str, Any]) -> None:
    """Raise a UsageError for options that do not fit a classifier or a network of the task next."""
    if not given.keys() & {"classes", "next_"}:
        return
    task = "--classes" if "classes" in given else "--next"
    if "classes" in given and given.keys() & {"text", "next_"}:
        raise click.UsageError("--classes excludes --text and --next.")
    if "next_" in given and "text" not in given:
        raise click.UsageError("--next learns running text: --next --text PATH.")
    for name in REWRITING:
        if name in given:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} is for text that is rewritten, and not for {task}.")
    if given.get("unknown") == "copy":
        raise click.UsageError(f"--unknown copy is for text that is rewritten, and not for {task}.")
    if "next_" in given and given.get("bidirectional"):
        raise click.UsageError(
            "--next reads from the start only: it would see what it shall guess."
        )


def check_usage(given: Mapping[str, Any]) -> None:
    """Raise a UsageError for options that contradict each other or would be ignored."""
    has_lines = bool(given.keys() & {"pairs", "text", "classes"})
    if {"pairs", "text"} <= given.keys():
        raise click.UsageError("--pairs and --text exclude each other.")
    if given.get("corrupt") and "text" not in given:
        raise click.UsageError("--corrupt belongs to --text: --text PATH --corrupt HOW.")
    if "text" in given and not (given.get("corrupt") or "next_" in given):
        raise click.UsageError(
            "--text needs --corrupt HOW, to learn to rewrite, or --next, to learn to generate."
        )
    if {"epochs", "minutes"} <= given.keys():
        raise click.UsageError("--epochs and --minutes exclude each other.")
    if "nonlinearity" in given and given.get("cell") != "rnn":
        raise click.UsageError("--nonlinearity is for --cell rnn; the gates of the others are set.")
    names = [name for name in LINE_OPTIONS if name in given]
    if names and not has_lines:
        raise click.UsageError(
            f"--{names[0].replace('_', '-')} needs {LINES}: hello is a single line."
        )
    if "WORLD_SIZE" in os.environ and not has_lines:
        raise click.UsageError(f"torchrun needs {LINES}: hello is a single line.")
    if "compare" in given and (has_lines or "cell" in given):
        raise click.UsageError("--compare learns hello with every cell: no --text, no --cell.")
    if "every" in given and has_lines:
        raise click.UsageError("--every is for hello; lines of text are too many to print.")


def defaults_for(has_lines: bool, task: LearnedTask | None, corrupt: str | None) -> TrainOptions:
    """Return the defaults of a training; without a task of its own it rewrites its lines."""
    if task:
        return TASK_OPTIONS[task]
    if corrupt in DECOMPOSING:
        return replace(TEXT_OPTIONS, normalization="nfd")
    return TEXT_OPTIONS if has_lines else HELLO_OPTIONS


def choose_options(defaults: TrainOptions, given: Mapping[str, Any]) -> TrainOptions:
    """Return the defaults, replaced by the options that were given and that a training has."""
    names = {field.name for field in fields(TrainOptions)}
    changes = {name: value for name, value in given.items() if name in names}
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
