"""A trained network on disk: safetensors, with the configuration in the header.

The folder of a run holds one file, `checkpoint.safetensors`. Its metadata has one entry,
`hello-rnn`, a JSON object of `format_version`, `config` and `training`; no pickle is ever written
or read.
Format: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from hello_runtime.errors import first_line
from hello_runtime.model.kinds import PROJECT, kind_of
from hello_runtime.text.files import write_whole
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hello_train.errors import CheckpointError, ConfigError, shortened
from hello_train.files import CHECKPOINT_NAME
from hello_train.network.config import ModelConfig, check_types
from hello_train.network.model import Network

FORMAT_VERSION = 2
"""Newest format of checkpoints that this version reads."""
METADATA_KEY = "hello-rnn"
"""One key only: safetensors fixes no order of keys, and equal runs must give equal files."""
NUMBER_LIMIT = 2**63
"""Numbers in a header are smaller."""
SHOWN_FAULTS = 4
"""Tensors that an error names, at most."""


@dataclass(frozen=True)
class Training:
    """What a network was trained on, and its scores; for people, in every file of the network."""

    data: str | None
    """The training data, in words; None if it is not known."""
    example: str
    """An input for a demonstration."""
    seed: int | None
    """The seed of the training; None if it is not known."""
    characters: int | None
    """Characters in the training lines; None if it is not known."""
    scores: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    """The scores on the held-out lines by name; empty without such lines."""
    source: dict[str, str] | None = None
    """Where a network from outside came from: the name and SHA-256 of its file, or its module. Of
    such a network nothing else is known. None for a network that hello-train trained."""

    def __post_init__(self) -> None:
        known: dict[type, tuple[str, ...]] = {str: ("data",), int: ("seed", "characters")}
        if self.source is None:
            check_types(self, known)
        elif not isinstance(self.source, dict) or not all(
            type(text) is str for pair in self.source.items() for text in pair
        ):
            raise ConfigError(f"source is {shortened(self.source)}")
        check_types(self, {str: ("example",), dict: ("scores",)})
        for name, row in self.scores.items():
            if not isinstance(row, dict) or not all(map(is_score, row.values())):
                raise ConfigError(f"the scores of {shortened(name)} are {shortened(row)}")

    @classmethod
    def from_outside(cls, source: dict[str, str], example: str) -> Training:
        """Return the description of a network from outside.

        >>> Training.from_outside({"file": "hello.pt"}, "hello").record()
        {'example': 'hello', 'scores': {}, 'source': {'file': 'hello.pt'}}
        """
        return cls(data=None, example=example, seed=None, characters=None, source=source)

    def record(self) -> dict[str, Any]:
        """Return what is known, for a file."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Training:
        """Return the description that a file has.

        Raises:
            ConfigError: a value has another type.
            TypeError: a field is missing, or unknown.
        """
        unknown = {"data": None, "seed": None, "characters": None} if "source" in record else {}
        return cls(**(unknown | record))


def is_score(value: object) -> bool:
    """Tell whether a value is a share, a count, or None."""
    return value is None or (type(value) in (int, float) and 0 <= value < NUMBER_LIMIT)  # type: ignore[operator]


def format_version(config: ModelConfig, training: Training) -> int:
    """Return the oldest format of checkpoints that can hold a network and its description."""
    return max(config.format_version, 1 if training.source is None else 2)


def save_checkpoint(folder: Path, network: Network, training: Training) -> Path:
    """Write the checkpoint of a run beside its destination, then rename it into place.

    Raises:
        CheckpointError: the folder or the file cannot be written.
    """
    header = {
        "format_version": format_version(network.config, training),
        "config": network.config.to_json(),
        "training": training.record(),
    }
    path = folder / CHECKPOINT_NAME
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_whole(path, save(tensors, {METADATA_KEY: json.dumps(header)}), CheckpointError)
    return path


def load_checkpoint(path: Path) -> tuple[Network, Training]:
    """Read a checkpoint from the folder of a run, or from the file itself.

    Raises:
        CheckpointError: it is missing, damaged, not from hello-train, or from a newer version.
    """
    file = path / CHECKPOINT_NAME if path.is_dir() else path
    if not file.is_file():
        if kind_of(path) == PROJECT:
            raise CheckpointError(
                f"{path}: it is {PROJECT}, and has no checkpoint; name the run or the artifact "
                f"that it was made of"
            )
        raise CheckpointError(f"{file}: no checkpoint there; hello-train writes one")
    try:
        with safe_open(file, framework="pt") as content:
            metadata: dict[str, str] = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file}: not a readable safetensors file ({first_line(error)})"
        ) from error
    config, training = parse_header(file, metadata.get(METADATA_KEY))
    if config.layers > len(tensors):
        raise CheckpointError(f"{file}: its configuration has more layers than it has tensors")
    try:
        with torch.device("meta"):  # no memory is allocated before the sizes are compared
            network = Network(config)
    except (OverflowError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{file}: damaged header (sizes beyond all bounds)") from error
    if faults := tensor_faults(network.state_dict(), tensors):
        raise CheckpointError(f"{file}: {faults}")
    # The tensors are views of the file, which may be overwritten later.
    network.load_state_dict({name: tensors[name].clone() for name in tensors}, assign=True)
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
        version = entry(content, "format_version")
        if type(version) is not int:
            raise ValueError(f"format_version is {shortened(version)}")
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{file}: written in checkpoint format {shortened(version)}, and this hello-rnn "
                f"reads up to {FORMAT_VERSION}; run: pip install --upgrade 'hello-rnn[train]'"
            )
        config = ModelConfig.from_json(entry(content, "config"))
        training = Training.from_record(entry(content, "training"))
        if version != (expected := format_version(config, training)):
            raise ValueError(f"its format_version is {version}, and not {expected}")
        return config, training
    except (ConfigError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{file}: damaged header ({first_line(error)}); train it again"
        ) from error


def entry(content: Any, name: str) -> Any:
    """Return an entry of a JSON object.

    Raises:
        ValueError: the content is no object, or has no such entry.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{shortened(content)} is not an object")
    if name not in content:
        raise ValueError(f"it has no {name}")
    return content[name]


def tensor_faults(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Return the faults of tensors, in words: missing, unknown, of another shape, type or range."""
    faults = [f"tensor {name} is missing" for name in sorted(expected.keys() - found.keys())]
    for name in sorted(found):
        tensor = found[name]
        if name not in expected:
            faults.append(f"tensor {name[:60]} does not belong to its configuration")
        elif tensor.shape != expected[name].shape:
            faults.append(
                f"tensor {name} has shape {list(tensor.shape)}, and its configuration wants "
                f"{list(expected[name].shape)}"
            )
        elif tensor.dtype != torch.float32:
            faults.append(f"tensor {name} is {tensor.dtype}, not float32")
        elif not torch.isfinite(tensor).all():
            faults.append(f"tensor {name} has values that are not finite")
    more = len(faults) - SHOWN_FAULTS
    return "; ".join(faults[:SHOWN_FAULTS] + [f"and {more} more of this kind"] * (more > 0))
