"""What is known of a cell is in one place: a fourth one is an entry, and it goes the whole way."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hello_export import artifact
from hello_export.artifact import write_artifact
from hello_export.graph import onnx_graph
from hello_export.job import ExportJob
from hello_export.proof import installed, prove
from hello_export.proof.cases import grid_cases
from hello_export.proof.javascript import JavaScript
from hello_runtime import Decoder
from hello_train.files import CHECKPOINT_NAME
from hello_train.fit.hello import HELLO, HELLO_ALPHABETS, compare_cells, run_hello
from hello_train.fit.options import HELLO_OPTIONS, configure
from hello_train.network.cells import CELLS
from hello_train.network.model import recurrence
from hello_train.report import pages
from hello_train.report.gates import gates

FOURTH = replace(CELLS["rnn"], colour="#cc79a7", nonlinearities=("tanh",))
"""Elman's cell, under another name."""


def test_a_fourth_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trained, reported, compared with the others, exported with the proof, and decoded."""
    monkeypatch.setitem(CELLS, "elman", FOURTH)
    monkeypatch.setitem(onnx_graph.ATTRIBUTES, "elman", {})
    # An engine's own process would not know what this one was told.
    monkeypatch.setattr(prove, "open_engine", lambda engine, *given: engine(*given[:2]))
    # The page computes each cell itself, and reads no other.
    engines = tuple(engine for engine in installed.ENGINES if engine is not JavaScript)
    monkeypatch.setattr(installed, "ENGINES", engines)
    monkeypatch.setattr(artifact, "grid_cases", lambda config: islice(grid_cases(config), 6))
    quick = replace(HELLO_OPTIONS, epochs=120, learning_rate=0.01)
    run = run_hello(replace(quick, cell="elman"), tmp_path / "elman")
    (hidden,) = gates(run.network, "hello").values()
    assert np.allclose(hidden, run.network.recurrence(run.network.embed(ids()))[0][0].detach())
    report = (tmp_path / "elman/report.html").read_text(encoding="utf-8")
    assert "#cc79a7" in report
    compare_cells(quick, tmp_path / "compare")
    assert (tmp_path / "compare/elman/report.html").exists()
    made = write_artifact(ExportJob(run.network, run.training, tmp_path / "artifact"))
    assert "onnxruntime" in {v.engine for v in made.report.verdicts if v.cases and not v.failure}
    decoder = Decoder.open(tmp_path / "artifact")
    assert (decoder.decode("hello"), decoder.info.cell) == (HELLO.target, "elman")


def test_a_run_that_is_stopped_at_its_report_has_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the next command trains it again, and it is complete."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "write_report", stop)
    with pytest.raises(KeyboardInterrupt):
        run_hello(replace(HELLO_OPTIONS, epochs=120, learning_rate=0.01), tmp_path)
    assert not (tmp_path / CHECKPOINT_NAME).exists()


def ids() -> torch.Tensor:
    return torch.tensor([[HELLO_ALPHABETS.inputs.index(char) for char in HELLO.input]])


@pytest.mark.parametrize("cell", CELLS)
def test_the_gates_are_those_of_the_weights(cell: str) -> None:
    found = recurrence(configure(replace(HELLO_OPTIONS, cell=cell), HELLO_ALPHABETS))
    rows = found.get_parameter("weight_ih_l0").shape[0]
    assert rows == len(CELLS[cell].pytorch_gates) * HELLO_OPTIONS.hidden_size
    assert sorted(CELLS[cell].pytorch_gates) == sorted(CELLS[cell].onnx_gates)
    assert next(iter(CELLS[cell].meanings)) == CELLS[cell].states[0] == "hidden"


def test_cells_are_known_without_torch() -> None:
    script = "import sys, hello_train.network.config; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert result.stdout == b"False\n"
