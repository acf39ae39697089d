"""How exact each engine's tanh and sigmoid are, inside the recurrences that it runs.

    python tests/benchmarks/activations.py [--points 20000]

A network has an embedding of one value a character, which is a point of the grid, and a recurrence
whose weights are 1 or 0, so that its state after one step is the tanh or the sigmoid of the point.
The truth is numpy's float64. An ulp is float32's spacing at the truth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from hello_export.proof.cases import Case
from hello_export.proof.engines import Array, Engine
from hello_export.proof.prove import engines
from hello_export.proof.reference import Reference
from hello_runtime.model.labels import alphabet_labels
from hello_train.network.cells import sigmoid
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from measuring import show
from networks import save

HIDDEN = 16
"""Equal units, so that an engine computes them as the vectors that it is made for."""
SATURATED = 20.0
"""A bias at which both functions are 1 in float32."""
LEAST = 0.25
"""Least value whose error is counted in ulps."""
FIRST_CODEPOINT = 0x4E00


def grid(points: int) -> Array:
    """Return points of both signs, half of them evenly up to 12 and half by magnitude, [points]."""
    quarter = points // 4
    positive = [np.linspace(0, 12, quarter), np.geomspace(2.0**-20, 2.0**5, quarter)]
    half = np.concatenate(positive).astype(np.float32)
    return np.concatenate([half, -half])


def network_of(cell: str, points: Array) -> Network:
    """Return a causal network that reads a point and has weights and biases of zero."""
    config = ModelConfig(
        cell=cell,
        input_alphabet="".join(chr(FIRST_CODEPOINT + index) for index in range(len(points))),
        output_labels=alphabet_labels("abcdefghijklmnop"),
        embedding_dim=1,
        hidden_size=HIDDEN,
        layers=1,
        bidirectional=False,
        projection=False,
        unknown="error",
        guard=None,
        nonlinearity="tanh",
    )
    network = Network(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        network.embedding.weight[:, 0] = torch.from_numpy(points)
    return network


def gate(network: Network, number: int, *, weight: float = 0.0, bias: float = 0.0) -> None:
    """Set the input weight and the bias of a gate, by PyTorch's order of the gates."""
    rows = slice(number * HIDDEN, (number + 1) * HIDDEN)
    with torch.no_grad():
        network.get_parameter("recurrence.weight_ih_l0")[rows] = weight
        network.get_parameter("recurrence.bias_ih_l0")[rows] = bias


def rnn_tanh(points: Array) -> Network:
    """h = tanh(x)."""
    network = network_of("rnn", points)
    gate(network, 0, weight=1)
    return network


def gru_tanh(points: Array) -> Network:
    """h = (1 - z) n = tanh(x), with z = sigmoid(-40)."""
    network = network_of("gru", points)
    gate(network, 1, bias=-2 * SATURATED)
    gate(network, 2, weight=1)
    return network


def gru_sigmoid(points: Array) -> Network:
    """h = (1 - z) n = sigmoid(x), with z = sigmoid(-x) and n = 1."""
    network = network_of("gru", points)
    gate(network, 1, weight=-1)
    gate(network, 2, bias=SATURATED)
    return network


def lstm_tanh(points: Array) -> Network:
    """c = i g = tanh(x), with i = 1."""
    network = network_of("lstm", points)
    gate(network, 0, bias=SATURATED)
    gate(network, 2, weight=1)
    return network


def lstm_sigmoid(points: Array) -> Network:
    """c = i g = sigmoid(x), with g = 1."""
    network = network_of("lstm", points)
    gate(network, 0, weight=1)
    gate(network, 2, bias=SATURATED)
    return network


FUNCTIONS: dict[str, tuple[Callable[[Array], Network], Callable[[Array], Array]]] = {
    "RNN's tanh": (rnn_tanh, np.tanh),
    "GRU's tanh": (gru_tanh, np.tanh),
    "LSTM's tanh": (lstm_tanh, np.tanh),
    "GRU's sigmoid": (gru_sigmoid, sigmoid),
    "LSTM's sigmoid": (lstm_sigmoid, sigmoid),
}


def worst(found: Array, truth: Array) -> tuple[float, float]:
    """Return the largest error of units [points, hidden]: absolute, and in ulps of the truth.

    The second is of points whose truth is at least `LEAST`: a GRU says 1 - z, and smaller values
    have lost digits before.
    """
    error = np.abs(found - truth[:, None]).max(1)
    large = np.abs(truth) >= LEAST
    ulps = error[large] / np.spacing(np.abs(truth[large]).astype(np.float32))
    return float(error.max()), float(ulps.max())


def states(network: Network, folder: Path, engine: type[Engine] | None) -> Array:
    """Return the state after reading each point alone, [points, hidden]; of PyTorch for None."""
    codepoints = np.array([[ord(char)] for char in network.config.input_alphabet], np.int32)
    if engine is None:
        rows = Reference(network).run_rows(codepoints.tolist())
        return np.stack([row["state_out"][-1] for row in rows])
    lengths = np.ones(len(codepoints), np.int32)
    found: Array = engine(network.config, folder).run(Case(codepoints, lengths))["state_out"][-1]
    return found


def errors(points: Array, engine: type[Engine] | None) -> dict[str, tuple[float, float]]:
    """Return an engine's largest error, absolute and in ulps, by function; of PyTorch for None."""
    found = {}
    for name, (make, function) in FUNCTIONS.items():
        network = make(points)
        with tempfile.TemporaryDirectory() as folder:
            save(network, Path(folder))
            found[name] = worst(
                states(network, Path(folder), engine), function(points.astype(np.float64))
            )
    return found


@click.command()
@click.option("--points", default=20_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(points: int, as_json: bool) -> None:
    """Print the largest error of each engine, absolute and in ulps, as a table."""
    able = [engine for engine in engines() if engine.name != "hello-infer"]  # it gives no state
    rows = []
    for engine in (None, *able):
        found = errors(grid(points), engine)
        row = {name: f"{absolute:.1e}, {ulps:.1f}" for name, (absolute, ulps) in found.items()}
        rows.append({"engine": engine.name if engine else "eager PyTorch", **row})
    title = f"Largest error of tanh and sigmoid on {points} points, absolute and in ulps"
    packages = [engine.distribution for engine in able]
    show(rows, as_json=as_json, title=title, packages=packages)


if __name__ == "__main__":
    main()
