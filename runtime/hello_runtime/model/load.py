"""Loads a model file: reads it and checks all of it before an engine gets it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hello_runtime.errors import ModelFileError, first_line, need
from hello_runtime.model.graph_check import CheckedGraph, Permitted, check_graph
from hello_runtime.model.metadata import ModelInfo, parse_metadata
from hello_runtime.model.model_file import IR_VERSION, OPSET, parse, read_content
from hello_runtime.model.onnx_wire import Entry, Graph, Model, OperatorSet


class CheckedModel(NamedTuple):
    """A model that is safe to open in an engine."""

    content: bytes
    """The bytes of the file."""
    info: ModelInfo
    graph: CheckedGraph


def load_model(file: Path) -> CheckedModel:
    """Read a model file, which may come from a stranger, and check all of it.

    `onnx_wire` decides which bytes are read at all, `graph_check` what a graph may do.

    Raises:
        ModelFileError: it is unreadable, not from hello-export, damaged, or too new.
    """
    content = read_content(file)
    model = parse(file, Model, content)
    info = parse_metadata(file, unique_entries(file, model.metadata_props))
    written = parse(file, Graph, model.graph)
    try:
        check_versions(model)
        permitted = Permitted(info.task, info.output_labels, info.label_count, info.graph_copies)
        graph = check_graph(written, permitted, len(content))
        has_state = graph.state is not None
        need(info.has_state == has_state, "its inputs are not those of its metadata")
    except ValueError as error:
        raise ModelFileError(
            f"{file}: its graph is none that hello-export writes ({first_line(error)}); "
            f"export it again"
        ) from error
    return CheckedModel(content, info, graph)


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
    """Raise a ValueError unless the versions of file format and operators are ours."""
    need(model.ir_version == IR_VERSION, f"its IR version is {model.ir_version}")
    need([*model.opset_import] == [OperatorSet("", OPSET)], "it has other sets of operators")
