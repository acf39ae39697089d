"""The command `hello-export`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError
from hello_runtime.process import ending_at_once
from hello_train.config import CELLS, Cell
from hello_train.errors import TrainError
from hello_train.options import HELLO_OPTIONS, run_folder

from hello_export.errors import ExportError
from hello_export.storage import STORAGES, Storage

if TYPE_CHECKING:
    from hello_export.cases import Case

CHARACTERS = 1_000_000
"""How many a verdict is given on."""


SECTIONS = {
    "Export": ("cell", "output", "storage"),
    "Prove again": ("artifact", "characters"),
}
"""Of the help."""


@click.command(
    "hello-export",
    cls=Command,
    errors=(ExportError, TrainError, HelloRuntimeError),
    extra="export",
    sections=SECTIONS,
)
@click.argument("run", required=False, type=click.Path(path_type=Path), metavar="[RUN]")
@click.option(
    "--cell",
    type=click.Choice(CELLS),
    help="Export the hello of this cell, and train it first if it was not.  [default: gru]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The artifact folder.  [default: RUN/artifact]",
)
@click.option(
    "--weights",
    "storage",
    type=click.Choice(STORAGES),
    help="How model.onnx keeps the weights: the smaller, the smaller the file.  [default: float32]",
)
@click.option(
    "--verify",
    "artifact",
    type=click.Path(path_type=Path),
    metavar="ARTIFACT",
    help="Export nothing; compare an artifact again, on the engines that are installed.",
)
@click.option(
    "--characters",
    type=click.IntRange(1, 10**10),
    help=f"How many --verify compares on, at least.  [default: {CHARACTERS}]",
)
@click.version_option(__version__, prog_name="hello-export")
def main(
    run: Path | None,
    cell: Cell | None,
    output: Path | None,
    storage: Storage | None,
    artifact: Path | None,
    characters: int | None,
) -> None:
    """Export a run of hello-train to TorchScript and ONNX, once both say what PyTorch says.

    RUN is the folder of a run, or its checkpoint file. The artifact is a folder of model.onnx,
    model.pt, the checkpoint, manifest.json and, of a run on a file, baseline.json; model.onnx alone
    is enough to decode.
    """
    if run and cell:
        raise click.UsageError("RUN and --cell exclude each other: a run has its cell.")
    if characters and not artifact:
        raise click.UsageError("--characters belongs to --verify.")
    if not artifact:
        export(run or hello_run(cell or "gru"), output, storage or "float32")
    elif run or cell or output or storage:
        raise click.UsageError("--verify takes an artifact alone: it exports nothing.")
    else:
        verify(artifact, characters or CHARACTERS)


def import_export() -> None:
    """Import PyTorch and what of ours needs it; late, that help and usage do not wait for it."""
    with ending_at_once():
        import hello_export.artifact
        import hello_export.verify  # noqa: F401


def export(run: Path, output: Path | None, storage: Storage) -> None:
    """Export a run, and print the proof and what to do next."""
    import_export()
    from hello_train.checkpoint import load_checkpoint
    from hello_train.run import BASELINE_NAME, read_holdout

    from hello_export.artifact import write_artifact
    from hello_export.parity import table

    network, training = load_checkpoint(run)
    home = run if run.is_dir() else run.parent
    folder = output or home / "artifact"
    # Only smaller weights are judged by text.
    lines = [] if storage == "float32" else [pair.input for pair in read_holdout(home)]
    baseline = home / BASELINE_NAME
    made = write_artifact(
        network, training, folder, storage, lines, baseline if baseline.exists() else None
    )
    click.echo(table(made.report))
    if made.cost:
        click.echo(f"{storage}: {made.cost}")
    click.echo(f"saved {folder}; now, with or without torch:")
    example = [training.example] if training.example[:1] != "-" else ["--", training.example]
    click.echo(shlex.join(["hello-infer", "--model", str(folder), *example]))


def verify(artifact: Path, characters: int) -> None:
    """Compare an artifact again and print the proof, or what is left of it."""
    import_export()
    from hello_export.parity import table
    from hello_export.verify import verify_artifact

    if sys.stderr.isatty():
        with click.progressbar(length=characters, file=sys.stderr) as bar:
            report = verify_artifact(artifact, characters, partial(counted, bar))
    else:
        report = verify_artifact(artifact, characters)
    click.echo(table(report))
    report.check()


def counted(bar: Any, cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases, and move a progress bar on by their characters when they are done."""
    for case in cases:
        yield case
        bar.update(case.characters)


def hello_run(cell: Cell) -> Path:
    """Return the folder of the post's example, trained now if it was not before."""
    with ending_at_once():
        import hello_train.hello
        import hello_train.report  # noqa: F401
    from dataclasses import replace

    from hello_train.checkpoint import FILE_NAME, load_checkpoint
    from hello_train.hello import HELLO, HELLO_DATA, run_hello
    from hello_train.progress import ProgressDisplay

    folder = run_folder("hello", cell)
    if not (folder / FILE_NAME).exists():
        click.echo(f"no checkpoint in {folder}; training one", err=True)
        run_hello(replace(HELLO_OPTIONS, cell=cell), folder, ProgressDisplay(HELLO.input))
    elif (found := load_checkpoint(folder)[1].data) != HELLO_DATA:
        raise ExportError(
            f"{folder} holds a run that learned {found!r}, not the post's example; "
            f"to export it run: hello-export {folder}"
        )
    return folder
