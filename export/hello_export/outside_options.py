"""The options of `hello-export` for a network of one's own, and what they make of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hello_runtime.model.model_file import NONLINEARITIES, UNKNOWN_POLICIES
from hello_runtime.model.tasks import TASKS
from hello_runtime.text.normal_forms import NORMAL_FORMS

if TYPE_CHECKING:
    from hello_export.intake.outside import Outside

OPTIONS = (
    click.option(
        "--alphabet",
        help="The characters that WEIGHTS reads, in the order of their ids: as text, or as a file: "
        ".txt with one entry a line, .json with a list or an object of entries and ids. An entry "
        "that is not one character, such as <pad>, keeps its id.",
    ),
    click.option(
        "--labels",
        help="What WEIGHTS writes, in the order of its logits: as --alphabet.  [default: the "
        "alphabet]",
    ),
    click.option(
        "--task",
        type=click.Choice(TASKS),
        help="What WEIGHTS predicts: a label for each character, the next character, or "
        "the class of the line, one of --labels.  [default: rewrite]",
    ),
    click.option(
        "--normalization",
        type=click.Choice(NORMAL_FORMS),
        help="The normal form of Unicode of the text that WEIGHTS learned, into which the model "
        "brings what it reads.  [default: none]",
    ),
    click.option(
        "--unknown",
        type=click.Choice(UNKNOWN_POLICIES),
        help="What an unknown character becomes: an error, a copy of itself, or the label that "
        "the network chooses.  [default: label if a row of the embedding is for unknown "
        "characters, else error]",
    ),
    click.option(
        "--unknown-token",
        metavar="ENTRY",
        help="The entry of the alphabet that stands for unknown characters.  [default: the last "
        "row of the embedding, if the alphabet has one entry less]",
    ),
    click.option(
        "--nonlinearity",
        type=click.Choice(NONLINEARITIES),
        help="Of an RNN, whose weights do not say it.",
    ),
    click.option(
        "--embedding",
        metavar="NAME",
        help="The tensor that is the embedding, if several could be.",
    ),
    click.option(
        "--linear",
        metavar="NAME",
        help="The tensor that is the linear layer's weight, if several could be; none if there "
        "is no linear layer.",
    ),
    click.option(
        "--ignore",
        "ignored",
        metavar="PREFIX",
        multiple=True,
        help="Leave out the tensors of this name or module; may be given several times.",
    ),
)
OUTSIDE = (
    "alphabet", "labels", "task", "normalization", "unknown", "unknown_token", "nonlinearity",
    "embedding", "linear", "ignored",
)  # fmt: skip
"""Their parameter names, in the order of the help."""


def outside_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command."""
    return reduce(lambda decorated, option: option(decorated), reversed(OPTIONS), command)


def option_of(parameter: str) -> str:
    """Return the option of a parameter."""
    return "--ignore" if parameter == "ignored" else f"--{parameter.replace('_', '-')}"


def read_outside(file: Path, options: Mapping[str, Any]) -> Outside:
    """Read a network of one's own from a file; the options are `OUTSIDE` and `cell`.

    Raises:
        IntakeError: the text has everything that is wrong.
    """
    from hello_export.intake.outside import Vocabulary, read_network
    from hello_export.intake.recognise import Choices

    vocabulary = Vocabulary(
        options["alphabet"],
        options["labels"],
        options["task"] or "rewrite",
        options["normalization"] or "none",
        options["unknown"],
        options["unknown_token"],
    )
    names = ("cell", "nonlinearity", "embedding", "linear", "ignored")
    return read_network(file, vocabulary, Choices(**{name: options[name] for name in names}))
