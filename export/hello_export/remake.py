"""Checks that the model and the program of an artifact are what its checkpoint makes.

A model and a program are code, and a stranger's code can do anything. An artifact's are made from
its checkpoint, which is data. So both are made again, and a file that is not the same, byte for
byte, is refused before any engine opens it. The error names the first part that differs.
"""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

import onnx
from google.protobuf.message import DecodeError
from hello_runtime.errors import first_line
from onnx import ModelProto

from hello_export.errors import ArtifactError

LISTS = {"node": "node", "initializer": "constant", "input": "input", "output": "output"}
"""The lists of a graph whose entries are compared one by one, and a word for an entry of each."""
VERSION = re.compile(r"[\w.+-]{1,40}", re.ASCII)
"""A version number."""
SHOWN = 60
"""Most characters of a stranger's text that a message shows."""
SPARE = 1_000_000
"""Bytes by which a file may be larger than expected and still be searched for the difference."""


def check_model(
    file: Path, content: bytes, expected: ModelProto, tools: Mapping[str, object]
) -> None:
    """Check that a model is what the checkpoint makes, but for the version that wrote it.

    `tools` are the versions in the manifest, for the error.

    Raises:
        ArtifactError: it is not; the text names the part that differs.
    """
    if content == expected.SerializeToString():
        return
    part = "its size"
    if len(content) <= expected.ByteSize() + SPARE:
        found = parse_model(file, content)
        if VERSION.fullmatch(str(found.producer_version)):  # bytes if it is not UTF-8
            expected.producer_version = found.producer_version
        if content == expected.SerializeToString():
            return
        part = next(differing_parts(found, expected), "its encoding")
    refuse(file, part, tools, ("hello-rnn", "onnx"))


def parse_model(file: Path, content: bytes) -> ModelProto:
    """Parse a model; weights in other files are not read.

    Raises:
        ArtifactError: it is empty, or protobuf cannot parse it.
    """
    if not content:
        raise ArtifactError(f"{file}: the file is empty; export it again")
    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ArtifactError(
            f"{file}: no ONNX model, or cut off ({first_line(error)}); export it again"
        ) from error


def check_program(file: Path, content: bytes, expected: bytes, tools: Mapping[str, object]) -> None:
    """Check that a program is what the checkpoint makes, without opening it.

    `tools` are the versions in the manifest, for the error.

    Raises:
        ArtifactError: it is not; the text names the part that differs.
    """
    if content == expected:
        return
    part = "its size"
    if len(content) <= len(expected) + SPARE:
        part = differing_member(content, expected)
    refuse(file, part, tools, ("hello-rnn", "torch"))


def refuse(file: Path, part: str, tools: Mapping[str, object], makers: tuple[str, ...]) -> NoReturn:
    """Raise the ArtifactError for a file that is not what the checkpoint makes."""
    others = [
        f"{maker} {shown(tools[maker])}, and here is {version(maker)}"
        for maker in makers
        if maker in tools and release(tools[maker]) != release(version(maker))
    ]
    written = f"; the manifest says that it was written with {', '.join(others)}" if others else ""
    cure = "verify it with that version, or make" if others else "make"
    raise ArtifactError(
        f"{file}: {part} is not what this hello-export makes of the checkpoint{written}; nothing "
        f"of it was run; {cure} it again (hello-export {shlex.quote(str(file.parent))}), or "
        f"compare it as it is, with --trust-program, if you trust who made it"
    )


def release(version: object) -> str:
    """Return a version without its build, such as `+cpu`."""
    return str(version).partition("+")[0]


def shown(name: object) -> str:
    """Return a stranger's text, cut and escaped, so that it cannot control a terminal."""
    return repr(str(name)[:SHOWN])


def differing_parts(found: ModelProto, expected: ModelProto) -> Iterator[str]:
    """Yield the parts in which two models differ, in words."""
    metadata, expected_metadata = (
        {entry.key: entry.value for entry in model.metadata_props} for model in (found, expected)
    )
    for key, value in expected_metadata.items():
        if metadata.get(key) != value:
            yield f"its {key}"
    for field, kind in LISTS.items():
        entries: Iterator[tuple[Any, Any]] = zip_longest(
            getattr(found.graph, field), getattr(expected.graph, field)
        )
        for one, other in entries:
            if one != other:
                yield f"its {kind} {shown((one or other).name)}"
    for message, other in ((found.graph, expected.graph), (found, expected)):
        for descriptor in other.DESCRIPTOR.fields:
            if getattr(message, descriptor.name) != getattr(other, descriptor.name):
                yield f"its {descriptor.name}"


def differing_member(found: bytes, expected: bytes) -> str:
    """Return the first member in which two programs, which are zip archives, differ, in words."""
    with zipfile.ZipFile(io.BytesIO(expected)) as made:
        wanted = {info.filename: made.read(info) for info in made.infolist()}
    try:
        with zipfile.ZipFile(io.BytesIO(found)) as archive:
            for info in archive.infolist():
                content = wanted.pop(info.filename, None)
                # The size first: a few compressed bytes can unpack to any number.
                if content is None or info.file_size != len(content):
                    return f"its member {shown(info.filename)}"
                if archive.read(info) != content:
                    return f"its member {shown(info.filename)}"
    except Exception:  # a damaged archive raises errors of many classes
        return "its archive, which is damaged,"
    return f"its list of members, without {min(wanted)!r}," if wanted else "its layout"
