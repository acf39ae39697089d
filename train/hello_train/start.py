"""Starts the training that `hello-train` was asked for: reads its lines, then imports PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from hello_runtime.errors import printable
from hello_runtime.process import importing

from hello_train.data.corruption import CORRUPTIONS, check_corruption, find_corruption
from hello_train.data.lines import read
from hello_train.data.sources import class_source, pair_source, passage_source, text_source
from hello_train.files import RESUME_NAME
from hello_train.fit.environment import set_defaults
from hello_train.fit.options import TrainOptions, run_folder
from hello_train.fit.task_options import TASK_OPTIONS, LearnedTask
from hello_train.results import print_reading, print_result, print_task
from hello_train.usage import choose_options


def import_training() -> None:
    """Import PyTorch and all modules that a training needs.

    It takes seconds, so help, wrong usage and unreadable files are reported before it.
    """
    set_defaults()
    with importing():
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
        from hello_train.report.pages import compile_templates

        compile_templates()
    form = options.normalization
    source = text_source(find_corruption(corrupt), form) if corrupt else pair_source(form)
    lines = read(source, paths, extra, options.holdout, options.seed, skip_unaligned=skip_unaligned)
    names = [printable(path.name) for path in (*paths, *extra)]
    data = ", ".join([*names, printable(corrupt or "pairs")])
    import_training()
    from hello_train.fit.job import TrainingJob
    from hello_train.fit.parallel import team
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.fit.run import run_lines

    with team() as joined, resumable(folder, leads=joined.leads, resume=resume):
        if joined.leads:
            print_reading(lines, form)
        callbacks = [ProgressDisplay()] if joined.leads else []
        run = run_lines(TrainingJob(lines, data, options, folder, callbacks, resume, joined))
    if run:
        print_result(run, folder, options)


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
    task: LearnedTask = "classify" if by_class else "next"
    options = choose_options(TASK_OPTIONS[task], given)
    folder = output or run_folder(name_of(paths[0]), options.cell)
    form = options.normalization
    source = (class_source if by_class else passage_source)(form)
    lines = read(source, paths, extra, options.holdout, options.seed)
    import_training()
    from hello_train.fit.job import TrainingJob
    from hello_train.fit.parallel import team
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.fit.task_run import run_task
    from hello_train.report.tasks import quality_of

    data = ", ".join([*(printable(path.name) for path in (*paths, *extra)), task])
    with team() as joined, resumable(folder, leads=joined.leads, resume=resume):
        if joined.leads:
            print_reading(lines, form)
        shown = ProgressDisplay(quality=partial(quality_of, by_class))
        callbacks = [shown] if joined.leads else []
        run = run_task(task, TrainingJob(lines, data, options, folder, callbacks, resume, joined))
    if run:
        print_task(run, folder, options)


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


def name_of(path: Path) -> str:
    """Return the name of a run on a file or folder: `text` for `text.txt.gz`."""
    return printable(path.resolve().name.partition(".")[0]) or "text"
