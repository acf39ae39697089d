"""The form of the graph: what other engines ask for, and no node that does nothing."""

from __future__ import annotations

import keyword
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.proof import parity, runtime_engine
from hello_export.proof.engines import Engine, OnnxRuntime
from hello_export.proof.javascript import JavaScript, node_version
from hello_export.proof.runtime_engine import Runtime
from hello_runtime import Decoder
from hello_train.network.cells import CELLS
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from helpers import TRAINING, make_network, short_cases

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


# Nothing for nothing.


def operators(config: ModelConfig) -> list[str]:
    graph = build_model(Network(config).eval(), TRAINING).graph
    assert {item.name for item in graph.initializer} <= {
        name for node in graph.node for name in node.input
    }
    return [node.op_type for node in graph.node]


def test_a_network_of_one_state_reads_and_writes_it_directly() -> None:
    assert not {"Split", "Concat"} & {*operators(make_network().config)}
    for shape in ({"layers": 2}, {"cell": "lstm"}):
        assert {"Split", "Concat"} <= {*operators(make_network(**shape).config)}


def test_what_is_refused_costs_nothing() -> None:
    assert {"Less", "Where"} <= {*operators(make_network(unknown="copy").config)}
    assert not {"Less", "Where"} & {*operators(make_network(unknown="error").config)}


DIRECT = {
    "helo": True, "aż\u017f": True, "\0\xff": True, "żł": False, "a\u0200": False, "a😀": False
}  # fmt: skip
"""Alphabets, and whether each page of 256 code points up to the last has a character."""


@pytest.mark.parametrize("engine", [OnnxRuntime, Runtime, *[JavaScript] * bool(node_version())])
@pytest.mark.parametrize("alphabet", DIRECT)
def test_the_ids_of_a_small_alphabet_are_one_table(
    alphabet: str, engine: type[Engine], tmp_path: Path
) -> None:
    config = replace(make_network(unknown="copy").config, input_alphabet=alphabet)
    assert ("Mod" not in operators(config)) == DIRECT[alphabet]
    compare(Network(config).eval(), engine, tmp_path)


def compare(network: Network, engine: type[Engine], folder: Path) -> None:
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    opened = engine(network.config, folder)
    try:
        parity.compare(network, [opened], short_cases(network.config)).check()
    finally:
        opened.close()


@pytest.mark.parametrize("labels", ["characters", "width 2"])
def test_the_proof_sees_a_runtime_that_does_not_copy_what_it_should(
    labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a graph whose network refuses unknown characters the proof asks no copies."""
    network = make_network(unknown="error", labels=labels)
    compare(network, OnnxRuntime, tmp_path)
    compare(network, Runtime, tmp_path)

    class Forgetful(Decoder):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self._copies_outside = None

    monkeypatch.setattr(runtime_engine, "Decoder", Forgetful)
    with pytest.raises(ParityError, match="hello-infer differs from PyTorch in confidence"):
        compare(network, Runtime, tmp_path)
