"""The options of `hello-export` for a network of one's own: checks and reads what was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hello_runtime.model.kinds import ONNX, TEXT, WHEEL, kind_of
from hello_runtime.model.model_file import NONLINEARITIES, UNKNOWN_POLICIES
from hello_runtime.model.tasks import TASKS
from hello_runtime.text.normal_forms import NORMAL_FORMS
from hello_train.files import CHECKPOINT_NAME, is_checkpoint

from hello_export.errors import ExportError

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


def check_outside(run: Path | None, own: Mapping[str, Any]) -> None:
    """Check that these options go with what is exported; `own` are those that were given.

    Raises:
        click.UsageError: one is missing, or what is exported takes none.
        ExportError: none was given, and the file is no checkpoint.
    """
    is_weights = run is not None and run.is_file() and not is_checkpoint(run)
    if not own:
        if run and is_weights:
            raise ExportError(no_checkpoint(run))
        return
    if "alphabet" not in own:
        raise click.UsageError(f"{option_of(next(iter(own)))} belongs to --alphabet.")
    if run is None:
        raise click.UsageError("--alphabet belongs to a file of weights: name it.")
    if run.exists() and not is_weights:
        raise click.UsageError(f"--alphabet belongs to a file of weights{why_none(run)}.")


def why_none(path: Path) -> str:
    """Return why a path that exists is no file of weights, for an error."""
    if path.is_dir() and not (path / CHECKPOINT_NAME).exists():
        return f", and {path} is a folder"
    if path.is_dir() or path.is_file():
        return ": a run has its alphabet"
    return f", and {path} is no regular file"


def no_checkpoint(file: Path) -> str:
    """Return what a file is that is no checkpoint, and what to do."""
    kind, what = kind_of(file), f"{file}: it is no checkpoint of hello-train"
    if kind == ONNX and (beside := file.with_name(CHECKPOINT_NAME)).exists():
        return f"{what}, but {kind}; it was made of {beside}, which can be exported again"
    if kind in (ONNX, TEXT, WHEEL):
        return (
            f"{what}, but {kind}; name a run or a checkpoint, or, with --alphabet, a file with the "
            f"weights of a network of your own"
        )
    return (
        f"{what}; if it has the weights of a network of your own, say which characters it reads, "
        f"with --alphabet"
    )


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
