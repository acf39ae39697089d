"""The command `hello-export`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from hello_runtime.errors import HelloRuntimeError
from hello_train.command import OneLineErrors
from hello_train.config import CELLS, Cell
from hello_train.errors import TrainError
from hello_train.options import HELLO_OPTIONS, run_folder

from hello_export.errors import ExportError


class OneLineExportErrors(OneLineErrors):
    """Likewise, for the errors of all three packages."""

    errors = (ExportError, TrainError, HelloRuntimeError)
    extra = "export"
    needs = (*OneLineErrors.needs, "onnx")


@click.command(cls=OneLineExportErrors, context_settings={"help_option_names": ["-h", "--help"]})
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
@click.version_option(package_name="hello-rnn", prog_name="hello-export")
def main(run: Path | None, cell: Cell | None, output: Path | None) -> None:
    """Export a run of hello-train to TorchScript and ONNX, once both say what PyTorch says.

    RUN is the folder of a run, or its checkpoint file. The artifact is a folder of model.onnx,
    model.pt and manifest.json; model.onnx alone is enough to decode.
    """
    if run and cell:
        raise click.UsageError("RUN and --cell exclude each other: a run has its cell.")

    # Only now, so that help and usage are answered without waiting for torch.
    from hello_train.checkpoint import load_checkpoint

    from hello_export.artifact import write_artifact
    from hello_export.parity import table

    run = run or hello_run(cell or "gru")
    network, training = load_checkpoint(run)
    folder = output or (run if run.is_dir() else run.parent) / "artifact"
    click.echo(table(write_artifact(network, training, folder)))
    click.echo(f"saved {folder}; now, with or without torch:")
    example = [training.example] if training.example[:1] != "-" else ["--", training.example]
    click.echo(shlex.join(["hello-infer", "--model", str(folder), *example]))


def hello_run(cell: Cell) -> Path:
    """Return the folder of the post's example, trained now if it was not before."""
    from dataclasses import replace

    from hello_train.checkpoint import FILE_NAME, load_checkpoint
    from hello_train.progress import ProgressDisplay
    from hello_train.run import HELLO, HELLO_DATA, run_hello

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
