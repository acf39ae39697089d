"""The command `hello-train`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError, printable
from hello_runtime.process import ending_at_once
from hello_runtime.text.normal_forms import NORMAL_FORMS, NormalForm

from hello_train.data.corruption import (
    CORRUPTIONS,
    DECOMPOSING,
    check_corruption,
    find_corruption,
)
from hello_train.data.lines import Split, read
from hello_train.data.sources import pair_source, text_source
from hello_train.errors import TrainError
from hello_train.files import REPORT_NAME, RESUME_NAME
from hello_train.fit.environment import set_defaults
from hello_train.fit.options import (
    EVALUATIONS,
    HELLO_OPTIONS,
    TEXT_OPTIONS,
    TrainOptions,
    run_folder,
)
from hello_train.network.cells import CELLS, NONLINEARITIES
from hello_train.usage import FiniteRange, check_task_usage, check_usage, choose_options

if TYPE_CHECKING:
    from hello_train.fit.run import Run
    from hello_train.fit.tasks import TaskRun


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


def default(name: str) -> str:
    """Return the defaults of an option, as its help shows them."""
    hello, text = (str(getattr(options, name)) for options in (HELLO_OPTIONS, TEXT_OPTIONS))
    return hello if hello == text else f"{hello} for hello, {text} for text"


def complete_corruption(_: click.Context, __: click.Parameter, start: str) -> list[str]:
    """Return the corruptions whose name starts so, for shell completion."""
    return [name for name in CORRUPTIONS if name.startswith(start)]


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
    default=None,
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
    help="The corruption that makes an input of each line of --text.  FUNCTION takes a line and "
    "returns a text, always the same for equal lines; its MODULE is looked for in "
    "the current folder first, and imported last.",
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
    help="With --text: learn which character comes next in running text, to generate more of it.",
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
    type=click.Choice(["error", "copy", "label"]),
    help="What an unknown character becomes: an error, a copy of itself, or what the network says "
    "of it, to which it is one character like others.  [default: error for hello and --next, label "
    "for --classes; for other text label, or copy where no label keeps a character]",
)
@click.option(
    "--guarded/--unguarded",
    default=None,
    help="Allow only the substitutions of the training lines, or all.  "
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
    help="Unless --unknown is error: characters with a smaller share of the text are unknown, and "
    "labels with one are not learned."
    f"  [default: {TEXT_OPTIONS.rare:g}]",
)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Whether characters that stay share one label, or have one each.  [default: keep, for "
    "text]",
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
    skip_unaligned: bool | None,
    **given: Any,
) -> None:
    """Train a character RNN, GRU or LSTM and save a checkpoint.

    Without --pairs, --text or --classes it learns the example hello -> ohlol. If a start does not
    learn it, another follows from the next seed, up to 20 in all.
    """
    others = {
        "extra": extra or None,
        "resume": resume or None,
        "compare": compare,
        "every": every,
        "skip_unaligned": skip_unaligned,
    }
    check_task_usage(classes, next_, text, {**given, **others, "corrupt": corrupt, "pairs": pairs})
    if classes or next_:
        check_usage(classes or text, (), None, {**given, **others})
        learn_task(classes or text, extra, given, output, by_class=bool(classes), resume=resume)
        return
    check_usage(pairs, text, corrupt, {**given, **others})
    paths = pairs or text
    defaults = TEXT_OPTIONS if paths else HELLO_OPTIONS
    if corrupt in DECOMPOSING:
        defaults = replace(defaults, normalization="nfd")
    options = choose_options(defaults, given)
    if paths:
        folder = output or run_folder(name_of(paths[0]), options.cell)
        skips = bool(skip_unaligned)
        train_lines(paths, corrupt, extra, options, folder, resume=resume, skip_unaligned=skips)
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
        print_result(run_hello(options, folder, callbacks), options)


def import_training() -> None:
    """Import PyTorch and all modules that a training needs.

    It takes seconds, so help, wrong usage and unreadable files are reported before it.
    """
    set_defaults()
    with ending_at_once():
        import hello_train.fit.hello
        import hello_train.fit.progress
        import hello_train.report.pages  # noqa: F401


def train_lines(
    paths: Sequence[Path],
    corrupt: str | None,
    extra: Sequence[Path],
    options: TrainOptions,
    folder: Path,
    *,
    resume: bool,
    skip_unaligned: bool,
) -> None:
    """Read the lines, train on them, and print the result in the leading process."""
    if corrupt and corrupt not in CORRUPTIONS:
        check_corruption(corrupt)
        import_training()  # before the user's own module
    form = options.normalization
    source = text_source(find_corruption(corrupt), form) if corrupt else pair_source(form)
    lines = read(source, paths, extra, options.holdout, options.seed, skip_unaligned=skip_unaligned)
    names = [printable(path.name) for path in (*paths, *extra)]
    data = ", ".join([*names, printable(corrupt or "pairs")])
    import_training()
    from hello_train.fit.parallel import team
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.fit.run import run_lines

    with team() as joined, resumable(folder, leads=joined.leads, resume=resume):
        if joined.leads:
            print_reading(lines, form)
        callbacks = [ProgressDisplay()] if joined.leads else []
        run = run_lines(lines, data, options, folder, callbacks, resume=resume, team=joined)
    if run:
        print_result(run, options)


def print_reading(lines: Split, form: NormalForm) -> None:
    """Print how many lines were changed or left out when they were read."""
    if lines.normalised:
        click.echo(
            f"note: {lines.normalised} of {lines.read} lines were not in the normal form "
            f"{form.upper()}, and are brought into it; --normalization none leaves them as they "
            f"are",
            err=True,
        )
    if lines.skipped:
        click.echo(
            f"note: {lines.skipped} of {lines.read} lines cannot be aligned, and are left out",
            err=True,
        )


def learn_task(
    paths: Sequence[Path],
    extra: Sequence[Path],
    given: dict[str, Any],
    output: Path | None,
    *,
    by_class: bool,
    resume: bool,
) -> None:
    """Train a classifier, or a network of the task next, and print the result."""
    import_training()
    from hello_train.data.tasks import CLASSES, PASSAGES
    from hello_train.fit.parallel import team
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.fit.task_options import TASK_OPTIONS, LearnedTask
    from hello_train.fit.tasks import run_task
    from hello_train.report.tasks import quality_of

    task: LearnedTask = "classify" if by_class else "next"
    options = choose_options(TASK_OPTIONS[task], given)
    folder = output or run_folder(name_of(paths[0]), options.cell)
    source = CLASSES if by_class else PASSAGES
    lines = read(source, paths, extra, options.holdout, options.seed)
    data = ", ".join([*(printable(path.name) for path in (*paths, *extra)), task])
    with team() as joined, resumable(folder, leads=joined.leads, resume=resume):
        shown = ProgressDisplay(quality=partial(quality_of, by_class))
        callbacks = [shown] if joined.leads else []
        run = run_task(task, lines, data, options, folder, callbacks, resume=resume, team=joined)
    if run:
        print_task(run, options)


@contextmanager
def resumable(folder: Path, *, leads: bool, resume: bool) -> Iterator[None]:
    """Say what happens to the resume file in a folder, before a training and after Ctrl-C."""
    file = folder / RESUME_NAME
    if leads and file.exists() and not resume:
        click.echo(f"note: this replaces {file}, a training that --resume goes on with", err=True)
    try:
        yield
    except KeyboardInterrupt:
        if leads and file.exists():
            click.echo("\nthe same command with --resume goes on from here", err=True)
        raise


def print_task(run: TaskRun, options: TrainOptions) -> None:
    """Print the measures, the remarks and an example of a run, and the next command."""
    from hello_runtime.text.measures import measures_table

    note_projection(run, options)
    if run.measures:
        click.echo(measures_table(run.measures, "held-out lines"))
    for remark in run.remarks:
        click.echo(f"note: {remark}", err=True)
    if run.config.task == "classify":
        from hello_train.fit.tasks import classified

        example = run.training.example
        click.echo(f"{example} -> {classified(run.network, [example])[0]}")
    else:
        click.echo(run.sample)
    click.echo(f"saved {run.checkpoint}, and {REPORT_NAME} beside it; now:")
    click.echo(shlex.join(["hello-export", str(run.checkpoint.parent)]))


def note_projection(run: Run, options: TrainOptions) -> None:
    """Tell that a projection was added although none was wanted."""
    if options.projection is False and run.config.projection:
        click.echo(
            f"note: a projection was added, for {run.config.features} hidden values are not "
            f"{run.config.labels} labels",
            err=True,
        )


def name_of(path: Path) -> str:
    """Return the name of a run on a file or folder: `text` for `text.txt.gz`."""
    return printable(path.resolve().name.partition(".")[0]) or "text"


def print_result(run: Run, options: TrainOptions) -> None:
    """Print the scores, the remarks and an example of a run, and the next command."""
    from hello_runtime.text.score import score_table

    note_projection(run, options)
    if run.scores:
        click.echo(score_table(run.scores, "held-out lines"))
    for remark in run.remarks:
        click.echo(f"note: {remark}", err=True)
    example = run.training.example
    click.echo(f"{example} -> {run.network.rewrite(example)}")
    click.echo(f"saved {run.checkpoint}, and {REPORT_NAME} beside it; now:")
    click.echo(shlex.join(["hello-export", str(run.checkpoint.parent)]))


def print_comparison(runs: Sequence[Run], folder: Path) -> None:
    """Print for each cell when its network was right first, and where the report is."""
    from hello_train.fit.hello import HELLO

    for run in runs:
        epoch = next(s.first for s in run.history.outputs if s.text == HELLO.target)
        click.echo(f"{run.config.cell}: first said {HELLO.target!r} in epoch {epoch}")
    click.echo(f"saved {folder}; now open {folder / REPORT_NAME}")
