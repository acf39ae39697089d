"""The artifact folder: TorchScript, ONNX and a manifest, written whole or not at all."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import onnx
from hello_runtime.model_file import FORMAT_VERSION, MODEL_NAME
from hello_runtime.providers import first_line
from hello_train.checkpoint import Training
from hello_train.config import ModelConfig
from hello_train.model import Network

from hello_export import parity
from hello_export.engines import Engine, OnnxRuntime, Runtime, TorchScript
from hello_export.errors import ArtifactError, ParityError
from hello_export.onnx_graph import build_model
from hello_export.parity import Report
from hello_export.torchscript import save_program

PROGRAM_NAME = "model.pt"
MANIFEST_NAME = "manifest.json"
FILES = frozenset({MODEL_NAME, PROGRAM_NAME, MANIFEST_NAME})
TOOLS = ("hello-rnn", "torch", "onnx", "onnxruntime", "numpy")


def write_artifact(network: Network, training: Training, folder: Path) -> Report:
    """Export a network, prove the files by parity, and put the folder into its place.

    Raises:
        ParityError: a file does not say what PyTorch says; nothing was written.
        ArtifactError: the folder cannot be written, or holds something else.
    """
    folder = Path(os.path.realpath(folder))
    check_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            unfinished = Path(beside) / folder.name
            unfinished.mkdir()
            report = write_files(network, training, unfinished)
            put_in_place(unfinished, folder)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error.strerror}") from error
    return report


def write_files(network: Network, training: Training, folder: Path) -> Report:
    """Write the files of an artifact; the manifest only after parity has passed on the others."""
    config = network.config
    onnx.save(build_model(network, training), folder / MODEL_NAME)
    save_program(network, folder / PROGRAM_NAME)
    report = parity.compare(network, open_engines(config, folder))
    manifest = {
        "format_version": FORMAT_VERSION,
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (MODEL_NAME, PROGRAM_NAME)
        },
        "config": asdict(config),
        "training": asdict(training),
        "parity": {
            "tolerance": report.tolerance,
            "rounding": report.rounding.to_json(),
            "engines": [verdict.to_json() for verdict in report.verdicts],
        },
        "tools": {tool: version(tool) for tool in TOOLS},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=2)
    (folder / MANIFEST_NAME).write_text(f"{text}\n", encoding="utf-8")
    return report


def open_engines(config: ModelConfig, folder: Path) -> list[Engine]:
    """Open the files of an artifact with every engine.

    Raises:
        ParityError: an engine does not open its file.
    """
    try:
        return [
            TorchScript(config, folder / PROGRAM_NAME),
            OnnxRuntime(config, folder / MODEL_NAME),
            Runtime(config, folder / MODEL_NAME),
        ]
    except Exception as error:  # whatever an engine raises: each has classes of its own
        raise ParityError(f"an exported file does not open: {first_line(error)}") from error


def check_replaceable(folder: Path) -> None:
    """Refuse to put an artifact in the place of anything but an artifact.

    Raises:
        ArtifactError: something else is there.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ArtifactError(f"cannot write {folder}: it is a file, not a folder")
    others = {path.name for path in folder.iterdir() if path.name not in FILES or path.is_dir()}
    if others:
        raise ArtifactError(
            f"cannot write {folder}: it holds {min(others)!r}, which is not part of an artifact; "
            f"name another folder with --output"
        )


def put_in_place(unfinished: Path, folder: Path) -> None:
    """Rename a finished folder to its place; what was there before ends where it came from."""
    if not folder.exists():
        unfinished.rename(folder)
    elif not exchange(unfinished, folder):
        old = unfinished.with_name("old")
        folder.rename(old)
        try:
            unfinished.rename(folder)
        except OSError:
            old.rename(folder)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in a single step, where the system can; tell whether it did.

    Linux's renameat2(2) with RENAME_EXCHANGE: a reader finds the one or the other, never neither.
    """
    current_directory, rename_exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = renameat2(
        current_directory,
        os.fsencode(one.absolute()),
        current_directory,
        os.fsencode(other.absolute()),
        rename_exchange,
    )
    return done == 0
