"""Finds a model file, and reads it strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from hello_runtime.errors import ModelFileError, first_line, reason
from hello_runtime.model.onnx_wire import (
    Graph,
    Message,
    Model,
    OutsideDataError,
    read_message,
)
from hello_runtime.text.files import read_regular

Unknown = Literal["error", "copy", "label"]
"""The policy for a character outside a model's alphabet: refuse it, copy it, or give it the label
that the network chooses, as every other character."""
UNKNOWN_POLICIES: tuple[Unknown, ...] = get_args(Unknown)

NONLINEARITIES = ("tanh", "relu")
WEIGHTS = ("float32", "float16", "int8")

MODELS = Path(__file__).parents[1] / "models"
"""The folder of the bundled models, one for each cell."""
BUNDLED_CELLS = tuple(
    file.stem for file in sorted(MODELS.glob("*.onnx"), key=lambda f: f.stat().st_size)
)
"""The cells of these models, that of the smallest file first."""

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
        raise ModelFileError(without_model(Path(path), file))
    return file


def without_model(path: Path, file: Path) -> str:
    """Return the message for a path without a model file: what it is, and what to do."""
    import shlex  # imported here, as the next one: no start waits for what errors say

    from hello_runtime.model.kinds import PROJECT, RUN, kind_of

    kind = kind_of(path)
    what = f"{path}: it is {kind}" if kind in (RUN, PROJECT) else f"{file}: no model there"
    for inside in (*path.glob(f"artifact/{MODEL_NAME}"), *path.glob(f"src/*/{MODEL_NAME}")):
        return f"{what}; its model is {inside}"
    if kind == RUN:
        return f"{what}, and no model was made of it; run: hello-export {shlex.quote(str(path))}"
    return f"{what}; hello-export writes one"


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
        from hello_runtime.model.kinds import ONNX, START, kind_of_content

        found = kind_of_content(bytes(content[:START]), file.suffix)
        if kind is Model and found not in (None, ONNX):
            raise ModelFileError(
                f"{file}: it is no ONNX model, but {found}; name an artifact of hello-export, or "
                f"the {MODEL_NAME} in it"
            ) from error
        raise ModelFileError(
            f"{file}: no ONNX model, or cut off, or none of hello-export ({first_line(error)})"
        ) from error
