"""Compares an artifact again, where it is now and with the engines that are here.

The artifact may be a stranger's, and what opens it is native code. So its files are read once, and
held first against the manifest and then against what the checkpoint makes; only then are they run,
from a folder of their own that holds what was read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hello_runtime.errors import first_line
from hello_runtime.model.model_file import FORMAT_VERSION, MODEL_NAME
from hello_runtime.text.score import BASELINE_NAME
from hello_train.files import CHECKPOINT_NAME
from hello_train.network.checkpoint import load_checkpoint

from hello_export.artifact import CONTENT, MANIFEST_NAME
from hello_export.errors import ArtifactError
from hello_export.files import LARGEST_MANIFEST, read_plain
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES, Storage
from hello_export.graph.torchscript import PROGRAM_NAME, program_bytes
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import count_characters, grid_cases
from hello_export.proof.parity import Report
from hello_export.proof.prove import prove
from hello_export.remake import check_model, check_program, parse_model

SEED = 1
"""Of the text; another than that of the export, so that it is not the same cases again."""


def verify_artifact(
    path: Path, characters: int, *, trusted: bool = False, progress: Progress = SILENT
) -> Report:
    """Hold an artifact against the network that it was exported from, which it carries.

    Args:
        path: the folder, or the model file in it.
        characters: how many to compare on, at least.
        trusted: whether to run the model and the program even if they are not what the checkpoint
            makes.
        progress: is told how far the comparison is.

    Returns:
        The report; it is not checked yet.

    Raises:
        ArtifactError: the files are not those that were exported, or not ours.
        CheckpointError: the checkpoint is damaged.
        ModelFileError: the model is no ONNX file.
    """
    folder = folder_of(path)
    digests, storage, said = read_manifest(folder / MANIFEST_NAME)
    content = read_unchanged(folder, digests)
    network, training = load_checkpoint(folder / CHECKPOINT_NAME)
    check_said(
        folder / MANIFEST_NAME,
        {"config": asdict(network.config), "training": asdict(training)},
        said,
    )
    rounded = round_weights(network, storage)
    model, program = folder / MODEL_NAME, folder / PROGRAM_NAME
    if trusted:
        parse_model(model, content[MODEL_NAME])
    else:
        tools = said["tools"] if isinstance(said.get("tools"), dict) else {}
        made = build_model(rounded, training, storage)
        check_model(model, content[MODEL_NAME], made, tools)
        check_program(program, content[PROGRAM_NAME], program_bytes(rounded), tools)
    with TemporaryDirectory(prefix="hello-export.") as private:
        for name in (MODEL_NAME, PROGRAM_NAME):
            Path(private, name).write_bytes(content[name])
        return prove(
            rounded,
            Path(private),
            grid_cases(network.config, characters, SEED),
            foreign=trusted,
            characters=count_characters(network.config, characters, SEED),
            progress=progress,
        )


def folder_of(path: Path) -> Path:
    """Return the folder of the artifact that is meant by itself or by its model.

    Raises:
        ArtifactError: there is no model.
    """
    file = path if path.is_file() else path / MODEL_NAME
    if not os.path.lexists(file):
        raise ArtifactError(f"{file}: no model there; name an artifact folder of hello-export")
    if file.name != MODEL_NAME:
        raise ArtifactError(f"{file}: an artifact's model is {MODEL_NAME}; name its folder")
    return file.parent


def check_said(file: Path, truth: Mapping[str, object], said: Mapping[str, object]) -> None:
    """Check that a file says of the network what the checkpoint says.

    Raises:
        ArtifactError: it says something else, by the first name.
    """
    for name, value in truth.items():
        if said.get(name) != value:
            raise ArtifactError(
                f"{file}: its {name} is not that of the checkpoint; export it again"
            )


def read_manifest(file: Path) -> tuple[dict[str, str], Storage, dict[str, Any]]:
    """Return what a manifest says: the digest of each file, how weights are stored, and the rest.

    Raises:
        ArtifactError: it is missing, damaged, or from a newer version.
    """
    if not os.path.lexists(file):
        raise ArtifactError(
            f"{file}: no manifest there; a model is verified in the folder in which hello-export "
            f"wrote it, for the network that it must agree with is there too"
        )
    try:
        manifest = json.loads(read_plain(file, LARGEST_MANIFEST))
        version = int(manifest["format_version"])
        if version > FORMAT_VERSION:
            raise ArtifactError(
                f"{file}: written in format {version}, and this hello-rnn reads up to format "
                f"{FORMAT_VERSION}; run: pip install --upgrade hello-rnn"
            )
        carried = [BASELINE_NAME] if BASELINE_NAME in manifest["sha256"] else []
        digests = {name: str(manifest["sha256"][name]) for name in (*CONTENT, *carried)}
        storage: Storage = manifest["weights"]
        if storage not in STORAGES:
            raise ValueError(f"weights are {storage!r}")
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{file}: damaged manifest ({first_line(error)}); export the run again"
        ) from error
    return digests, storage, manifest


def read_unchanged(folder: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of each file of an artifact, as it was exported.

    Raises:
        ArtifactError: one is missing, no plain file, or has changed.
    """
    content = {}
    for name, expected in digests.items():
        file = folder / name
        if not os.path.lexists(file):
            raise ArtifactError(f"{file}: the manifest names it, and it is missing")
        content[name] = read_plain(file)
        if hashlib.sha256(content[name]).hexdigest() != expected:
            raise ArtifactError(
                f"{file}: it has changed since it was exported; its SHA-256 is not the manifest's"
            )
    return content
