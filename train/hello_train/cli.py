"""The command `hello-train`."""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError, printable
from hello_runtime.model.model_file import UNKNOWN_POLICIES
from hello_runtime.process import ending_at_once

from hello_train.data.corruption import CORRUPTIONS, check_corruption, find_corruption
from hello_train.data.lines import PAIRS, Split, read, text_source
from hello_train.errors import TrainError
from hello_train.fit.environment import set_defaults
from hello_train.fit.options import (
    EVALUATIONS,
    HELLO_OPTIONS,
    TEXT_OPTIONS,
    TrainOptions,
    run_folder,
)
from hello_train.network.cells import CELLS, NONLINEARITIES

if TYPE_CHECKING:
    from hello_train.fit.run import Run


SECTIONS = {
    "What is learned": ("cell", "compare", "text", "corrupt", "pairs", "extra", "holdout"),
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
    ),
}
"""Of the help."""
LINE_OPTIONS = ("batch_characters", "holdout", "rare", "patience")
"""Options that only make sense for many lines."""


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
    return hello if hello == text else f"{hello} for hello, {text} for text"


def complete_corruption(_: click.Context, __: click.Parameter, start: str) -> list[str]:
    """Return the corruptions whose name starts so, for a shell that completes it."""
    return [name for name in CORRUPTIONS if name.startswith(start)]


@click.command(
    "hello-train",
    cls=Command,
    errors=(TrainError, HelloRuntimeError),
    extra="train",
    sections=SECTIONS,
)
@click.option("--cell", type=click.Choice(CELLS), help="The recurrent layer.  [default: gru]")
@click.option("--compare", is_flag=True, help="Learn hello with each cell, and show them together.")
@click.option(
    "--nonlinearity", type=click.Choice(NONLINEARITIES), help="Of --cell rnn.  [default: tanh]"
)
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Learn from lines of input, TAB, target, of equal length in characters.  PATH is a file, "
    "plain or gzip, or a folder of them; give it as often as you like.",
)
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Learn to restore the lines of PATH from what --corrupt makes of them.",
)
@click.option(
    "--corrupt",
    metavar=f"[{'|'.join(CORRUPTIONS)}|MODULE:FUNCTION]",
    shell_complete=complete_corruption,
    help="What makes the input of each line of --text.  FUNCTION takes a line and returns one of "
    "the same length, for equal lines the same; its MODULE is looked for in the current folder "
    "first, and imported last.",
)
@click.option(
    "--extra",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="More lines to learn, like those of --text or --pairs, of which none is held out.",
)
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
    "[default: causal for hello, bidirectional for text]",
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
    "[default: unguarded for hello, guarded for text]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help=f"[default: {HELLO_OPTIONS.epochs} a start for hello]",
)
@click.option(
    "--minutes",
    type=FiniteRange(min=0, min_open=True),
    help=f"Train this long, for hello each start.  [default: {TEXT_OPTIONS.minutes:g} for text]",
)
@click.option(
    "--learning-rate",
    type=FiniteRange(min=0, min_open=True, max=1000),
    help=f"[default: {default('learning_rate')}]",
)
@click.option(
    "--batch-characters",
    type=click.IntRange(min=1),
    help=f"Characters in a batch of each process.  [default: {TEXT_OPTIONS.batch_characters}]",
)
@click.option(
    "--rare",
    type=FiniteRange(0, 1, max_open=True),
    help="Where unknown characters are copied, those with a smaller share of the text are unknown."
    f"  [default: {TEXT_OPTIONS.rare:g}]",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help=f"End early after so many of the {EVALUATIONS} evaluations on held-out lines without a "
    f"gain.  [default: {TEXT_OPTIONS.patience}]",
)
@click.option("--seed", type=click.IntRange(0, 2**32), default=0, show_default=True)
@click.option(
    "--holdout",
    type=FiniteRange(0, 1, max_open=True),
    help=f"Share of the lines to hold out for evaluation.  [default: {TEXT_OPTIONS.holdout}]",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="EPOCHS",
    help="Print the loss and what the network says of hello every so many epochs.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the same training, which was interrupted or killed."
)
@click.version_option(__version__, prog_name="hello-train")
def main(
    pairs: tuple[Path, ...],
    text: tuple[Path, ...],
    corrupt: str | None,
    extra: tuple[Path, ...],
    output: Path | None,
    resume: bool,
    compare: bool,
    every: int | None,
    **given: Any,
) -> None:
    """Train a character RNN, GRU or LSTM and save a checkpoint.

    Without --pairs or --text it learns the post's example, hello -> ohlol. Where a start does
    not learn it, another follows from the next seed, up to 20 in all.
    """
    paths = pairs or text
    check_usage(pairs, text, corrupt, given)
    check_needs_lines(bool(paths), given, extra=bool(extra), resume=resume)
    if compare and (paths or given["cell"]):
        raise click.UsageError("--compare learns hello with every cell: no --text, no --cell.")
    if every and paths:
        raise click.UsageError("--every is for hello; lines of text are too many to print.")
    options = choose_options(TEXT_OPTIONS if paths else HELLO_OPTIONS, given)
    folder = output or run_folder(name_of(paths[0]) if paths else "hello", options.cell)
    if compare:
        compare_hello(options, output or Path("runs/hello-compare"), every)
        return
    if not paths:
        train_hello(options, folder, every)
        return
    if corrupt and corrupt not in CORRUPTIONS:
        check_corruption(corrupt)
        import_training()  # before the user's own module
    source = text_source(find_corruption(corrupt)) if corrupt else PAIRS
    lines = read(source, paths, extra, options.holdout, options.seed)
    names = [printable(path.name) for path in (*paths, *extra)]
    data = ", ".join([*names, printable(corrupt or "pairs")])
    train_lines(lines, data, options, folder, resume=resume)


def import_training() -> None:
    """Import PyTorch, and all of ours that a training needs to its end.

    It takes seconds. So it comes late, that help, usage and a bad file do not wait for it.
    """
    set_defaults()
    with ending_at_once():
        import hello_train.fit.hello
        import hello_train.fit.progress
        import hello_train.report.pages  # noqa: F401


def train_hello(options: TrainOptions, folder: Path, every: int | None) -> None:
    """Train the post's example, and tell of it."""
    import_training()
    from hello_train.fit.hello import HELLO, run_hello
    from hello_train.fit.progress import ProgressDisplay

    report(run_hello(options, folder, ProgressDisplay(HELLO.input, every)), options)


def compare_hello(options: TrainOptions, folder: Path, every: int | None) -> None:
    """Train the post's example with each cell, and tell of all of them."""
    import_training()
    from hello_train.fit.hello import HELLO, compare_cells
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.fit.run import REPORT_NAME

    for run in compare_cells(options, folder, ProgressDisplay(HELLO.input, every)):
        epoch = next(s.first for s in run.history.sayings if s.text == HELLO.target)
        click.echo(f"{run.config.cell}: first said {HELLO.target!r} in epoch {epoch}")
    click.echo(f"saved {folder}; now open {folder / REPORT_NAME}")


def train_lines(
    lines: Split, data: str, options: TrainOptions, folder: Path, *, resume: bool
) -> None:
    """Train on lines, and tell of it in the process that leads."""
    import_training()
    from hello_train.fit.loop import Watcher
    from hello_train.fit.parallel import team
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.fit.run import run_lines
    from hello_train.fit.unfinished import FILE_NAME

    with team() as joined:
        if joined.leads and (folder / FILE_NAME).exists() and not resume:
            click.echo(
                f"note: this replaces {folder / FILE_NAME}, a training that --resume goes on with",
                err=True,
            )
        watcher = ProgressDisplay() if joined.leads else Watcher()
        try:
            run = run_lines(lines, data, options, folder, watcher, resume=resume, team=joined)
        except KeyboardInterrupt:
            if joined.leads and (folder / FILE_NAME).exists():
                click.echo("\nthe same command with --resume goes on from here", err=True)
            raise
    if run:
        report(run, options)


def name_of(path: Path) -> str:
    """Return the name of a run that learns a file or folder: `text` for `text.txt.gz`."""
    return printable(path.resolve().name.partition(".")[0]) or "text"


def check_usage(
    pairs: tuple[Path, ...], text: tuple[Path, ...], corrupt: str | None, given: dict[str, Any]
) -> None:
    """Refuse options that contradict each other or would be ignored."""
    if pairs and text:
        raise click.UsageError("--pairs and --text exclude each other.")
    if bool(text) != bool(corrupt):
        raise click.UsageError("--text and --corrupt belong together: --text PATH --corrupt HOW.")
    if given["epochs"] is not None and given["minutes"] is not None:
        raise click.UsageError("--epochs and --minutes exclude each other.")
    if given["nonlinearity"] and given["cell"] != "rnn":
        raise click.UsageError("--nonlinearity is for --cell rnn; the gates of the others are set.")


def check_needs_lines(has_lines: bool, given: dict[str, Any], *, extra: bool, resume: bool) -> None:
    """Refuse what only makes sense for many lines where there is just hello."""
    names = [name for name in LINE_OPTIONS if given[name] is not None]
    names += ["extra"] * extra + ["resume"] * resume
    if names and not has_lines:
        raise click.UsageError(
            f"--{names[0].replace('_', '-')} needs --pairs or --text: hello is a single line."
        )
    if "WORLD_SIZE" in os.environ and not has_lines:
        raise click.UsageError("torchrun needs --pairs or --text: hello is a single line.")


def choose_options(defaults: TrainOptions, given: dict[str, Any]) -> TrainOptions:
    """Return the defaults with what was given on the command line in their place."""
    changes = {name: value for name, value in given.items() if value is not None}
    if changes.keys() & {"epochs", "minutes"}:
        changes = {"epochs": None, "minutes": None} | changes
    return replace(defaults, **changes)


def report(run: Run, options: TrainOptions) -> None:
    """Print what came out of the run."""
    from hello_runtime.text.score import score_table

    from hello_train.fit.run import REPORT_NAME

    if options.projection is False and run.config.projection:
        click.echo(
            f"note: a projection was added, for {run.config.features} hidden values are not "
            f"{run.config.labels} labels",
            err=True,
        )
    if run.scores:
        click.echo(score_table(run.scores, "held-out lines"))
    for remark in run.remarks:
        click.echo(f"note: {remark}", err=True)
    example = run.training.example
    click.echo(f"{example} -> {run.network.rewrite(example)}")
    click.echo(f"saved {run.checkpoint}, and {REPORT_NAME} beside it; now:")
    click.echo(shlex.join(["hello-export", str(run.checkpoint.parent)]))
