"""The JavaScript module says what eager PyTorch says, and opens no other file."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from golden.replay import TEXTS, TOLERANCE, model_file, read_rows
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES, Storage
from hello_export.proof import parity
from hello_export.proof.javascript import JavaScript, modules_folder, node_version
from helpers import KINDS, TRAINING, make_network, quick_cases

pytestmark = pytest.mark.skipif(not node_version(), reason="Node is not installed")

MODULES = modules_folder()


class Node:
    """A Node process that answers requests with the module; see `javascript/answer.mjs`."""

    def __init__(self) -> None:
        script = Path(__file__).parent / "javascript" / "answer.mjs"
        self._process = subprocess.Popen(
            ["node", str(script), str(MODULES / "hello_rnn.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, model: Path | str, **request: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        line = json.dumps({"model": str(model), **request})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    started = Node()
    yield started
    started.close()


@pytest.mark.parametrize("name", TEXTS)
def test_the_golden_texts(name: str, node: Node) -> None:
    rows = read_rows(name)
    answer = node.ask(model_file(name), texts=[row["text"] for row in rows], pieces=3)
    for row, found in zip(rows, answer["results"], strict=True):
        assert found["decoded"] == row["decoded"]
        assert found["streamed"] == (row["decoded"] if not name.startswith("deep") else None)
        for tensor in ("confidence", "logits"):
            expected = np.array(row[tensor], np.float32)
            assert np.abs(np.array(found[tensor], np.float32) - expected).max() <= TOLERANCE


SHAPES = list(itertools.product(KINDS, (False, True), (1, 2, 3)))


def grid() -> Iterator[Any]:
    """Yield every shape with every way to store weights; a plain run has one of these for each."""
    for place, shape in enumerate(SHAPES):
        for number, storage in enumerate(STORAGES):
            name = f"{'-'.join(shape[0])}-{'two' if shape[1] else 'one'}-{shape[2]}-{storage}"
            long = (place + place // 3 - number) % len(STORAGES) != 0
            marks = [pytest.mark.long] * long
            yield pytest.param(*shape, storage, 3 * place + number, id=name, marks=marks)


@pytest.mark.parametrize(("kind", "bidirectional", "layers", "storage", "place"), list(grid()))
def test_the_grid(
    kind: tuple[str, str],
    bidirectional: bool,
    layers: int,
    storage: Storage,
    place: int,
    tmp_path: Path,
) -> None:
    """Every shape, with the policies and the guard in turn."""
    report = compare(
        tmp_path,
        storage,
        cell=kind[0],
        nonlinearity=kind[1],
        bidirectional=bidirectional,
        layers=layers,
        projection=place % 4 != 3,
        unknown=("error", "copy", "label")[place % 7 % 3],
        guarded=place % 2 == 0,
        seed=place,
    )
    (verdict,) = report.verdicts
    assert verdict.characters > 9000
    assert verdict.max_difference.keys() >= {"logits", "confidence"}
    assert max(verdict.max_difference.values()) <= TOLERANCE


def compare(
    folder: Path, storage: Storage = "float32", modules: Path = MODULES, **shape: Any
) -> parity.Report:
    """Compare the module, or another in its place, with PyTorch on a network of this shape."""
    network = round_weights(make_network(**shape), storage)
    onnx.save(build_model(network, TRAINING, storage), folder / "model.onnx")
    engine = JavaScript(network.config, folder, modules)
    try:
        report = parity.compare(network, [engine], quick_cases(network.config))
    finally:
        engine.close()
    report.check()
    return report


FAULTS: list[tuple[str, str, str, str, str, dict[str, Any]]] = [
    ("gates exchanged", "model_file", 'gru: "zrh"', 'gru: "rzh"', "layer0.forward", {}),
    ("gates exchanged in the step", "hello_rnn", "update = sigmoid(x[j] + r[j])",
     "update = sigmoid(x[H + j] + r[H + j])", "logits", {}),
    ("output for forget", "hello_rnn", "c[j] = forget * c[j]", "c[j] = output * c[j]", "logits",
     {"cell": "lstm"}),
    ("reset before the product", "hello_rnn", "x[2 * H + j] + reset * r[2 * H + j]",
     "reset * (x[2 * H + j] + r[2 * H + j])", "logits", {}),
    ("tanh for relu", "hello_rnn", "relu: (x) => Math.max(x, 0)", "relu: Math.tanh", "logits",
     {"cell": "rnn", "nonlinearity": "relu"}),
    ("not turned back", "hello_rnn", "step * features + direction * H",
     "n * features + direction * H", "logits", {"bidirectional": True}),
    ("not turned at all", "hello_rnn", "direction === 0 ? n : steps - 1 - n", "n", "logits",
     {"bidirectional": True}),
    ("the other direction's half", "hello_rnn", "direction * H);", "(1 - direction) * H);",
     "logits", {"bidirectional": True}),
    ("the scale on the wrong axis", "model_file", "Math.floor(at / inner) % scale.length",
     "at % scale.length", "logits", {"storage": "int8"}),
    ("float16 without its sign", "model_file", "bits >> 15 ? -size : size", "size", "logits",
     {"storage": "float16"}),
    ("not transposed", "model_file", "matrix[(at % rows) * columns + Math.floor(at / rows)]",
     "matrix[at]", "logits", {}),
    ("biases exchanged", "model_file", "b: biases.subarray(0, rows)", "b: biases.subarray(rows)",
     "logits", {}),
    ("state forgotten", "hello_rnn", "this.info.causal ? before", "false ? before", "logits", {}),
    ("states by layer", "hello_rnn", "slot % layers.length === layer",
     "Math.floor(slot / this.cell.states) === layer", "logits", {"cell": "lstm", "layers": 2}),
    ("no guard", "hello_rnn", "if (!allowed[at])", "if (false)", "logits", {"guarded": True}),
    ("unknown characters rewritten", "hello_rnn", "copied ? codes[step] : labels[best]",
     "labels[best]", "decoded", {}),
    ("unknown characters copied", "hello_rnn", 'this.info.unknown !== "label"', "true", "decoded",
     {"unknown": "label"}),
    ("no softmax", "hello_rnn", "copied ? 1 : 1 / sum", "1", "confidence", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "old", "new", "named", "shape"),
    [fault[1:] for fault in FAULTS],
    ids=[fault[0] for fault in FAULTS],
)
def test_a_planted_fault_is_found_and_named(
    module: str, old: str, new: str, named: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    broken = tmp_path / "js"
    shutil.copytree(MODULES, broken)
    file = broken / f"{module}.mjs"
    source = file.read_text(encoding="utf-8")
    assert source.count(old) == 1
    file.write_text(source.replace(old, new), encoding="utf-8")
    with pytest.raises((ParityError, RuntimeError)) as caught:
        compare(tmp_path, modules=broken, **shape)
    expected = f"JavaScript differs from PyTorch in {named}" if "." not in named else named
    assert expected in str(caught.value)


@pytest.mark.parametrize("shape", [{"storage": storage} for storage in STORAGES], ids=str)
def test_without_a_fault_the_same_network_passes(shape: dict[str, Any], tmp_path: Path) -> None:
    assert compare(tmp_path, **shape).verdicts[0].cases == 18


def write_model(folder: Path, **shape: Any) -> Path:
    file = folder / "model.onnx"
    onnx.save(build_model(make_network(**shape), TRAINING), file)
    return file
