"""What a network computes while it reads a text: its gates, and how sure it is of its answer.

PyTorch's recurrences return their hidden states and keep the gates to themselves, so the gates are
computed here once more, by the equations in the documentation of `torch.nn.RNN`, `torch.nn.GRU`
and `torch.nn.LSTM`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, sigmoid, tanh
from torch.nn.functional import linear

from hello_train.codepoints import encode
from hello_train.config import Cell, Nonlinearity
from hello_train.data import Pair
from hello_train.model import Network

Values = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""[time, hidden]"""
Gates = dict[str, Tensor]
"""The gates and states of one step by name, each [hidden], in the order of their equations."""
Step = Callable[[Tensor, Tensor, Gates], Gates]
"""From what a character adds (W_i x + b_i), what the hidden state adds (W_h h + b_h), each
[gates * hidden], and the step before."""


def rnn_step(read: Tensor, recalled: Tensor, _: Gates, activation: Callable[..., Tensor]) -> Gates:
    """Return the next step of Elman's recurrence."""
    return {"hidden": activation(read + recalled)}


def gru_step(read: Tensor, recalled: Tensor, before: Gates) -> Gates:
    """Return the next step of a GRU."""
    (read_r, read_z, read_n), (recalled_r, recalled_z, recalled_n) = (
        read.chunk(3),
        recalled.chunk(3),
    )
    reset = sigmoid(read_r + recalled_r)
    update = sigmoid(read_z + recalled_z)
    new = tanh(read_n + reset * recalled_n)
    hidden = (1 - update) * new + update * before["hidden"]
    return {"reset": reset, "update": update, "new": new, "hidden": hidden}


def lstm_step(read: Tensor, recalled: Tensor, before: Gates) -> Gates:
    """Return the next step of an LSTM."""
    i, f, g, o = (read + recalled).chunk(4)
    write, forget, candidate, output = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    cell = forget * before["cell"] + write * candidate
    return {
        "input": write,
        "forget": forget,
        "candidate": candidate,
        "output": output,
        "cell": cell,
        "hidden": output * tanh(cell),
    }


STEPS: dict[tuple[Cell, Nonlinearity], Step] = {
    ("rnn", "tanh"): partial(rnn_step, activation=tanh),
    ("rnn", "relu"): partial(rnn_step, activation=torch.relu),
    ("gru", "tanh"): gru_step,
    ("lstm", "tanh"): lstm_step,
}
"""By cell and nonlinearity."""


@torch.inference_mode()
def gates(network: Network, text: str) -> dict[str, Values]:
    """Return what the first layer's forward direction computes over a text, from a zero state.

    Args:
        network: any network; only this part of its recurrence is looked at.
        text: at least one character.

    Returns:
        By name, in the order of the equations and the hidden states last: float32 [time, hidden].
    """
    config = network.config
    weight_ih, weight_hh, bias_ih, bias_hh = (
        network.recurrence.get_parameter(f"{name}_l0")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    vectors = network.vectors()[torch.from_numpy(encode([text], config.input_alphabet))]
    zeros = torch.zeros(config.hidden_size)
    step: Gates = {"hidden": zeros, "cell": zeros}
    steps = []
    for read in linear(vectors, weight_ih, bias_ih):
        recalled = linear(step["hidden"], weight_hh, bias_hh)
        step = STEPS[config.cell, config.nonlinearity](read, recalled, step)
        steps.append(step)
    return {name: torch.stack([step[name] for step in steps]).numpy() for name in steps[0]}


@torch.inference_mode()
def certainty(network: Network, pair: Pair) -> list[float]:
    """Return the probability that a network gives to each character of a target, 0 to 1.

    Args:
        network: any network, on the CPU.
        pair: a line whose target has no character that is not a label.
    """
    ids, labels = (
        torch.from_numpy(encode([text], alphabet))
        for text, alphabet in (
            (pair.input, network.config.input_alphabet),
            (pair.target, network.config.output_alphabet),
        )
    )
    probabilities = network(ids[None])[0].softmax(-1)  # (time, labels)
    found: list[float] = probabilities[torch.arange(len(labels)), labels].tolist()
    return found
