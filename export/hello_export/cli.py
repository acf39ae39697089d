"""The command `hello-export`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError
from hello_runtime.model.kinds import ONNX, TEXT, WHEEL, kind_of
from hello_runtime.process import importing
from hello_train.errors import TrainError
from hello_train.files import CHECKPOINT_NAME, is_checkpoint
from hello_train.fit.environment import set_defaults
from hello_train.fit.options import HELLO_OPTIONS, run_folder
from hello_train.network.cells import CELLS

from hello_export.errors import ExportError
from hello_export.graph.storage import STORAGES, Storage
from hello_export.outside_options import OUTSIDE, option_of, outside_options, read_outside
from hello_export.progress import Display
from hello_export.results import show_export, show_page, show_proof

if TYPE_CHECKING:
    from hello_export.job import ExportJob

CHARACTERS = 1_000_000
"""Least number of characters that --verify compares on, by default."""

SECTIONS = {
    "Export": ("cell", "output", "storage", "page", "package", "strict"),
    "A network of your own": OUTSIDE,
    "Prove again": ("artifact", "characters", "trust_program"),
}
"""The sections of the help."""


@click.command(
    "hello-export",
    cls=Command,
    errors=(ExportError, TrainError, HelloRuntimeError),
    extra="export",
    sections=SECTIONS,
)
@click.argument("run", required=False, type=click.Path(path_type=Path), metavar="[RUN|WEIGHTS]")
@click.option(
    "--cell",
    type=click.Choice(CELLS),
    help="Export the first example, hello, with this cell; train it first if there is no "
    "checkpoint. With WEIGHTS: the recurrence to take, if there are several.  [default: gru]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder to write, of the artifact or the project.  [default: RUN/artifact, or RUN if it "
    "is an artifact itself; the path of WEIGHTS without its suffix; NAME with --package]",
)
@click.option(
    "--weights",
    "storage",
    type=click.Choice(STORAGES),
    help="Type of the weights in model.onnx; the smaller types make a smaller file.  [default: "
    "float32, or as in RUN if it is an artifact itself]",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page too, such as model.html: one HTML file with the model inside, which works "
    "in a browser as one types, without a network.",
)
@click.option(
    "--package",
    metavar="NAME",
    help="Write a project of Python in the place of the artifact: its wheel has the model, the "
    "module NAME and the command NAME, and needs no torch.",
)
@outside_options
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse the export, or fail --verify, also if a witness differs: an engine that happens "
    "to be installed. Otherwise a witness that differs is a line on stderr.",
)
@click.option(
    "--verify",
    "artifact",
    type=click.Path(path_type=Path),
    metavar="ARTIFACT",
    help="Export nothing; compare an artifact again, on every engine that is installed.",
)
@click.option(
    "--characters",
    type=click.IntRange(1, 10**10),
    help=f"Least number of characters that --verify compares.  [default: {CHARACTERS}]",
)
@click.option(
    "--trust-program",
    is_flag=True,
    help="With --verify: run model.pt and model.onnx even if they are not what the checkpoint "
    "makes. They can do anything that you can do, so use it only if you trust their author.",
)
@click.version_option(__version__, prog_name="hello-export")
def main(
    run: Path | None,
    cell: str | None,
    output: Path | None,
    storage: Storage | None,
    page: Path | None,
    package: str | None,
    strict: bool,
    artifact: Path | None,
    characters: int | None,
    trust_program: bool,
    **outside: Any,
) -> None:
    """Export a network to TorchScript and ONNX, if both agree with PyTorch.

    RUN is the folder of a run of hello-train, its checkpoint file, or an artifact. WEIGHTS is a
    file with the weights of your own network (an embedding, an RNN, GRU or LSTM, and a linear layer
    or none): a state dict saved by torch.save, .safetensors, .npz or TorchScript. It needs
    --alphabet.

    The artifact is a folder with model.onnx, model.pt, the checkpoint, manifest.json and, if the
    run learned from a file, baseline.json. model.onnx alone is enough to decode.
    """
    own = {name: value for name, value in outside.items() if value not in (None, ())}
    if characters and not artifact:
        raise click.UsageError("--characters belongs to --verify.")
    if trust_program and not artifact:
        raise click.UsageError("--trust-program belongs to --verify.")
    if artifact:
        if run or cell or output or storage or page or package is not None or own:
            raise click.UsageError("--verify takes an artifact alone: it exports nothing.")
        verify(artifact, characters or CHARACTERS, trust_program, strict)
        return
    if page:
        from hello_export.page import check_replaceable

        check_replaceable(page)
    if package is not None:
        from hello_export.package.names import check_name
        from hello_export.package.project import check_project

        check_name(package)
        check_project(output or Path(package))
    folder = output or (Path(package) if package else None)
    if check_outside(run, own):
        assert run
        job = weights_job(run, folder, storage, strict, {"cell": cell, **outside})
        export(job, package)
    elif run and cell:
        raise click.UsageError("RUN and --cell exclude each other: a run has its cell.")
    elif run:
        job = run_job(run, folder, storage, strict)
        export(job, package)
    else:
        job = export_hello(cell or "gru", folder, storage, strict, package)
    if page:
        show_page(job.folder / "src" / package if package else job.folder, page)


def check_outside(run: Path | None, own: Mapping[str, Any]) -> bool:
    """Tell whether a file of weights is to be exported, and check that its options belong to it.

    Raises:
        click.UsageError: an option is missing, or does not belong to a run.
        ExportError: the file is no checkpoint, and there is no alphabet.
    """
    is_weights = run is not None and run.is_file() and not is_checkpoint(run)
    if not own:
        if run and is_weights:
            raise ExportError(no_checkpoint(run))
        return False
    if "alphabet" not in own:
        raise click.UsageError(f"{option_of(next(iter(own)))} belongs to --alphabet.")
    if run is None:
        raise click.UsageError("--alphabet belongs to a file of weights: name it.")
    if run.exists() and not is_weights:
        raise click.UsageError(f"--alphabet belongs to a file of weights{why_none(run)}.")
    return True


def why_none(path: Path) -> str:
    """Return why a path that exists is no file of weights, for an error."""
    if path.is_dir() and not (path / CHECKPOINT_NAME).exists():
        return f", and {path} is a folder"
    if path.is_dir() or path.is_file():
        return ": a run has its alphabet"
    return f", and {path} is no regular file"


def no_checkpoint(file: Path) -> str:
    """Return what a file is that is no checkpoint, and what to do."""
    kind, what = kind_of(file), f"{file}: it is no checkpoint of hello-train"
    if kind == ONNX and (beside := file.with_name(CHECKPOINT_NAME)).exists():
        return f"{what}, but {kind}; it was made of {beside}, which can be exported again"
    if kind in (ONNX, TEXT, WHEEL):
        return (
            f"{what}, but {kind}; name a run or a checkpoint, or, with --alphabet, a file with the "
            f"weights of a network of your own"
        )
    return (
        f"{what}; if it has the weights of a network of your own, say which characters it reads, "
        f"with --alphabet"
    )


def import_export() -> None:
    """Import PyTorch and the modules that need it, late: the help must not wait for them."""
    set_defaults()
    with importing():
        import hello_export.artifact
        import hello_export.verify  # noqa: F401


def run_job(run: Path, folder: Path | None, storage: Storage | None, strict: bool) -> ExportJob:
    """Return the export of a run, by default into its folder `artifact`, or in its own place.

    Raises:
        CheckpointError: there is no network.
    """
    with Display(f"reading {run}"):
        import_export()
        from hello_runtime.text.baseline import BASELINE_NAME
        from hello_train.fit.hello import HELLO, HELLO_DATA
        from hello_train.fit.holdout import read_holdout
        from hello_train.network.checkpoint import load_checkpoint

        from hello_export.job import ExportJob
        from hello_export.manifest import stored_weights

        network, training = load_checkpoint(run)
        home = run if run.is_dir() else run.parent
        stored = stored_weights(home)  # RUN may be an artifact, which is then replaced
        storage = storage or stored or "float32"
        # Held-out lines measure the cost of smaller weights.
        held_out = read_holdout(home, network.config.task) if storage != "float32" else []
    if training.data == HELLO_DATA and (said := network.rewrite(HELLO.input)) != HELLO.target:
        click.echo(f"note: this network did not learn {HELLO_DATA}; it says {said!r}", err=True)
    folder = folder or (home if stored else home / "artifact")
    baseline = home / BASELINE_NAME
    carried = baseline if os.path.lexists(baseline) else None
    return ExportJob(network, training, folder, storage, held_out, carried, strict)


def weights_job(
    file: Path,
    folder: Path | None,
    storage: Storage | None,
    strict: bool,
    options: Mapping[str, Any],
) -> ExportJob:
    """Return the export of a file of weights; print what was recognised in it.

    Raises:
        ExportError: there is no folder to write, or the file has other parts.
    """
    folder = folder or folder_of(file)
    with Display(f"reading {file}"):
        import_export()
        from hello_export.job import ExportJob

        found = read_outside(file, options)
    for line in found.account:
        click.echo(line, err=True)
    return ExportJob(found.network, found.training, folder, storage or "float32", strict=strict)


def export(job: ExportJob, package: str | None) -> None:
    """Write an artifact, or the project of a package; print the proof, and what to do next."""
    with Display("writing the artifact") as progress:
        if package:
            from hello_export.package.project import write_package  # its templates need jinja2

            made = write_package(package, job, progress)
        else:
            from hello_export.artifact import write_artifact

            made = write_artifact(job, progress)
    show_export(made, job, package)


def export_hello(
    cell: str, folder: Path | None, storage: Storage | None, strict: bool, package: str | None
) -> ExportJob:
    """Export the post's example, and return what was exported; train it if there is no checkpoint.

    The engines' processes start beside the training: all of them can run this network.
    """
    set_defaults()
    with importing():
        from hello_export.proof.installed import start_engines
    with start_engines() as processes:
        job = run_job(hello_run(cell), folder, storage, strict)
        export(replace(job, processes=processes), package)
    return job


def folder_of(file: Path) -> Path:
    """Return the folder for the artifact of a file of weights: its path without the suffix.

    Raises:
        ExportError: its name has no suffix.
    """
    if not file.suffix:
        raise ExportError(f"{file}: its name has no suffix; name the artifact folder with --output")
    return file.with_suffix("")


def verify(artifact: Path, characters: int, trust_program: bool, strict: bool) -> None:
    """Compare an artifact again and print the proof, even if it fails."""
    with Display(f"reading {artifact}") as progress:
        import_export()
        from hello_export.verify import verify_artifact

        report = verify_artifact(
            artifact, characters, trusted=trust_program, strict=strict, progress=progress
        )
    show_proof(report)
    report.check()


def hello_run(cell: str) -> Path:
    """Return the folder of the post's example; train it now if there is no checkpoint."""
    import_export()
    from hello_train.fit.hello import HELLO, HELLO_DATA, run_hello
    from hello_train.fit.progress import ProgressDisplay
    from hello_train.network.checkpoint import load_checkpoint

    folder = run_folder("hello", cell)
    if not (folder / CHECKPOINT_NAME).exists():
        click.echo(f"no checkpoint in {folder}; training one", err=True)
        run_hello(replace(HELLO_OPTIONS, cell=cell), folder, [ProgressDisplay(HELLO.input)])
        return folder
    network, training = load_checkpoint(folder)
    if training.data != HELLO_DATA:
        raise ExportError(
            f"{folder} holds a run that learned {training.data!r}, not the post's example; "
            f"to export it run: hello-export {folder}"
        )
    if (said := network.rewrite(HELLO.input)) != HELLO.target:
        raise ExportError(
            f"{folder} holds a network that says {said!r} to {HELLO.input!r}, not "
            f"{HELLO.target!r}; train another: hello-train --cell {cell}; or export this one: "
            f"hello-export {folder}"
        )
    return folder
