"""A trained network on disk: safetensors, with the configuration in the header.

The folder of a run holds one file, `checkpoint.safetensors`. Its metadata has one entry,
`hello-rnn`, a JSON object of `format_version`, `config` and `training`; no pickle is ever written
or read.
Format: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from hello_runtime.errors import reason
from hello_runtime.files import is_utf8, write_whole
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hello_train.config import ModelConfig, check_types
from hello_train.errors import CheckpointError, ConfigError
from hello_train.model import Network

FILE_NAME = "checkpoint.safetensors"
FORMAT_VERSION = 1
METADATA_KEY = "hello-rnn"
"""A single key, for safetensors writes several in any order and equal runs shall be equal files."""


@dataclass(frozen=True)
class Training:
    """What a network was trained on and how well it did; for people, carried along in the files."""

    data: str
    """What it learned from, in words."""
    example: str
    """An input that shows what it does."""
    seed: int
    characters: int
    """Characters in the training lines."""
    scores: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    """The rows of `score.compare` on the held-out lines; empty where none were kept aside."""

    def __post_init__(self) -> None:
        check_types(
            self, {str: ("data", "example"), int: ("seed", "characters"), dict: ("scores",)}
        )


def save_checkpoint(folder: Path, network: Network, training: Training) -> Path:
    """Write the checkpoint of a run beside its destination, then rename it into place.

    Raises:
        CheckpointError: the folder or the file cannot be written.
    """
    header = {
        "format_version": FORMAT_VERSION,
        "config": asdict(network.config),
        "training": asdict(training),
    }
    path = folder / FILE_NAME
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    try:
        write_whole(path, save(tensors, {METADATA_KEY: json.dumps(header)}))
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {reason(error)}") from error
    return path


def check_writable(folder: Path, names: Sequence[str]) -> None:
    """Find out whether a run can be saved there, before the time is spent to train it.

    Args:
        folder: of the run.
        names: of the files in it.

    Raises:
        CheckpointError: it cannot.
    """
    if not is_utf8(folder):
        raise CheckpointError(
            f"cannot write {folder}: safetensors opens no name that is not UTF-8; name another "
            f"folder with --output"
        )
    existing = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    if not existing.is_dir():
        raise CheckpointError(f"cannot write {folder / FILE_NAME}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CheckpointError(f"cannot write {folder / FILE_NAME}: no permission in {existing}")
    for name in names:
        if (folder / name).is_dir():
            raise CheckpointError(f"cannot write {folder / name}: it is a folder; move it away")


def load_checkpoint(path: Path) -> tuple[Network, Training]:
    """Read a checkpoint from the folder of a run, or from the file itself.

    Raises:
        CheckpointError: it is missing, damaged, not one of ours, or from a newer version.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{file}: no checkpoint there; hello-train writes one")
    try:
        with safe_open(file, framework="pt") as content:
            metadata: dict[str, str] = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: not a readable safetensors file ({error})") from error
    config, training = parse_header(file, metadata.get(METADATA_KEY))
    if config.layers > len(tensors):
        raise CheckpointError(f"{file}: its configuration has more layers than it has tensors")
    try:
        with torch.device("meta"):  # sizes are compared before anything of their size is made
            expected = Network(config).state_dict()
    except (OverflowError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{file}: damaged header (sizes beyond all bounds)") from error
    check_tensors(file, expected, tensors)
    network = Network(config)
    network.load_state_dict(tensors)
    return network.eval(), training


def parse_header(file: Path, header: str | None) -> tuple[ModelConfig, Training]:
    """Read the JSON object that `save_checkpoint` puts into the metadata.

    Raises:
        CheckpointError: it is missing, damaged, or from a newer version.
    """
    if header is None:
        raise CheckpointError(f"{file}: its header has no hello-rnn configuration")
    try:
        content = json.loads(header)
        version = int(content["format_version"])
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{file}: written in checkpoint format {version}, and this hello-rnn reads up to "
                f"{FORMAT_VERSION}; run: pip install --upgrade 'hello-rnn[train]'"
            )
        return ModelConfig(**content["config"]), Training(**content["training"])
    except (
        ArithmeticError,
        ConfigError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointError(f"{file}: damaged header ({error}); train it again") from error


def check_tensors(
    file: Path, expected: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]
) -> None:
    """Check that the tensors are those of the network, in shape and type, and finite.

    Raises:
        CheckpointError: the first tensor that is not.
    """
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise CheckpointError(f"{file}: tensor {name} is missing")
        if name not in expected:
            raise CheckpointError(f"{file}: tensor {name} does not belong to its configuration")
        if tensors[name].shape != expected[name].shape:
            raise CheckpointError(
                f"{file}: tensor {name} has shape {list(tensors[name].shape)}, and its "
                f"configuration wants {list(expected[name].shape)}"
            )
        if tensors[name].dtype != torch.float32:
            raise CheckpointError(f"{file}: tensor {name} is {tensors[name].dtype}, not float32")
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"{file}: tensor {name} has values that are not finite")
