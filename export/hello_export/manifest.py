"""`manifest.json` of an artifact: how its files were made, their digests and the proof."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from hello_runtime.errors import DAMAGE, first_line, reason
from hello_runtime.model.metadata import FORMAT_VERSION
from hello_runtime.model.model_file import MAX_SIZE, MODEL_NAME
from hello_runtime.text.baseline import BASELINE_NAME
from hello_runtime.text.files import read_regular
from hello_train.files import CHECKPOINT_NAME

from hello_export.errors import ArtifactError
from hello_export.graph.storage import STORAGES, Storage
from hello_export.graph.torchscript import PROGRAM_NAME
from hello_export.proof.engines import OnnxRuntime

MANIFEST_NAME = "manifest.json"
CONTENT = (MODEL_NAME, PROGRAM_NAME, CHECKPOINT_NAME)
"""The files of every artifact beside the manifest."""
TOOLS = ("hello-rnn", "torch", "onnx", "numpy")
"""Distributions whose versions stand in the manifest, with onnxruntime's."""
LARGEST_MANIFEST = 2**26
"""Bytes; far more than a manifest with the largest guard has."""


class Manifest(NamedTuple):
    """What a manifest says, checked as far as the names go."""

    digests: dict[str, str]
    """The SHA-256 of each file, by name."""
    storage: Storage
    entries: dict[str, Any]
    """All entries, as they are in the file."""

    @property
    def tools(self) -> Mapping[str, object]:
        """The versions with which the artifact was made, by distribution."""
        tools = self.entries.get("tools")
        return tools if isinstance(tools, dict) else {}


def write_manifest(folder: Path, format_version: int, entries: Mapping[str, Any]) -> None:
    """Write a manifest with these entries, the digests of the folder's files and the versions."""
    carried = [BASELINE_NAME] if (folder / BASELINE_NAME).exists() else []
    content = {
        "format_version": format_version,
        "sha256": {name: digest((folder / name).read_bytes()) for name in (*CONTENT, *carried)},
        **entries,
        "tools": {
            **{tool: version(tool) for tool in TOOLS},
            "onnxruntime": OnnxRuntime.installed_version(),  # under any of its distributions
        },
    }
    text = json.dumps(content, ensure_ascii=False, indent=2)
    (folder / MANIFEST_NAME).write_text(f"{text}\n", encoding="utf-8")


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_plain(file: Path, most: int = MAX_SIZE) -> bytes:
    """Return the content of an artifact's file, of at most so many bytes.

    Raises:
        ArtifactError: it is missing, a link, a pipe or a device, too large, or cannot be read.
    """
    if file.is_symlink():
        raise ArtifactError(
            f"{file}: it is a link, and an artifact holds its files itself; copy it with cp -rL"
        )
    try:
        return read_regular(file, most)
    except OSError as error:
        raise ArtifactError(f"{file}: {reason(error)}") from error


def read_manifest(file: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ArtifactError: it is missing, damaged, or from a newer version.
    """
    if not os.path.lexists(file):
        raise ArtifactError(
            f"{file}: no manifest there; --verify needs the whole folder that hello-export wrote, "
            f"with the checkpoint that the model must agree with"
        )
    try:
        entries = json.loads(read_plain(file, LARGEST_MANIFEST))
        format_version = int(entries["format_version"])
        if format_version > FORMAT_VERSION:
            raise ArtifactError(
                f"{file}: written in format {format_version}, and this hello-rnn reads up to "
                f"format {FORMAT_VERSION}; run: pip install --upgrade hello-rnn"
            )
        carried = [BASELINE_NAME] if BASELINE_NAME in entries["sha256"] else []
        digests = {name: str(entries["sha256"][name]) for name in (*CONTENT, *carried)}
        storage: Storage = entries["weights"]
        if storage not in STORAGES:
            raise ValueError(f"weights are {storage!r}")
    except DAMAGE as error:
        raise ArtifactError(
            f"{file}: damaged manifest ({first_line(error)}); export the run again"
        ) from error
    return Manifest(digests, storage, entries)


def stored_weights(folder: Path) -> Storage | None:
    """Return how the artifact in a folder stores its weights; None if it has no manifest."""
    try:
        content = json.loads(read_plain(folder / MANIFEST_NAME, LARGEST_MANIFEST))
    except (ArtifactError, RecursionError, ValueError):
        return None
    if not (isinstance(content, dict) and {"format_version", "sha256", "parity"} <= content.keys()):
        return None
    weights = content.get("weights")
    return next((storage for storage in STORAGES if storage == weights), "float32")
