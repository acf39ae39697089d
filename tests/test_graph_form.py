"""The form of the graph that engines other than onnxruntime ask for."""

from __future__ import annotations

import keyword
from typing import Any

import pytest
from hello_export.graph.onnx_graph import build_model
from hello_train.network.cells import CELLS
from helpers import TRAINING, make_network

SHAPES: list[dict[str, Any]] = [
    {},
    {"layers": 2},
    {"bidirectional": True, "layers": 2},
    {"task": "classify"},
    {"task": "classify", "bidirectional": True},
    {"task": "next"},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_every_output_of_every_recurrent_node_has_a_name(cell: str, shape: dict[str, Any]) -> None:
    """OpenCV and MNN do not open the others."""
    graph = build_model(make_network(cell, **shape), TRAINING).graph
    nodes = [node for node in graph.node if node.op_type == cell.upper()]
    assert nodes
    for node in nodes:
        assert len(node.output) == 1 + len(CELLS[cell].states)
        assert all(node.output)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_name_of_the_graph_is_an_identifier(shape: dict[str, Any]) -> None:
    name = build_model(make_network(**shape), TRAINING).graph.name
    assert name.isascii()
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
