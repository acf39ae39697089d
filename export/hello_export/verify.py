"""Proves an artifact again, where it is now and on the engines that are installed here.

The artifact may be a stranger's, and engines are native code. So its files are read once, compared
with the manifest's digests, and then with what its checkpoint makes. Only then they are run, from a
private folder with a copy of what was read.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hello_runtime.model.kinds import PROJECT, RUN, kind_of
from hello_runtime.model.model_file import MODEL_NAME, read_model
from hello_train.files import CHECKPOINT_NAME
from hello_train.network.checkpoint import Training, load_checkpoint
from hello_train.network.model import Network

from hello_export.errors import ArtifactError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.torchscript import PROGRAM_NAME, program_bytes
from hello_export.manifest import MANIFEST_NAME, Manifest, digest, read_manifest, read_plain
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import count_characters, grid_cases
from hello_export.proof.prove import prove
from hello_export.proof.verdict import Report
from hello_export.remake import check_model, check_program

SEED = 1
"""Seed of the text; not the export's, so that the cases are new ones."""


def verify_artifact(
    path: Path,
    characters: int,
    *,
    trusted: bool = False,
    strict: bool = False,
    progress: Progress = SILENT,
) -> Report:
    """Compare the files of an artifact with the network in its checkpoint.

    Args:
        path: the folder, or the model file in it.
        characters: the least number to compare on.
        trusted: whether to run the model and the program even if they are not what the checkpoint
            makes.
        strict: whether witnesses are targets too.
        progress: shows how far the comparison is.

    Returns:
        The report, not checked yet.

    Raises:
        ArtifactError: the files have changed, or are not what the checkpoint makes.
        CheckpointError: the checkpoint is damaged.
        ModelFileError: the model is trusted, and is no ONNX file or refers to other files.
    """
    folder = artifact_folder(path)
    manifest = read_manifest(folder / MANIFEST_NAME)
    content = read_unchanged(folder, manifest.digests)
    network, training = load_checkpoint(folder / CHECKPOINT_NAME)
    check_manifest(folder / MANIFEST_NAME, manifest, network, training)
    rounded = round_weights(network, manifest.storage)
    model, program = folder / MODEL_NAME, folder / PROGRAM_NAME
    if trusted:
        read_model(model)
    else:
        expected = build_model(rounded, training, manifest.storage)
        check_model(model, content[MODEL_NAME], expected, manifest.tools)
        check_program(program, content[PROGRAM_NAME], program_bytes(rounded), manifest.tools)
    with TemporaryDirectory(prefix="hello-export.") as private:
        for name in (MODEL_NAME, PROGRAM_NAME):
            Path(private, name).write_bytes(content[name])
        return prove(
            rounded,
            Path(private),
            grid_cases(network.config, characters, SEED),
            foreign=trusted,
            strict=strict,
            characters=count_characters(network.config, characters, SEED),
            progress=progress,
        )


def artifact_folder(path: Path) -> Path:
    """Return the folder of an artifact that is named by itself or by its model.

    Raises:
        ArtifactError: there is no model.
    """
    file = path if path.is_file() else path / MODEL_NAME
    kind = kind_of(path)
    if not os.path.lexists(file):
        raise ArtifactError(without_artifact(path, kind))
    if file.name != MODEL_NAME:
        what = f"it is {kind}, and " if kind else ""
        raise ArtifactError(f"{file}: {what}an artifact's model is {MODEL_NAME}; name its folder")
    return file.parent


def without_artifact(path: Path, kind: str | None) -> str:
    """Return what a path is, at which there is no model, and what to do."""
    name = shlex.quote(str(path))
    if kind == PROJECT:
        return (
            f"{path}: it is {PROJECT}, without the checkpoint that its model must agree with; its "
            f"test compares what the model says: pytest {name}"
        )
    if kind == RUN and (path / "artifact" / MODEL_NAME).exists():
        return f"{path}: it is {RUN}; name its artifact, {path / 'artifact'}"
    if kind == RUN:
        return f"{path}: it is {RUN}, and no artifact was made of it; run: hello-export {name}"
    return f"{path / MODEL_NAME}: no model there; name an artifact folder of hello-export"


def check_manifest(file: Path, manifest: Manifest, network: Network, training: Training) -> None:
    """Raise an ArtifactError unless a manifest describes the network as the checkpoint does."""
    described = {"config": network.config.to_json(), "training": training.record()}
    for name, value in described.items():
        if manifest.entries.get(name) != value:
            raise ArtifactError(
                f"{file}: its {name} is not that of the checkpoint; export it again"
            )


def read_unchanged(folder: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of each file of an artifact, checked against its digest.

    Raises:
        ArtifactError: a file is missing, not regular, or has changed.
    """
    content = {}
    for name, expected in digests.items():
        file = folder / name
        if not os.path.lexists(file):
            raise ArtifactError(f"{file}: the manifest names it, and it is missing")
        content[name] = read_plain(file)
        if digest(content[name]) != expected:
            raise ArtifactError(
                f"{file}: it has changed since it was exported; its SHA-256 is not the manifest's"
            )
    return content
