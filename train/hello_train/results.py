"""What `hello-train` prints: what it read, and at its end scores, an example, the next command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from hello_runtime.text.normal_forms import NormalForm

from hello_train.data.lines import Split
from hello_train.files import CHECKPOINT_NAME, REPORT_NAME
from hello_train.fit.options import TrainOptions

if TYPE_CHECKING:
    from hello_train.report.pages import HelloRun, Run, TextRun
    from hello_train.report.tasks import TaskRun


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


def print_hello(run: HelloRun, folder: Path, options: TrainOptions) -> None:
    """Print the result of a run on hello."""
    print_run(run, folder, options, example_of(run))


def print_result(run: TextRun, folder: Path, options: TrainOptions) -> None:
    """Print the result of a run that rewrites text."""
    from hello_runtime.text.score import score_table

    table = score_table(run.scores, "held-out lines") if run.scores else None
    print_run(run, folder, options, example_of(run), table, run.remarks)


def print_task(run: TaskRun, folder: Path, options: TrainOptions) -> None:
    """Print the result of a run that does another task."""
    from hello_runtime.text.measures import measures_table

    sample = run.sample
    if run.by_class:
        from hello_train.fit.task_evaluation import classified

        example = run.training.example
        sample = f"{example} -> {classified(run.network, [example])[0]}"
    title = "held-out lines" if run.by_class else "held-out text"
    table = measures_table(run.measures, title) if run.measures else None
    print_run(run, folder, options, sample, table, run.remarks)


def example_of(run: Run) -> str:
    """Return the example of a run, and what the network makes of it."""
    example = run.training.example
    return f"{example} -> {run.network.rewrite(example)}"


def print_run(
    run: Run,
    folder: Path,
    options: TrainOptions,
    sample: str,
    table: str | None = None,
    remarks: Sequence[str] = (),
) -> None:
    """Print the table of a run, its remarks, what the network says, and the next command."""
    if options.projection is False and run.config.projection:
        click.echo(
            f"note: a projection was added, for {run.config.features} hidden values are not "
            f"{run.config.labels} labels",
            err=True,
        )
    if table:
        click.echo(table)
    for remark in remarks:
        click.echo(f"note: {remark}", err=True)
    click.echo(sample)
    click.echo(f"saved {folder / CHECKPOINT_NAME}, and {REPORT_NAME} beside it; now:")
    click.echo(shlex.join(["hello-export", str(folder)]))


def print_comparison(runs: Sequence[HelloRun], folder: Path) -> None:
    """Print for each cell when its network was right first, and where the report is."""
    from hello_train.fit.hello import HELLO

    for run in runs:
        epoch = next(s.first for s in run.history.outputs if s.text == HELLO.target)
        click.echo(f"{run.config.cell}: first wrote {HELLO.target!r} in epoch {epoch}")
    click.echo(f"saved {folder}; now open {folder / REPORT_NAME}")
