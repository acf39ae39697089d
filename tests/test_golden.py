"""One truth, many engines: each says what eager PyTorch said when the files were written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from golden.replay import (
    GOLDEN,
    OLD,
    TEXTS,
    GoldenError,
    model_file,
    read_rows,
    replay,
    text_of,
)
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.storage import STORAGES
from hello_export.graph.torchscript import save_program
from hello_export.proof.cases import Case
from hello_export.proof.engines import Engine
from hello_export.proof.reference import Reference
from hello_export.proof.verdict import TOLERANCE
from hello_runtime.text.codepoints import to_codepoints
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from hello_train.network.model import Network
from helpers import ENGINES, left_out


def chosen(outputs: Mapping[str, Any], network: Network) -> dict[str, str]:
    """Return the text or the class of a row, by its name in the golden file; none of `next`."""
    if "label" in outputs:
        return {"label": network.config.classes[int(outputs["label"].item())]}
    return {"decoded": text_of(outputs["decoded"])} if "decoded" in outputs else {}


@pytest.mark.parametrize("name", [*TEXTS, *OLD])
def test_the_bare_engine_and_the_runtime_reproduce_the_golden_rows(name: str) -> None:
    assert replay(name, read_rows(name)) <= TOLERANCE


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TEXTS)
def test_every_engine_reproduces_the_golden_rows(
    name: str, engine: type[Engine], tmp_path: Path
) -> None:
    network, _ = load_checkpoint(GOLDEN / f"{name}.safetensors")
    shutil.copy(model_file(name), tmp_path / "model.onnx")
    save_program(network, tmp_path / "model.pt")
    if reason := engine.limit(network.config):
        assert engine.name in left_out(network.config)
        pytest.skip(reason)
    opened = engine(network.config, tmp_path)
    for row in read_rows(name):
        text = to_codepoints(row["text"])[None].copy()
        found = opened.run(Case(text, np.array([text.size], np.int32)))
        of_row = {output: value[0] for output, value in found.items()}
        assert chosen(of_row, network).items() <= row.items()
        for tensor in found.keys() & row.keys() & {"confidence", "logits"}:
            difference = np.abs(found[tensor][0] - np.array(row[tensor], np.float32)).max()
            assert difference <= TOLERANCE, tensor


@pytest.mark.parametrize("name", TEXTS)
def test_the_committed_graphs_are_what_the_writer_writes(name: str) -> None:
    network, training = load_checkpoint(GOLDEN / f"{name}.safetensors")
    storage = name.partition("-")[2]
    written = build_model(network, training, storage if storage in STORAGES else "float32")
    committed = onnx.load(model_file(name))
    written.producer_version = committed.producer_version  # a release does not change the graph
    assert committed == written


@pytest.mark.parametrize("name", TEXTS)
def test_todays_pytorch_still_says_it(name: str) -> None:
    network, _ = load_checkpoint(GOLDEN / f"{name}.safetensors")
    reference = Reference(network)
    for row in read_rows(name):
        said = reference.run([ord(char) for char in row["text"]])
        assert chosen(said, network).items() <= row.items()
        for tensor in row.keys() & {"logits", "confidence"}:
            assert np.abs(said[tensor] - np.array(row[tensor], np.float32)).max() <= TOLERANCE


@pytest.mark.parametrize("cell", CELLS)
def test_hello_is_the_posts(cell: str) -> None:
    network, _ = load_checkpoint(GOLDEN / f"hello-{cell}.safetensors")
    row = read_rows(f"hello-{cell}")[0]
    assert [network.config.input_alphabet.index(char) for char in "hello"] == [1, 0, 2, 2, 3]
    assert row["decoded"] == "ohlol"
    assert np.shape(row["logits"]) == (5, 4)
    assert network.embedding.weight.shape == (4, 10)


@pytest.mark.parametrize("tensor", ["logits", "confidence"])
def test_a_changed_golden_row_fails(tensor: str) -> None:
    rows = read_rows("deep-gru")
    rows[3][tensor] = (np.array(rows[3][tensor]) + 2e-5).tolist()
    with pytest.raises(GoldenError, match=f"deep-gru differs in {tensor} by 2"):
        replay("deep-gru", rows)


def test_a_changed_golden_text_fails() -> None:
    rows = read_rows("deep-gru")
    rows[0]["decoded"] = "x"
    with pytest.raises(GoldenError, match="deep-gru decodes otherwise"):
        replay("deep-gru", rows)


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("next-lstm", "drawn", "next-lstm decodes otherwise"),
        ("next-lstm", "logits", "next-lstm differs in logits"),
        ("classify-gru", "label", "classify-gru decodes otherwise"),
        ("classify-lstm", "confidence", "classify-lstm differs in confidence"),
    ],
)
def test_a_changed_row_of_another_task_fails(name: str, key: str, message: str) -> None:
    rows = read_rows(name)
    value = rows[-1][key]
    changed = value[:-1] + "x" if isinstance(value, str) else (np.array(value) + 2e-5).tolist()
    rows[-1][key] = changed
    with pytest.raises(GoldenError, match=message):
        replay(name, rows)


def test_a_missing_golden_row_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, "deep-gru", 13)
    with pytest.raises(GoldenError, match="deep-gru has 12 texts, not 13"):
        read_rows("deep-gru")
