"""Finds a model file, reads it, checks it, and parses its metadata."""

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
from hello_runtime.text.files import read_regular

FORMAT_VERSION = 2
"""Newest format of the graph and its metadata that this runtime reads."""

Unknown = Literal["error", "copy", "label"]
"""The policy for a character outside a model's alphabet: refuse it, copy it, or give it the label
that the network chooses, as every other character."""
UNKNOWN_POLICIES: tuple[Unknown, ...] = get_args(Unknown)

MODELS = Path(__file__).parents[1] / "models"
"""The folder of the bundled models, one for each cell."""
BUNDLED_CELLS = tuple(
    file.stem for file in sorted(MODELS.glob("*.onnx"), key=lambda f: f.stat().st_size)
)
"""The cells of these models, that of the smallest file first."""

NONLINEARITIES = ("tanh", "relu")
WEIGHTS = ("float32", "float16", "int8")

MODEL_NAME = "model.onnx"
"""File name of the model in an artifact folder."""

OPSET = 12
IR_VERSION = 7
"""Versions of the operators and of the ONNX file format that we write."""

MAX_SIZE = 2**31 - 1
"""Bytes of a file that protobuf reads, at most."""
ORT_MARK = slice(4, 8)
"""Bytes that mark onnxruntime's own format. With the mark, onnxruntime reads a file in that format
and not as the ONNX file that is checked here."""


class ModelInfo(NamedTuple):
    """The metadata of a model."""

    cell: str
    causal: bool
    """Whether it reads from left to right only and can stream; else it is bidirectional."""
    layers: int
    hidden_size: int
    input_alphabet: str
    output_alphabet: str
    unknown: Unknown
    """The policy for a character outside `input_alphabet`."""
    guard: Mapping[str, str] | None
    """For each input character its possible outputs; None if all are possible."""
    nonlinearity: str
    """`tanh` or `relu`, for the cell rnn; files older than this field have `tanh`."""
    weights: str
    """The type of the stored weights; files older than this field have `float32`."""
    training: Mapping[str, Any]
    """The training data, and the scores."""

    @property
    def format_version(self) -> int:
        """The oldest format that can say all of this."""
        return oldest_format(self.unknown)


def oldest_format(unknown: Unknown) -> int:
    """Return the oldest format of a model with these properties; older runtimes refuse newer."""
    return 2 if unknown == "label" else 1


def locate(path: str | Path | None, cell: str) -> Path:
    """Return the model file of an artifact folder, a path, or a cell of the package.

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
    """A model that is safe to open in an engine."""

    content: bytes
    """The bytes of the file."""
    info: ModelInfo
    state: tuple[int, int] | None
    """The slots and the hidden size of a causal model's state; None for a bidirectional model."""


def load_model(file: Path) -> CheckedModel:
    """Read a model file, which may come from a stranger, and check all of it.

    `onnx_wire` decides which bytes are read at all, `graph_check` what a graph may do.

    Raises:
        ModelFileError: it is unreadable, not from hello-export, damaged, or too new.
    """
    # Imported here, because it imports numpy, for which the command's help should not wait.
    from hello_runtime.model.graph_check import check_graph

    content = read_content(file)
    model = parse(file, Model, content)
    info = parse_metadata(file, unique_entries(file, model.metadata_props))
    graph = parse(file, Graph, model.graph)
    try:
        check_versions(model)
        copies = info.unknown != "label"
        state = check_graph(graph, info.output_alphabet, len(content), copies=copies)
        need(info.causal == (state is not None), "its inputs are not those of its metadata")
    except ValueError as error:
        raise ModelFileError(
            f"{file}: its graph is none that hello-export writes ({first_line(error)}); "
            f"export it again"
        ) from error
    return CheckedModel(content, info, state)


def read_model(file: Path) -> bytes:
    """Return the bytes of a model file that every parser reads alike; the graph is not checked.

    Raises:
        ModelFileError: it is empty, unreadable or ambiguous, or makes an engine read other files.
    """
    content = read_content(file)
    parse(file, Graph, parse(file, Model, content).graph)
    return content


def read_content(file: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        ModelFileError: it is unreadable, empty, too large, or in onnxruntime's own format.
    """
    try:
        content = read_regular(file, MAX_SIZE)
    except OSError as error:
        raise ModelFileError(f"{file}: {reason(error)}") from error
    if not content:
        raise ModelFileError(f"{file}: the file is empty; export the model again")
    if content[ORT_MARK] == b"ORTM":
        raise ModelFileError(f"{file}: it is marked as onnxruntime's own format, and no ONNX model")
    return content


def parse(file: Path, kind: type[Message], content: bytes | memoryview) -> Message:
    """Return a protobuf message of a model file.

    Raises:
        ModelFileError: it is not such a message, or a tensor in it has its values in another file.
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
        ModelFileError: it has a key twice.
    """
    metadata = {entry.key: entry.value for entry in entries}
    if len(metadata) < len(entries):
        raise ModelFileError(f"{file}: damaged metadata (a key stands there twice)")
    return metadata


def check_versions(model: Model) -> None:
    """Check the versions of the file format and of the operators.

    Raises:
        ValueError: they are not ours.
    """
    need(model.ir_version == IR_VERSION, f"its IR version is {model.ir_version}")
    need([*model.opset_import] == [OperatorSet("", OPSET)], "it has other sets of operators")


def parse_metadata(file: Path, metadata: Mapping[str, str]) -> ModelInfo:
    """Parse the metadata that `hello-export` wrote into a model.

    Raises:
        ModelFileError: it is missing or damaged, or its format is newer than this runtime.
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
        need(int(version) == info.format_version, f"its format_version is {version}")
    except KeyError as error:
        raise ModelFileError(f"{file}: its metadata lacks {error}; export it again") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{file}: damaged metadata ({first_line(error)}); export it again"
        ) from error
    return info


def check_info(info: ModelInfo) -> None:
    """Check the types and values of a model's metadata.

    Raises:
        ValueError: one of them is not valid.
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
    """Check that a guard maps each character of the input alphabet to outputs of the model.

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
