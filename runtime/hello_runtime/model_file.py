"""A model file: where it is, and what its metadata says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from hello_runtime.errors import ModelFileError, reason
from hello_runtime.onnx_wire import keeps_data_outside

FORMAT_VERSION = 1
"""The newest format of the graph and its metadata that this runtime reads."""

Unknown = Literal["error", "copy"]
"""What a character outside a model's alphabet gets: an error, or a copy of itself."""

CELLS = ("rnn", "gru", "lstm")
"""The cells of the models that the package carries."""

MODEL_NAME = "model.onnx"
"""The model's name in an artifact folder."""


class ModelInfo(NamedTuple):
    """What a model says of itself in its metadata."""

    cell: str
    causal: bool
    """Whether it reads from left to right only, and so can stream."""
    layers: int
    hidden_size: int
    input_alphabet: str
    output_alphabet: str
    unknown: Unknown
    """What a character outside `input_alphabet` gets."""
    guard: Mapping[str, str] | None
    """For each input character the outputs that it may become; None where all are possible."""
    nonlinearity: str
    """Of the rnn; `tanh` where a file is older than the choice."""
    weights: str
    """How the file keeps its weights; `float32` where it is older than the choice."""
    training: Mapping[str, Any]
    """What it was trained on and how well it did."""


def locate(path: str | Path | None, cell: str) -> Path:
    """Return the model file that is meant by an artifact folder, a file, or a carried cell.

    Raises:
        ModelFileError: there is no such file.
    """
    if path is None:
        return Path(__file__).parent / "models" / f"{cell}.onnx"
    file = Path(path)
    if file.is_dir():
        file = file / MODEL_NAME
    if not file.is_file():
        raise ModelFileError(f"{file}: no model there; hello-export writes one")
    return file


def read_model(file: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelFileError: it is empty or unreadable, or would have the engine read other files.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{file}: {reason(error)}") from error
    if not content:
        raise ModelFileError(f"{file}: the file is empty; export the model again")
    try:
        outside = keeps_data_outside(content)
    except ValueError as error:
        raise ModelFileError(f"{file}: no ONNX model, or cut off ({error})") from error
    if outside:
        raise ModelFileError(
            f"{file}: it keeps weights in other files, which is refused, because such a model can "
            f"read any file; save it with its weights inside"
        )
    return content


def parse_metadata(file: Path, metadata: Mapping[str, str]) -> ModelInfo:
    """Read what `hello-export` wrote into the metadata of a model.

    Raises:
        ModelFileError: it is not one of ours, or its format is newer than this runtime.
    """
    version = metadata.get("format_version", "")
    if not (version.isdecimal() and len(version) < 10):
        raise ModelFileError(
            f"{file}: its metadata has no hello-rnn format_version; hello-export writes such models"
        )
    if int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{file}: written in format {version}, and this hello-rnn reads up to format "
            f"{FORMAT_VERSION}; run: pip install --upgrade hello-rnn"
        )
    try:
        info = ModelInfo(
            cell=metadata["cell"],
            causal=json.loads(metadata["causal"]),
            layers=int(metadata["layers"]),
            hidden_size=int(metadata["hidden_size"]),
            input_alphabet=json.loads(metadata["input_alphabet"]),
            output_alphabet=json.loads(metadata["output_alphabet"]),
            unknown=cast(Unknown, metadata["unknown"]),
            guard=json.loads(metadata["guard"]),
            nonlinearity=metadata.get("nonlinearity", "tanh"),
            weights=metadata.get("weights", "float32"),
            training=json.loads(metadata["training"]),
        )
        check_info(info)
    except KeyError as error:
        raise ModelFileError(f"{file}: its metadata lacks {error}; export it again") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{file}: damaged metadata ({error}); export it again") from error
    return info


def check_info(info: ModelInfo) -> None:
    """Check that what a model says of itself has the types and values that it may have.

    Raises:
        ValueError: it has not.
    """
    if info.cell not in CELLS:
        raise ValueError(f"cell is {info.cell!r}")
    if info.unknown not in get_args(Unknown):
        raise ValueError(f"unknown is {info.unknown!r}")
    if not isinstance(info.causal, bool):
        raise ValueError("causal is neither true nor false")
    for alphabet in (info.input_alphabet, info.output_alphabet):
        if not isinstance(alphabet, str) or not alphabet:
            raise ValueError("an alphabet is not a text")
        alphabet.encode()
    if not isinstance(info.training, dict):
        raise ValueError("training is not an object")
    if not (info.guard is None or isinstance(info.guard, dict)):
        raise ValueError("guard is neither an object nor null")
