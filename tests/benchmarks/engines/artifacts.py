"""Writes the artifacts that every engine is tried on, with what eager PyTorch says of some lines.

An artifact is NAME.onnx with NAME.npz beside it. The second has, for each case, the inputs
`CASE/codepoints` int32 [batch, time] and `CASE/lengths` int32 [batch], the number of characters
after which a causal model's state is carried over, `CASE/chunk`, and each output that is expected.
`CASE/sure` bool [batch, time] says where the logits of the two best labels are so far apart that
rounding cannot exchange them. `state` int64 [2] is the slots and the width of the state, or empty.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES, Storage
from hello_export.proof.reference import Reference
from hello_runtime.model.labels import alphabet_labels
from hello_runtime.text.edits import KEEP, Edit
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from numpy.typing import NDArray

ALPHABET = "acelnosz żł😀"
LABELS = alphabet_labels("aącćeęlłnńoósśzżź 😀")
EDITS: tuple[Edit, ...] = ((KEEP,), (), (KEEP, "\u0301"), (" ", KEEP), ("ł",), (KEEP, "😀"))
"""Labels that write no character, one or two."""
TEXT = ALPHABET * 3 + "k🦀"
"""What lines are drawn from; two of its characters are unknown to the networks."""
TRAINING = Training(data="nothing", example="zolza", seed=0, characters=0)
HIDDEN_SIZE = 10
MARGIN = 0.01
"""Logits that are so far apart are in the same order on every engine that is right."""

CASES: dict[str, tuple[tuple[int, ...], int]] = {
    "a character": ((1,), 0),
    "a line": ((7,), 0),
    "a long line": ((67,), 0),
    "equal lines": ((9, 9, 9), 0),
    "padded lines": ((9, 4, 1), 0),
    "a carried state": ((5,), 1),
}
"""The lengths of the rows, and the chunk; causal models get no padding, others no chunks."""


@dataclass(frozen=True)
class Kind:
    """What an artifact is."""

    cell: str
    nonlinearity: str
    directions: int
    layers: int
    storage: Storage = "float32"
    edits: bool = False

    @property
    def traits(self) -> tuple[str, ...]:
        """Its cell, directions, layers, weights and labels, in the words of a table."""
        return (
            "relu" if self.nonlinearity == "relu" else self.cell,
            "causal" if self.directions == 1 else "bidirectional",
            "one layer" if self.layers == 1 else "two layers",
            self.storage,
            "edits" if self.edits else "characters",
        )

    @property
    def name(self) -> str:
        """The name of its files."""
        return "-".join(self.traits).replace(" ", "-")


def kinds() -> list[Kind]:
    """Return every recurrence in float32, and some in the other ways to store weights."""
    recurrences = [(name, choice) for name, cell in CELLS.items() for choice in cell.nonlinearities]
    shapes = [(directions, layers) for directions in (1, 2) for layers in (1, 2)]
    plain = [Kind(*recurrence, *shape) for recurrence in recurrences for shape in shapes]
    small = [
        Kind(cell, "tanh", directions, 1, storage)
        for storage in STORAGES[1:]
        for cell in ("gru", "lstm")
        for directions in (1, 2)
    ]
    return [*plain, *small, Kind("gru", "tanh", 1, 1, edits=True)]


def write_artifacts(folder: Path, chosen: list[Kind]) -> list[Path]:
    """Write the files of each artifact; return those of the models."""
    for kind in chosen:
        network = round_weights(make_network(kind), kind.storage)
        onnx.save(build_model(network, TRAINING, kind.storage), folder / f"{kind.name}.onnx")
        config = network.config
        state = [config.slots, config.hidden_size] if config.has_state else []
        arrays: dict[str, Any] = dict(expected_cases(network))
        np.savez(folder / f"{kind.name}.npz", state=np.array(state, np.int64), **arrays)
    return [folder / f"{kind.name}.onnx" for kind in chosen]


def write_empty(folder: Path) -> Path:
    """Write a causal model with one case, a line of no characters."""
    file = folder / "an-empty-line.onnx"
    onnx.save(build_model(make_network(Kind("gru", "tanh", 1, 1)), TRAINING), file)
    types = {"codepoints": np.int32, "decoded": np.int32, "confidence": np.float32, "sure": bool}
    case: dict[str, Any] = {name: np.zeros((1, 0), dtype) for name, dtype in types.items()}
    case["logits"] = np.zeros((1, 0, len(LABELS)), np.float32)
    case["state_out"] = np.zeros((1, 1, HIDDEN_SIZE), np.float32)
    case["lengths"], case["chunk"] = np.zeros(1, np.int32), np.array(0)
    arrays = {f"a line/{name}": array for name, array in case.items()}
    np.savez(file.with_suffix(".npz"), state=np.array([1, HIDDEN_SIZE]), **arrays)
    return file


def make_network(kind: Kind) -> Network:
    """Return a network with random weights that make the recurrence count."""
    config = ModelConfig(
        cell=kind.cell,
        input_alphabet=ALPHABET,
        output_labels=EDITS if kind.edits else LABELS,
        embedding_dim=6,
        hidden_size=HIDDEN_SIZE,
        layers=kind.layers,
        bidirectional=kind.directions == 2,
        projection=True,
        unknown="copy",
        guard={char: tuple(range(1 + at % 3, 6)) for at, char in enumerate(ALPHABET)},
        nonlinearity=kind.nonlinearity,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Network(config).eval()
        for parameter in network.parameters():
            torch.nn.init.uniform_(parameter, -0.6, 0.6)
    return network


def expected_cases(network: Network) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of each case by name."""
    config, reference, source = network.config, Reference(network), random.Random(0)
    for name, (lengths, chunk) in CASES.items():
        if (chunk and not config.has_state) or (len(set(lengths)) > 1 and config.has_state):
            continue
        rows = [[ord(char) for char in source.choices(TEXT, k=length)] for length in lengths]
        codepoints = np.zeros((len(rows), max(lengths)), np.int32)
        for index, row in enumerate(rows):
            codepoints[index, : len(row)] = row
        yield f"{name}/codepoints", codepoints
        yield f"{name}/lengths", np.array(lengths, np.int32)
        yield f"{name}/chunk", np.array(chunk or max(lengths))
        found = reference.run_rows(rows)
        for output in found[0]:
            yield f"{name}/{output}", joined([row[output] for row in found], output)
        best = joined([np.sort(row["logits"])[:, -2:] for row in found], "logits")
        yield f"{name}/sure", best[..., 1] - best[..., 0] > MARGIN


def joined(rows: list[NDArray[Any]], output: str) -> NDArray[Any]:
    """Return the rows of an output as one array; what is behind a shorter row is zero."""
    if output == "state_out":
        return np.stack(rows, axis=1)
    longest = max(len(row) for row in rows)
    ends = [[(0, longest - len(row)), *[(0, 0)] * (row.ndim - 1)] for row in rows]
    return np.stack([np.pad(row, end) for row, end in zip(rows, ends, strict=True)])
