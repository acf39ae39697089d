"""The command `hello-train`."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hello_train.command import OneLineErrors
from hello_train.config import CELLS, NONLINEARITIES, UNKNOWN_POLICIES
from hello_train.corruption import CORRUPTIONS
from hello_train.data import Pair, read_pairs, read_text, split
from hello_train.options import HELLO_OPTIONS, TEXT_OPTIONS, TrainOptions, run_folder

if TYPE_CHECKING:
    from hello_train.run import Run


class FiniteRange(click.FloatRange):
    """A range of numbers, which `nan` and `inf` are not."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number to count with", param, ctx)
        return number


def default(name: str) -> str:
    """Return an option's defaults as its help shows them."""
    hello, text = (str(getattr(options, name)) for options in (HELLO_OPTIONS, TEXT_OPTIONS))
    return hello if hello == text else f"{hello} for hello, {text} for a file"


@click.command(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cell", type=click.Choice(CELLS), default="gru", show_default=True)
@click.option(
    "--nonlinearity", type=click.Choice(NONLINEARITIES), help="Of --cell rnn.  [default: tanh]"
)
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Learn from lines of input, TAB, target, of equal length in characters.",
)
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Learn to restore the lines of FILE from what --corrupt makes of them.",
)
@click.option("--corrupt", type=click.Choice(list(CORRUPTIONS)), help="How --text is worn down.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the run.  [default: runs/NAME-CELL]",
)
@click.option(
    "--embedding-dim", type=click.IntRange(1, 8192), help=f"[default: {default('embedding_dim')}]"
)
@click.option(
    "--hidden-size",
    type=click.IntRange(1, 8192),
    help=f"In each direction.  [default: {default('hidden_size')}]",
)
@click.option("--layers", type=click.IntRange(1, 64), help=f"[default: {default('layers')}]")
@click.option(
    "--bidirectional/--causal",
    default=None,
    help="Read the line from both ends, or only from its start, so that the model can stream.  "
    "[default: causal for hello, bidirectional for a file]",
)
@click.option(
    "--projection/--no-projection",
    default=None,
    help="A Linear layer between hidden states and labels; always there where the sizes differ.",
)
@click.option(
    "--unknown",
    type=click.Choice(UNKNOWN_POLICIES),
    help="What a character that was not learned gets: an error, or a copy of itself.  "
    f"[default: {default('unknown')}]",
)
@click.option(
    "--guarded/--unguarded",
    default=None,
    help="Whether only substitutions seen in training are possible.  "
    "[default: unguarded for hello, guarded for a file]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help=f"[default: {HELLO_OPTIONS.epochs} a start for hello]",
)
@click.option(
    "--minutes",
    type=FiniteRange(min=0, min_open=True),
    help=f"Train this long, for hello each start.  [default: {TEXT_OPTIONS.minutes:g} for a file]",
)
@click.option(
    "--learning-rate",
    type=FiniteRange(min=0, min_open=True, max=1000),
    help=f"[default: {default('learning_rate')}]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help=f"Lines in a batch.  [default: {TEXT_OPTIONS.batch_size}]",
)
@click.option("--seed", type=click.IntRange(0, 2**32), default=0, show_default=True)
@click.option(
    "--holdout",
    type=FiniteRange(0, 1, max_open=True),
    help=f"Share of the lines to judge by, not to learn.  [default: {TEXT_OPTIONS.holdout}]",
)
@click.version_option(package_name="hello-rnn", prog_name="hello-train")
def main(
    pairs: Path | None, text: Path | None, corrupt: str | None, output: Path | None, **given: Any
) -> None:
    """Train a character RNN, GRU or LSTM and save a checkpoint.

    Without --pairs or --text it learns the post's example, hello -> ohlol, and starts again from
    the next seed until it is right.
    """
    check_usage(pairs, text, corrupt, given)
    file = pairs or text
    options = choose_options(TEXT_OPTIONS if file else HELLO_OPTIONS, given)
    name = file.stem if file else "hello"
    folder = output or run_folder(name, options.cell)
    read, data = read_lines_of(pairs, text, corrupt)
    lines = split(read, options.holdout, options.seed)

    # Only now, so that help, usage and a bad file are answered without waiting for torch.
    from hello_train.progress import ProgressDisplay
    from hello_train.run import HELLO, choose_example, run_hello, run_lines

    if file:
        click.echo(f"{len(lines.train)} lines to learn, {len(lines.holdout)} held out", err=True)
        display = ProgressDisplay(choose_example(lines))
        run = run_lines(lines, data, options, folder, display)
    else:
        run = run_hello(options, folder, ProgressDisplay(HELLO.input))
    report(run, options)


def check_usage(
    pairs: Path | None, text: Path | None, corrupt: str | None, given: dict[str, Any]
) -> None:
    """Refuse options that contradict each other or would be ignored."""
    if pairs and text:
        raise click.UsageError("--pairs and --text exclude each other.")
    if bool(text) != bool(corrupt):
        raise click.UsageError("--text and --corrupt belong together: --text FILE --corrupt HOW.")
    if given["epochs"] is not None and given["minutes"] is not None:
        raise click.UsageError("--epochs and --minutes exclude each other.")
    if given["nonlinearity"] and given["cell"] != "rnn":
        raise click.UsageError("--nonlinearity is for --cell rnn; the gates of the others are set.")
    for name in ("batch_size", "holdout"):
        if given[name] is not None and not (pairs or text):
            raise click.UsageError(
                f"--{name.replace('_', '-')} needs --pairs or --text: hello is a single line."
            )


def choose_options(defaults: TrainOptions, given: dict[str, Any]) -> TrainOptions:
    """Return the defaults with what was given on the command line in their place."""
    changes = {name: value for name, value in given.items() if value is not None}
    if changes.keys() & {"epochs", "minutes"}:
        changes = {"epochs": None, "minutes": None} | changes
    return replace(defaults, **changes)


def read_lines_of(
    pairs: Path | None, text: Path | None, corrupt: str | None
) -> tuple[list[Pair], str]:
    """Return the lines to learn, none for hello, and where they come from in words."""
    if pairs:
        return read_pairs(pairs), f"pairs of {pairs.name}"
    if text and corrupt:
        return read_text(text, CORRUPTIONS[corrupt]), f"{text.name}, {corrupt}"
    return [], ""


def report(run: Run, options: TrainOptions) -> None:
    """Print what came out of the run."""
    from hello_train.score import falls_behind, table

    if options.projection is False and run.config.projection:
        click.echo(
            f"note: a projection was added, for {run.config.features} hidden values are not "
            f"{run.config.labels} labels",
            err=True,
        )
    if run.scores:
        click.echo(table(run.scores))
        if falls_behind(run.scores):
            click.echo(
                "note: the model is behind the most frequent target; train it longer", err=True
            )
    example = run.training.example
    click.echo(f"{example} -> {run.network.rewrite(example)}")
    click.echo(f"saved {run.checkpoint}; now:")
    click.echo(shlex.join(["hello-export", str(run.checkpoint.parent)]))
