"""The command `hello-export`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError, first_line, lacks_memory
from hello_runtime.model.model_file import MODEL_NAME
from hello_runtime.process import importing
from hello_train.errors import TrainError
from hello_train.files import CHECKPOINT_NAME
from hello_train.fit.environment import set_defaults
from hello_train.fit.options import HELLO_OPTIONS, run_folder
from hello_train.network.cells import CELLS

from hello_export.errors import ExportError
from hello_export.graph.storage import STORAGES, Storage
from hello_export.outside_options import OUTSIDE, check_outside, outside_options, read_outside
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


class Wanted(NamedTuple):
    """What the options ask of an export, whatever is exported."""

    output: Path | None
    storage: Storage | None
    strict: bool
    page: Path | None
    package: str | None

    @property
    def folder(self) -> Path | None:
        """The folder to write; None for the one that follows from what is exported."""
        return self.output or (Path(self.package) if self.package else None)


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
    if artifact:
        if run or cell or output or storage or page or package is not None or own:
            raise click.UsageError("--verify takes an artifact alone: it exports nothing.")
        verify(artifact, characters or CHARACTERS, trust_program, strict)
        return
    if characters:
        raise click.UsageError("--characters belongs to --verify.")
    if trust_program:
        raise click.UsageError("--trust-program belongs to --verify.")
    check_outside(run, own)
    if run and cell and not own:
        raise click.UsageError("RUN and --cell exclude each other: a run has its cell.")
    wanted = Wanted(output, storage, strict, page, package)
    check_places(wanted)
    if run and own:
        export(weights_job(run, wanted, {"cell": cell, **outside}), wanted)
    elif run:
        export(run_job(run, wanted), wanted)
    else:
        export_hello(cell or "gru", wanted)


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


def check_places(wanted: Wanted) -> None:
    """Check, before anything is read, that a page and a project may be written where they go.

    Raises:
        PageError: something else is there.
        PackageError: something else is there, or no package can have this name.
    """
    if wanted.page:
        from hello_export.page import check_replaceable

        check_replaceable(wanted.page)
    if wanted.package is not None:
        from hello_export.package.names import check_name
        from hello_export.package.project import check_project

        check_name(wanted.package)
        check_project(wanted.folder or Path(wanted.package))


def weights_job(file: Path, wanted: Wanted, options: Mapping[str, Any]) -> ExportJob:
    """Return the export of a file of weights; print what was recognised in it.

    Raises:
        ExportError: there is no folder to write, or the file has other parts.
    """
    folder = wanted.folder or folder_of(file)
    with Display(f"reading {file}"):
        import_export()
        from hello_export.job import ExportJob

        found = read_outside(file, options)
    for line in found.account:
        click.echo(line, err=True)
    storage = wanted.storage or "float32"
    return ExportJob(found.network, found.training, folder, storage, strict=wanted.strict)


def folder_of(file: Path) -> Path:
    """Return the folder for the artifact of a file of weights: its path without the suffix.

    Raises:
        ExportError: its name has no suffix.
    """
    if not file.suffix:
        raise ExportError(f"{file}: its name has no suffix; name the artifact folder with --output")
    return file.with_suffix("")


def run_job(run: Path, wanted: Wanted) -> ExportJob:
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
        storage = wanted.storage or stored or "float32"
        # Held-out lines measure the cost of smaller weights.
        held_out = read_holdout(home, network.config.task) if storage != "float32" else []
    if training.data == HELLO_DATA and (said := network.rewrite(HELLO.input)) != HELLO.target:
        click.echo(f"note: this network did not learn {HELLO_DATA}; it says {said!r}", err=True)
    folder = wanted.folder or (home if stored else home / "artifact")
    baseline = home / BASELINE_NAME
    carried = baseline if os.path.lexists(baseline) else None
    return ExportJob(network, training, folder, storage, held_out, carried, wanted.strict)


def export_hello(cell: str, wanted: Wanted) -> None:
    """Export the post's example; train it if there is no checkpoint.

    The engines' processes start beside the training: all of them can run this network.
    """
    set_defaults()
    with importing_libraries():
        import hello_runtime.engine.ort  # noqa: F401  (which says its version)

        from hello_export.proof.installed import start_engines
    with start_engines() as processes:
        job = run_job(hello_run(cell), wanted)
        export(replace(job, processes=processes), wanted)


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


def export(job: ExportJob, wanted: Wanted) -> None:
    """Write an artifact or the project of a package, and a page; print the proof and what to do."""
    package = wanted.package
    with Display("writing the artifact") as progress:
        if package:
            from hello_export.package.project import write_package  # its templates need jinja2

            made = write_package(package, job, progress)
        else:
            from hello_export.artifact import write_artifact

            made = write_artifact(job, progress)
    show_export(made, job, package)
    if wanted.page:
        from hello_export.page import write_page

        model = (job.folder / "src" / package if package else job.folder) / MODEL_NAME
        show_page(wanted.page, write_page(model, wanted.page))


def import_export() -> None:
    """Import PyTorch and the modules that need it, late: the help must not wait for them."""
    set_defaults()
    with importing_libraries():
        import hello_export.artifact
        import hello_export.verify  # noqa: F401


@contextmanager
def importing_libraries() -> Iterator[None]:
    """Import libraries in this context, with whatever a broken one raises as an ImportError.

    onnx raises a TypeError beside another protobuf, and PyTorch an OSError without its libraries.
    """
    try:
        with importing():
            yield
    except Exception as error:
        if isinstance(error, ImportError) or lacks_memory(error):
            raise
        raise ImportError(first_line(error)) from error
