"""Starts what `hello-train` was asked for: reads the lines, imports PyTorch, trains, prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from hello_runtime.errors import printable
from hello_runtime.process import importing

from hello_train.data.corruption import CORRUPTIONS, check_corruption, find_corruption
from hello_train.data.lines import Split, read
from hello_train.data.sources import (
    Source,
    class_source,
    pair_source,
    passage_source,
    text_source,
)
from hello_train.files import RESUME_NAME
from hello_train.fit.environment import set_defaults
from hello_train.fit.options import TrainOptions
from hello_train.fit.task_options import LearnedTask
from hello_train.results import print_reading, print_result, print_task

if TYPE_CHECKING:
    from hello_train.fit.job import TrainingJob


def import_training() -> None:
    """Import PyTorch and all modules that a training needs.

    It takes seconds, so help, wrong usage and unreadable files are reported before it.
    """
    set_defaults()
    with importing():
        import hello_train.fit.hello
        import hello_train.fit.progress
        import hello_train.report.pages  # noqa: F401


class LinesToLearn(NamedTuple):
    """What the command line says of a training on lines."""

    paths: Sequence[Path]
    extra: Sequence[Path]
    """Files and folders of which nothing is held out."""
    options: TrainOptions
    folder: Path
    resume: bool

    def read(self, source: Source, *, skip_unaligned: bool = False) -> Split:
        """Read the lines."""
        holdout, seed = self.options.holdout, self.options.seed
        return read(source, self.paths, self.extra, holdout, seed, skip_unaligned=skip_unaligned)

    def data(self, how: str) -> str:
        """Return the names of the files, and how inputs and targets come about."""
        names = [path.name for path in (*self.paths, *self.extra)]
        return ", ".join(map(printable, [*names, how]))


def learn_rewriting(asked: LinesToLearn, corrupt: str | None, *, skip_unaligned: bool) -> None:
    """Train on pairs, or on text and a corruption, and print the result."""
    if corrupt and corrupt not in CORRUPTIONS:
        check_corruption(corrupt)
        import_training()  # before the user's own module
        from hello_train.report.pages import compile_templates

        compile_templates()
    form = asked.options.normalization
    source = text_source(find_corruption(corrupt), form) if corrupt else pair_source(form)
    lines = asked.read(source, skip_unaligned=skip_unaligned)
    import_training()
    from hello_train.fit.run import run_lines

    with joined_job(asked, lines, corrupt or "pairs") as job:
        run = run_lines(job)
    if run:
        print_result(run, asked.folder, asked.options)


def learn_task(asked: LinesToLearn, task: LearnedTask) -> None:
    """Train a classifier, or a network of the task next, and print the result."""
    by_class = task == "classify"
    form = asked.options.normalization
    lines = asked.read((class_source if by_class else passage_source)(form))
    import_training()
    from hello_train.fit.task_run import run_task
    from hello_train.report.tasks import quality_of

    with joined_job(asked, lines, task, partial(quality_of, by_class)) as job:
        run = run_task(task, job)
    if run:
        print_task(run, asked.folder, asked.options)


@contextmanager
def joined_job(
    asked: LinesToLearn, lines: Split, how: str, quality: Callable[[float], str] | None = None
) -> Iterator[TrainingJob]:
    """Join the processes of torchrun, and give the job of this one, which the leading one shows.

    Args:
        asked: what to learn.
        lines: the lines that were read.
        how: the corruption, or the task.
        quality: returns what an evaluation found, in words; None for the share that is right.
    """
    from hello_train.fit.job import TrainingJob
    from hello_train.fit.parallel import team
    from hello_train.fit.progress import ProgressDisplay

    options, folder, resume = asked.options, asked.folder, asked.resume
    with team() as joined, resumable(folder, leads=joined.leads, resume=resume):
        if joined.leads:
            print_reading(lines, options.normalization)
        callbacks = [ProgressDisplay(quality=quality)] if joined.leads else []
        data = asked.data(how)
        yield TrainingJob(lines, data, options, folder, callbacks, resume, joined)


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
