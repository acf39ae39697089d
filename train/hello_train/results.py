"""What `hello-train` prints: what it read, and at its end scores, an example, the next command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from hello_runtime.text.normal_forms import NormalForm

from hello_train.data.lines import Split
from hello_train.files import REPORT_NAME
from hello_train.fit.options import TrainOptions

if TYPE_CHECKING:
    from hello_train.fit.run import Run
    from hello_train.fit.task_run import TaskRun


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


def print_result(run: Run, options: TrainOptions) -> None:
    """Print the result of a run that rewrites text."""
    from hello_runtime.text.score import score_table

    example = run.training.example
    table = score_table(run.scores, "held-out lines") if run.scores else None
    print_run(run, options, table, f"{example} -> {run.network.rewrite(example)}")


def print_task(run: TaskRun, options: TrainOptions) -> None:
    """Print the result of a run that does another task."""
    from hello_runtime.text.measures import measures_table

    sample = run.sample
    if run.config.task == "classify":
        from hello_train.fit.task_evaluation import classified

        example = run.training.example
        sample = f"{example} -> {classified(run.network, [example])[0]}"
    title = "held-out lines" if run.config.task == "classify" else "held-out text"
    table = measures_table(run.measures, title) if run.measures else None
    print_run(run, options, table, sample)


def print_run(run: Run, options: TrainOptions, table: str | None, sample: str) -> None:
    """Print the table of a run, its remarks, what it says, and the next command."""
    if options.projection is False and run.config.projection:
        click.echo(
            f"note: a projection was added, for {run.config.features} hidden values are not "
            f"{run.config.labels} labels",
            err=True,
        )
    if table:
        click.echo(table)
    for remark in run.remarks:
        click.echo(f"note: {remark}", err=True)
    click.echo(sample)
    click.echo(f"saved {run.checkpoint}, and {REPORT_NAME} beside it; now:")
    click.echo(shlex.join(["hello-export", str(run.checkpoint.parent)]))


def print_comparison(runs: Sequence[Run], folder: Path) -> None:
    """Print for each cell when its network was right first, and where the report is."""
    from hello_train.fit.hello import HELLO

    for run in runs:
        epoch = next(s.first for s in run.history.outputs if s.text == HELLO.target)
        click.echo(f"{run.config.cell}: first wrote {HELLO.target!r} in epoch {epoch}")
    click.echo(f"saved {folder}; now open {folder / REPORT_NAME}")
