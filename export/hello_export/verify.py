"""Compares an artifact again, where it is now and with the engines that are here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from hello_runtime.errors import first_line
from hello_runtime.model_file import FORMAT_VERSION, MODEL_NAME, read_model
from hello_runtime.score import BASELINE_NAME
from hello_train.checkpoint import FILE_NAME, load_checkpoint

from hello_export.artifact import CONTENT, MANIFEST_NAME, digest
from hello_export.cases import Case, grid_cases
from hello_export.errors import ArtifactError
from hello_export.onnx_graph import METADATA_KEYS, metadata
from hello_export.parity import Report
from hello_export.proof import prove
from hello_export.rounding import round_weights
from hello_export.storage import STORAGES, Storage

SEED = 1
"""Of the text; another than that of the export, so that it is not the same cases again."""


def verify_artifact(
    path: Path,
    characters: int,
    watched: Callable[[Iterable[Case]], Iterable[Case]] = lambda cases: cases,
) -> Report:
    """Hold an artifact against the network that it was exported from, which it carries.

    Args:
        path: the folder, or the model file in it.
        characters: how many to compare on, at least.
        watched: is given the cases, to show how far the comparison has come.

    Returns:
        The report; it is not checked yet.

    Raises:
        ArtifactError: the files are not those that were exported, or not ours.
    """
    file = path if path.is_file() else path / MODEL_NAME
    found = read_metadata(file)
    if file.name != MODEL_NAME:
        raise ArtifactError(f"{file}: an artifact's model is {MODEL_NAME}; name its folder")
    folder = file.parent
    digests, storage, said = read_manifest(folder / MANIFEST_NAME)
    check_unchanged(folder, digests)
    network, training = load_checkpoint(folder / FILE_NAME)
    check_said(
        folder / MANIFEST_NAME,
        {"config": asdict(network.config), "training": asdict(training)},
        said,
    )
    check_said(file, metadata(network.config, training, storage), found)
    rounded = round_weights(network, storage)
    return prove(rounded, folder, watched(grid_cases(network.config, characters, SEED)))


def read_metadata(file: Path) -> dict[str, str]:
    """Return the metadata of a model file that `hello-export` wrote.

    Raises:
        ArtifactError: its metadata lacks what `hello-export` writes; the text says what.
        ModelFileError: it is no ONNX file.
    """
    if not file.is_file():
        raise ArtifactError(f"{file}: no model there; name an artifact folder of hello-export")
    model = onnx.load_model_from_string(read_model(file))
    found = {entry.key: entry.value for entry in model.metadata_props}
    lacking = [key for key in METADATA_KEYS if key not in found]
    if lacking:
        raise ArtifactError(
            f"{file}: hello-export did not write this file; its metadata lacks {', '.join(lacking)}"
        )
    return found


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
    if not file.is_file():
        raise ArtifactError(
            f"{file}: no manifest there; a model is verified in the folder in which hello-export "
            f"wrote it, for the network that it must agree with is there too"
        )
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
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


def check_unchanged(folder: Path, digests: dict[str, str]) -> None:
    """Check that the files of an artifact are those that were exported.

    Raises:
        ArtifactError: one is missing, or has changed.
    """
    for name, expected in digests.items():
        file = folder / name
        if not file.is_file():
            raise ArtifactError(f"{file}: the manifest names it, and it is missing")
        if digest(file) != expected:
            raise ArtifactError(
                f"{file}: it has changed since it was exported; its SHA-256 is not the manifest's"
            )
