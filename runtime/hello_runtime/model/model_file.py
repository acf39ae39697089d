"""A model file: where it is, and what its metadata says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from hello_runtime.errors import ModelFileError, first_line, reason
from hello_runtime.model.onnx_wire import (
    Entry,
    Graph,
    Message,
    Model,
    OperatorSet,
    OutsideDataError,
    need,
    read_message,
)

FORMAT_VERSION = 1
"""The newest format of the graph and its metadata that this runtime reads."""

Unknown = Literal["error", "copy"]
"""What a character outside a model's alphabet gets: an error, or a copy of itself."""
UNKNOWN_POLICIES: tuple[Unknown, ...] = get_args(Unknown)

MODELS = Path(__file__).parents[1] / "models"
"""The folder of the models that the package carries, one for a cell."""
CELLS = tuple(file.stem for file in sorted(MODELS.glob("*.onnx"), key=lambda f: f.stat().st_size))
"""The cells of these models, that of the smallest model first."""

NONLINEARITIES = ("tanh", "relu")
WEIGHTS = ("float32", "float16", "int8")

MODEL_NAME = "model.onnx"
"""The model's name in an artifact folder."""

OPSET = 12
IR_VERSION = 7
"""The version of the operators, and of the file, that we write."""

MAX_SIZE = 2**31 - 1
"""Bytes of a file that protobuf reads."""
ORT_MARK = slice(4, 8)
"""Where a file says that it is of onnxruntime's own format. onnxruntime believes it, whatever else
the file may be, and such a file is not what is checked here."""


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
        return MODELS / f"{cell}.onnx"
    file = Path(path)
    if file.is_dir():
        file = file / MODEL_NAME
    if not file.is_file():
        raise ModelFileError(f"{file}: no model there; hello-export writes one")
    return file


class CheckedModel(NamedTuple):
    """A model that an engine may open, whoever made it."""

    content: bytes
    """The bytes of the file."""
    info: ModelInfo
    state: tuple[int, int] | None
    """Of a causal model: how many slots its state has, and the width of each."""


def load_model(file: Path) -> CheckedModel:
    """Read a model file and check all of it, before an engine acts on what it says.

    A model may come from a stranger. `onnx_wire` says which files are read at all, `graph_check`
    what a graph may do.

    Raises:
        ModelFileError: it is unreadable, none of ours, damaged, or from a newer format version.
    """
    # Imported here, because it imports numpy, which the command's help does not wait for.
    from hello_runtime.model.graph_check import check_graph

    content = read_content(file)
    model = parse(file, Model, content)
    info = parse_metadata(file, unique_entries(file, model.metadata_props))
    graph = parse(file, Graph, model.graph)
    try:
        check_versions(model)
        state = check_graph(graph, info.output_alphabet, len(content))
        need(info.causal == (state is not None), "its inputs are not those of its metadata")
    except ValueError as error:
        raise ModelFileError(
            f"{file}: its graph is none that hello-export writes ({first_line(error)}); "
            f"export it again"
        ) from error
    return CheckedModel(content, info, state)


def read_model(file: Path) -> bytes:
    """Return the bytes of a model file that every parser reads alike; its graph may be any.

    Raises:
        ModelFileError: it is empty or unreadable, or would have an engine read other files.
    """
    content = read_content(file)
    parse(file, Graph, parse(file, Model, content).graph)
    return content


def read_content(file: Path) -> bytes:
    """Return the bytes of a file that may be a model.

    Raises:
        ModelFileError: it is unreadable, empty, too large, or a model of another kind.
    """
    try:
        if file.stat().st_size > MAX_SIZE:
            raise ModelFileError(f"{file}: it is larger than an ONNX file can be")
        content = file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{file}: {reason(error)}") from error
    if not content:
        raise ModelFileError(f"{file}: the file is empty; export the model again")
    if content[ORT_MARK] == b"ORTM":
        raise ModelFileError(f"{file}: it is marked as onnxruntime's own format, and no ONNX model")
    return content


def parse(file: Path, kind: type[Message], content: bytes | memoryview) -> Message:
    """Return a message of a model file.

    Raises:
        ModelFileError: it is none, or a tensor in it has its values in another file.
    """
    try:
        return read_message(kind, content)
    except OutsideDataError as error:
        raise ModelFileError(
            f"{file}: it keeps weights in other files, which is refused, because such a model can "
            f"read any file; save it with its weights inside"
        ) from error
    except ValueError as error:
        raise ModelFileError(
            f"{file}: no ONNX model, or cut off, or none of hello-export ({first_line(error)})"
        ) from error


def unique_entries(file: Path, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the metadata of a model.

    Raises:
        ModelFileError: a key stands in it twice.
    """
    metadata = {entry.key: entry.value for entry in entries}
    if len(metadata) < len(entries):
        raise ModelFileError(f"{file}: damaged metadata (a key stands there twice)")
    return metadata


def check_versions(model: Model) -> None:
    """Check that the operators of a model are those that we mean by their names.

    Raises:
        ValueError: they may be others.
    """
    need(model.ir_version == IR_VERSION, f"its IR version is {model.ir_version}")
    need([*model.opset_import] == [OperatorSet("", OPSET)], "it has other sets of operators")


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
        raise ModelFileError(
            f"{file}: damaged metadata ({first_line(error)}); export it again"
        ) from error
    return info


def check_info(info: ModelInfo) -> None:
    """Check that what a model says of itself has the types and values that it may have.

    Raises:
        ValueError: it has not.
    """
    need(info.cell.isidentifier(), f"cell is {info.cell!r}")
    need(info.unknown in UNKNOWN_POLICIES, f"unknown is {info.unknown!r}")
    need(info.nonlinearity in NONLINEARITIES, f"nonlinearity is {info.nonlinearity!r}")
    need(info.weights in WEIGHTS, f"weights are {info.weights!r}")
    need(isinstance(info.causal, bool), "causal is neither true nor false")
    need(info.layers > 0 and info.hidden_size > 0, "it has no layers, or they have no width")
    for alphabet in (info.input_alphabet, info.output_alphabet):
        need(isinstance(alphabet, str) and alphabet, "an alphabet is not a text")
        alphabet.encode()
        need(len(set(alphabet)) == len(alphabet), "an alphabet has a character twice")
    need("\n" not in info.output_alphabet, "it writes LF, which would make two lines of one")
    need(isinstance(info.training, dict), "training is not an object")
    if info.guard is not None:
        check_guard(info)


def check_guard(info: ModelInfo) -> None:
    """Check that the guard of a model gives each character that it reads some that it writes.

    Raises:
        ValueError: it does not.
    """
    guard = info.guard
    if not isinstance(guard, dict):
        raise ValueError("guard is neither an object nor null")
    need(set(guard) == set(info.input_alphabet), "guard is not of the characters that it reads")
    labels = set(info.output_alphabet)
    need(
        all(isinstance(outputs, str) and labels.issuperset(outputs) for outputs in guard.values()),
        "guard gives what it does not write",
    )
