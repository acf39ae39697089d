"""The command `hello-train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError
from hello_runtime.model.model_file import UNKNOWN_POLICIES
from hello_runtime.text.normal_forms import NORMAL_FORMS

from hello_train.data.corruption import CORRUPTIONS
from hello_train.errors import TrainError
from hello_train.fit.options import EVALUATIONS, HELLO_OPTIONS, TEXT_OPTIONS, run_folder
from hello_train.fit.task_options import LearnedTask
from hello_train.network.cells import CELLS, NONLINEARITIES
from hello_train.results import print_comparison, print_hello
from hello_train.start import LinesToLearn, import_training, learn_rewriting, learn_task, name_of
from hello_train.usage import (
    SECTIONS,
    FiniteRange,
    check_task_usage,
    check_usage,
    choose_options,
    complete_corruption,
    default,
    defaults_for,
    options_given,
)


@click.command(
    "hello-train",
    cls=Command,
    errors=(TrainError, HelloRuntimeError),
    extra="train",
    sections=SECTIONS,
)
@click.option("--cell", type=click.Choice(CELLS), help="The recurrent layer.  [default: gru]")
@click.option(
    "--compare", is_flag=True, help="Train hello with each cell, and write a common report."
)
@click.option(
    "--nonlinearity", type=click.Choice(NONLINEARITIES), help="Of --cell rnn.  [default: tanh]"
)
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Train on lines of input, TAB, target.  If the two sides of a line differ in length, all "
    "lines are aligned.  PATH is a file, plain or gzip, or a folder of them; it may be given "
    "several times.",
)
@click.option(
    "--skip-unaligned",
    is_flag=True,
    help="Leave out lines that cannot be aligned, and say how many; otherwise they are an error.",
)
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Train on the lines of PATH as targets; --corrupt makes their inputs.",
)
@click.option(
    "--corrupt",
    metavar=f"[{'|'.join(CORRUPTIONS)}|MODULE:FUNCTION]",
    shell_complete=complete_corruption,
    help="Makes the input of each line of --text.  FUNCTION takes a line and returns a text, "
    "always the same for equal lines; its MODULE is looked for in the current folder first.",
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Train a classifier on the lines of PATH: text, TAB, class.",
)
@click.option(
    "--next",
    "next_",
    is_flag=True,
    help="With --text: learn to predict the next character of running text, to generate text.",
)
@click.option(
    "--extra",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="More training lines, in the format of --text, --pairs or --classes; none of them is held "
    "out.",
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
    help="Read lines in both directions, or only from the start, so that the model can stream.  "
    "[default: causal for hello, bidirectional for text]",
)
@click.option(
    "--projection/--no-projection",
    default=None,
    help="A Linear layer from the hidden states to the labels; always there if the sizes differ.",
)
@click.option(
    "--unknown",
    type=click.Choice(UNKNOWN_POLICIES),
    help="What an unknown character becomes: an error, a copy of itself, or the label that the "
    "network chooses, which reads all of them as one.  [default: error for hello and --next, label "
    "for --classes; for other text label, or copy where no label keeps a character]",
)
@click.option(
    "--guarded/--unguarded",
    default=None,
    help="Allow a character only the labels that it had in training, or any.  "
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
    help=f"Minutes to train, for hello each start.  [default: {TEXT_OPTIONS.minutes:g} for text]",
)
@click.option(
    "--learning-rate",
    type=FiniteRange(min=0, min_open=True, max=1000),
    help=f"[default: {default('learning_rate')}]",
)
@click.option(
    "--batch-characters",
    type=click.IntRange(min=1),
    help="Largest number of characters in a batch of each process.  "
    f"[default: {TEXT_OPTIONS.batch_characters}]",
)
@click.option(
    "--rare",
    type=FiniteRange(0, 1, max_open=True),
    help="Smallest share of the text of a character, or it is unknown, and of a label, or it is "
    "not learned; without effect if --unknown is error."
    f"  [default: {TEXT_OPTIONS.rare:g}]",
)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Characters that stay share one label, or have one each.  [default: keep, for text]",
)
@click.option(
    "--most-labels",
    type=click.IntRange(min=2),
    help="Largest number of labels; of more the rarest are not learned.  "
    f"[default: {TEXT_OPTIONS.most_labels}]",
)
@click.option(
    "--normalization",
    type=click.Choice(NORMAL_FORMS),
    help="The normal form of Unicode into which text is brought, here and wherever the model is "
    "used.  [default: nfd with --corrupt strip-marks, nfc for other text]",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help=f"End early after so many evaluations without a gain; there are {EVALUATIONS} in a "
    f"training.  [default: {TEXT_OPTIONS.patience}]",
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
    help="Print the loss and the output for hello every so many epochs.",
)
@click.option(
    "--resume", is_flag=True, help="Continue the same training after it was interrupted or killed."
)
@click.version_option(__version__, prog_name="hello-train")
def main(
    pairs: tuple[Path, ...],
    text: tuple[Path, ...],
    classes: tuple[Path, ...],
    next_: bool,
    corrupt: str | None,
    extra: tuple[Path, ...],
    output: Path | None,
    resume: bool,
    compare: bool,
    every: int | None,
    skip_unaligned: bool,
    **_: Any,
) -> None:
    """Train a character RNN, GRU or LSTM and save a checkpoint.

    Without --pairs, --text or --classes it learns the example hello -> ohlol. If a start does not
    learn it, another follows from the next seed, up to 20 in all.
    """
    given = options_given(click.get_current_context())
    check_task_usage(given)
    check_usage(given)
    task: LearnedTask | None = "classify" if classes else "next" if next_ else None
    paths = classes or pairs or text
    options = choose_options(defaults_for(bool(paths), task, corrupt), given)
    if paths:
        folder = output or run_folder(name_of(paths[0]), options.cell)
        asked = LinesToLearn(paths, extra, options, folder, resume)
        if task:
            learn_task(asked, task)
        else:
            learn_rewriting(asked, corrupt, skip_unaligned=skip_unaligned)
        return
    import_training()
    from hello_train.fit.hello import HELLO, compare_cells, run_hello
    from hello_train.fit.progress import ProgressDisplay

    callbacks = [ProgressDisplay(HELLO.input, every)]
    if compare:
        folder = output or Path("runs/hello-compare")
        print_comparison(compare_cells(options, folder, callbacks), folder)
    else:
        folder = output or run_folder("hello", options.cell)
        print_hello(run_hello(options, folder, callbacks), folder, options)
