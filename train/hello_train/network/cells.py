"""The cells: PyTorch's class, gates, equations, and texts for the report.

In the equations `W` are the weights of the input and `R` those of the hidden state, `b` and `c`
their biases, as in the documentation of `torch.nn.RNN`, `torch.nn.GRU` and `torch.nn.LSTM`. A new
cell needs an entry in `CELLS`, and one in `ATTRIBUTES` of `hello_export.graph.onnx_graph`.

Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any]
"""float32 [gates * hidden] or [hidden]"""
Step: TypeAlias = Mapping[str, Values]
"""The gates and states of one time step by name, each [hidden], in the order of the equations."""
Activation: TypeAlias = Callable[[Values], Values]


def sigmoid(x: Values) -> Values:
    """Return 1 / (1 + e^-x)."""
    found: Values = 1 / (1 + np.exp(-x))
    return found


def relu(x: Values) -> Values:
    """Return the larger of x and 0."""
    return np.maximum(x, 0)


NONLINEARITIES: Mapping[str, Activation] = {"tanh": np.tanh, "relu": relu}
"""The nonlinearities of a cell, by PyTorch's names."""


@dataclass(frozen=True)
class Cell:
    """A recurrent cell."""

    title: str
    """Its name for people, of its class in `torch.nn`, and of its ONNX operator."""
    pytorch_gates: str
    """The order of the gates in PyTorch's weights, by ONNX's letters."""
    onnx_gates: str
    """Their order in ONNX."""
    step: Callable[[Values, Values, Step, Activation], Step]
    """The equations of one time step, from W x + b and R h + c, [gates * hidden] each, the step
    before, and the nonlinearity."""
    meanings: Mapping[str, str]
    """What each gate and state does, for the report and in its order; h\u2032 and c\u2032 are the
    states of the step before."""
    colour: str
    """The colour of its curves, from the palette of Okabe and Ito 2008."""
    states: tuple[str, ...] = ("hidden",)
    """Its states, the hidden state first."""
    nonlinearities: tuple[str, ...] = ("tanh",)
    """Those to choose from, the default first."""
    between_zero_and_one: frozenset[str] = field(default=frozenset())
    """The gates that are sigmoids; all other values may be negative."""


def rnn_step(read: Values, recalled: Values, _: Step, activation: Activation) -> Step:
    """Return h' = f(W x + b + R h + c), f being tanh or relu (Elman 1990)."""
    return {"hidden": activation(read + recalled)}


def gru_step(read: Values, recalled: Values, before: Step, activation: Activation) -> Step:
    """Return the next step of a GRU (Cho et al. 2014, arXiv:1406.1078).

    The reset gate multiplies the recurrent product after its bias is added, as in PyTorch.
    """
    (read_r, read_z, read_n), (r, z, n) = np.split(read, 3), np.split(recalled, 3)
    reset = sigmoid(read_r + r)
    update = sigmoid(read_z + z)
    new = activation(read_n + reset * n)
    hidden = (1 - update) * new + update * before["hidden"]
    return {"reset": reset, "update": update, "new": new, "hidden": hidden}


def lstm_step(read: Values, recalled: Values, before: Step, activation: Activation) -> Step:
    """Return the next step of an LSTM (Hochreiter and Schmidhuber 1997)."""
    i, f, g, o = np.split(read + recalled, 4)
    write, forget, candidate, output = sigmoid(i), sigmoid(f), activation(g), sigmoid(o)
    cell = forget * before["cell"] + write * candidate
    return {
        "input": write,
        "forget": forget,
        "candidate": candidate,
        "output": output,
        "cell": cell,
        "hidden": output * activation(cell),
    }


CELLS: dict[str, Cell] = {
    "rnn": Cell(
        title="RNN",
        pytorch_gates="i",
        onnx_gates="i",
        step=rnn_step,
        meanings={"hidden": "h = tanh(W x + U h\u2032 + b)"},
        colour="#d55e00",
        nonlinearities=("tanh", "relu"),
    ),
    "gru": Cell(
        title="GRU",
        pytorch_gates="rzh",
        onnx_gates="zrh",
        step=gru_step,
        meanings={
            "hidden": "h = (1 \u2212 z) n + z h\u2032, what is remembered",
            "reset": "r, how much of the state before is seen by n",
            "update": "z, how much of the state before is kept",
            "new": "n, what takes the place of the rest",
        },
        colour="#0072b2",
        between_zero_and_one=frozenset({"reset", "update"}),
    ),
    "lstm": Cell(
        title="LSTM",
        pytorch_gates="ifco",
        onnx_gates="iofc",
        step=lstm_step,
        meanings={
            "hidden": "h = o tanh(c), what the cell lets out",
            "input": "i, how much of g is written to the cell",
            "forget": "f, how much of the cell before is kept",
            "candidate": "g, what may be written",
            "output": "o, how much of the cell is let out",
            "cell": "c = f c\u2032 + i g, what is remembered",
        },
        colour="#009e73",
        states=("hidden", "cell"),
        between_zero_and_one=frozenset({"input", "forget", "output"}),
    ),
}
"""By the name in options and files."""
