"""What the tests share: golden files, networks of every shape, and what a failed command says."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import onnx
import torch
from click.testing import Result
from hello_export import artifact, verify
from hello_export.graph.onnx_graph import build_model
from hello_export.proof import installed, prove
from hello_export.proof.c_engine import CSource
from hello_export.proof.cases import Case, grid_cases, module_cases
from hello_export.proof.engines import Engine, OnnxRuntime
from hello_export.proof.javascript import JavaScript
from hello_export.proof.torchscript_engine import TorchScript
from hello_runtime import Decoder
from hello_runtime.model.labels import alphabet_labels
from hello_runtime.model.model_file import Unknown
from hello_runtime.model.tasks import Task
from hello_runtime.text.edits import KEEP, Edit
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training, load_checkpoint, save_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

GOLDEN = Path(__file__).parent / "golden"
TRAINING = Training(data="nothing", example="abc", seed=0, characters=0)

Run = Callable[..., subprocess.CompletedProcess[str]]
Export = Callable[..., Result]


@dataclass(frozen=True)
class Golden:
    """A committed network, and what eager PyTorch said of some texts when it was written."""

    network: Network
    training: Training
    rows: list[dict[str, Any]]


def read_golden(name: str) -> Golden:
    network, training = load_checkpoint(GOLDEN / f"{name}.safetensors")
    rows = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    return Golden(network, training, rows)


KINDS = [(name, choice) for name, cell in CELLS.items() for choice in cell.nonlinearities]
"""The recurrences: cell and nonlinearity."""


LABELS: dict[str, tuple[Edit, ...]] = {
    "characters": alphabet_labels("abż\u0301😀x"),
    "one": ((KEEP,), ("ż",), ("x",), ("\u0301",), ("😀",), ("a",)),
    "width 1": ((KEEP,), (), ("x",), ("\u0301",), ("😀",), ("a",)),
    "width 2": ((KEEP,), (), (KEEP, "\u0301"), (" ", KEEP), ("ż",), ("a", "😀")),
    "width 5": ((KEEP,), (), ("a", KEEP, "x", "😀", KEEP), (KEEP, "-"), ("ż",), ("a", "b", "c")),
}
"""Labels of each width. `characters` are those of format 1; in `one` all write one character."""


CLASSES = ("Polish", "Ελληνικά", "two words", "\t", "5", "😀")
"""The classes of a classifier."""


def make_network(
    cell: str = "gru",
    nonlinearity: str = "tanh",
    *,
    layers: int = 1,
    bidirectional: bool = False,
    projection: bool = True,
    unknown: Unknown = "copy",
    guarded: bool = False,
    hidden_size: int = 5,
    seed: int = 0,
    labels: str = "characters",
    task: Task = "rewrite",
) -> Network:
    """Return a small random network of this shape, with an astral and a combining character.

    Its alphabet is in no order.
    """
    guard = {"a": (2, 5), "b": (1,), "ż": (2, 3), "\u0301": (3,), "😀": (0, 1, 4)}
    alphabet, classes = "ba\u0301ż😀", CLASSES if task == "classify" else ()
    written = {"rewrite": LABELS[labels], "next": alphabet_labels(alphabet), "classify": ()}[task]
    if task != "rewrite" and unknown == "copy":
        unknown = "label"
    if not projection:
        hidden_size = len(written or classes) // (2 if bidirectional else 1)
    config = ModelConfig(
        cell=cell,
        input_alphabet=alphabet,
        output_labels=written,
        embedding_dim=7,
        hidden_size=hidden_size,
        layers=layers,
        bidirectional=bidirectional,
        projection=projection,
        unknown=unknown,
        guard=guard if guarded else None,
        nonlinearity=nonlinearity,
        task=task,
        classes=classes,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(config).eval()


ENGINES: tuple[type[Engine], ...] = (
    TorchScript,
    *(
        engine
        for engine in installed.ENGINES
        if engine not in (JavaScript, CSource) or not engine.missing()
    ),
)
"""The engines of the proof on this machine, which may have no Node, or no C compiler."""


def left_out(config: ModelConfig) -> set[str]:
    """Return the engines here that cannot run a network; not by their `limit`, which this tests."""
    names = {"onnx evaluator", "tract"} if config.nonlinearity == "relu" else set()
    if config.bidirectional or config.task == "classify":
        names.add("emx-onnx-cgen")
    return names & {engine.name for engine in ENGINES}


SHORT_PROOF = {"SHORT_PROOF": "1"}
"""The environment in which a command server shortens the proof; see `shorten_proof`."""


def shorten_proof(replace: Callable[[object, str, object], None]) -> None:
    """Prove on four cases and one engine, in this process: for tests of anything but the proof.

    Args:
        replace: sets an attribute, as `setattr` does; a test's own undoes it.
    """
    for module in (artifact, verify):
        replace(module, "grid_cases", lambda *given: islice(grid_cases(*given), 4))
    replace(artifact, "module_cases", lambda config: islice(module_cases(config), 4))
    replace(installed, "ENGINES", (OnnxRuntime,))
    replace(prove, "open_engine", lambda engine, config, folder, *_: engine(config, folder))


def save_run(network: Network, folder: Path) -> None:
    """Save a network as a training does."""
    save_checkpoint(folder, network, TRAINING)


def quick_cases(config: ModelConfig) -> list[Case]:
    """Return the cases of the grid but five, which have so many steps that they take most time."""
    return [case for case in grid_cases(config) if reference_steps(case) < 1000]


def short_cases(config: ModelConfig) -> list[Case]:
    """Return the cases of short lines, and one that chains chunks: enough to find a fault."""
    quick = quick_cases(config)
    return [case for case in quick if reference_steps(case) < 100 or case.chunk == 64]


def reference_steps(case: Case) -> int:
    """Return the number of PyTorch's steps: rows of equal length run together."""
    return sum({len(row) for row in case.rows})


STRANGE = "a\0b\ufeff\r\f\x0b\x85\u2028\u2029e\u0301🦀\U0010ffff\ud800c"
"""Characters that text tools like to eat, among known ones."""


def open_model(
    folder: Path,
    cell: str = "gru",
    *,
    bidirectional: bool = False,
    layers: int = 1,
    unknown: Unknown = "copy",
    labels: str = "characters",
) -> Decoder:
    network = make_network(
        cell, bidirectional=bidirectional, layers=layers, unknown=unknown, labels=labels
    )
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    return Decoder.open(folder, threads=2)


def random_texts(count: int, longest: int, seed: int = 0) -> list[str]:
    source = random.Random(seed)
    return [
        "".join(source.choices("abż\u0301😀🦀e", k=source.randint(0, longest)))
        for _ in range(count)
    ]


def errors_of(stderr: str) -> list[str]:
    """Return the lines on stderr that are not progress."""
    progress = re.compile(r"comparing .* characters|\d+% compared.*|writing model.*")
    return [line for line in stderr.splitlines() if not progress.fullmatch(line)]


def assert_one_line_error(
    result: subprocess.CompletedProcess[str], *parts: str, code: int = 1
) -> None:
    """Check that a command failed with one line on stderr that has these parts."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]
