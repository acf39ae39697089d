"""One truth, many engines: each says what eager PyTorch said when the files were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hello_export.cases import Case
from hello_export.engines import Engine, OnnxRuntime, Runtime, TorchScript, codepoints
from hello_export.onnx_graph import build_model
from hello_export.parity import TOLERANCE
from hello_export.reference import Reference
from hello_export.torchscript import save_program
from hello_runtime.model_file import locate
from hello_train.config import CELLS
from helpers import Golden, read_golden
from onnx import save

NAMES = [f"{kind}-{cell}" for kind in ("hello", "deep") for cell in CELLS]
TEXTS = {"hello": 1, "deep": 14}
"""How many texts a golden file has."""


def case_of(text: str) -> Case:
    return Case(codepoints(text)[None], np.array([len(text)], np.int32))


def check_rows(engine: Engine, golden: Golden, name: str) -> None:
    compared = 0
    for row in golden.rows:
        text = row["text"]
        found = engine.run(case_of(text))
        assert "".join(map(chr, found["decoded"][0])) == row["decoded"]
        for tensor in found.keys() & {"confidence", "logits"}:
            difference = np.abs(found[tensor][0] - np.array(row[tensor], np.float32)).max()
            assert difference <= TOLERANCE, tensor
        compared += 1
    assert compared == TEXTS[name.partition("-")[0]]


@pytest.mark.parametrize("name", NAMES)
def test_engines_reproduce_the_golden_rows(name: str, tmp_path: Path) -> None:
    golden = read_golden(name)
    config = golden.network.config
    save(build_model(golden.network, golden.training), tmp_path / "model.onnx")
    save_program(golden.network, tmp_path / "model.pt")
    check_rows(OnnxRuntime(config, tmp_path / "model.onnx"), golden, name)
    check_rows(TorchScript(config, tmp_path / "model.pt"), golden, name)
    check_rows(Runtime(config, tmp_path / "model.onnx"), golden, name)


@pytest.mark.parametrize("cell", CELLS)
def test_carried_models_reproduce_the_golden_rows(cell: str) -> None:
    golden = read_golden(f"hello-{cell}")
    check_rows(OnnxRuntime(golden.network.config, locate(None, cell)), golden, f"hello-{cell}")


@pytest.mark.parametrize("name", NAMES)
def test_todays_pytorch_still_says_it(name: str) -> None:
    golden = read_golden(name)
    reference = Reference(golden.network)
    for row in golden.rows:
        text = row["text"]
        logits = reference.run([ord(char) for char in text])["logits"]
        assert np.abs(logits - np.array(row["logits"])).max() <= TOLERANCE


@pytest.mark.parametrize("cell", CELLS)
def test_hello_is_the_posts(cell: str) -> None:
    golden = read_golden(f"hello-{cell}")
    config = golden.network.config
    assert [config.input_alphabet.index(char) for char in "hello"] == [1, 0, 2, 2, 3]
    assert golden.rows[0]["decoded"] == "ohlol"
    assert np.shape(golden.rows[0]["logits"]) == (5, 4)
    assert golden.network.embedding.weight.shape == (4, 10)


def test_a_changed_golden_row_fails(tmp_path: Path) -> None:
    golden = read_golden("deep-gru")
    save(build_model(golden.network, golden.training), tmp_path / "model.onnx")
    engine = OnnxRuntime(golden.network.config, tmp_path / "model.onnx")
    step = golden.rows[3]["logits"][5]
    step[step.index(max(step))] += 2e-5
    with pytest.raises(AssertionError, match="logits"):
        check_rows(engine, golden, "deep-gru")


def test_a_missing_golden_row_fails(tmp_path: Path) -> None:
    golden = read_golden("deep-gru")
    save(build_model(golden.network, golden.training), tmp_path / "model.onnx")
    del golden.rows[0]
    with pytest.raises(AssertionError):
        check_rows(OnnxRuntime(golden.network.config, tmp_path / "model.onnx"), golden, "deep-gru")
