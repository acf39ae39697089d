"""The gates of a report are those of PyTorch's own recurrences."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hello_train.network.encoding import encode
from hello_train.network.model import Network
from hello_train.network.model import recurrence as recurrence_of
from hello_train.report.gates import Values, gates
from helpers import KINDS, make_network

TEXT = "abż\u0301😀?bba" * 3
ORDER = {
    "rnn": ["hidden"],
    "gru": ["reset", "update", "new", "hidden"],
    "lstm": ["input", "forget", "candidate", "output", "cell", "hidden"],
}


@torch.inference_mode()
def first_layer(network: Network) -> tuple[Values, Values]:
    """Return PyTorch's hidden states [time, hidden] and last state [1, hidden], the cell's of an
    LSTM, of the first layer's forward direction alone."""
    recurrence, config = network.recurrence, network.config
    alone = recurrence_of(replace(config, layers=1, bidirectional=False, projection=True))
    names = alone.state_dict().keys()
    alone.load_state_dict({name: recurrence.state_dict()[name] for name in names})
    ids = torch.from_numpy(encode([TEXT], config.input_alphabet))
    hidden, last = alone(network.vectors()[ids][None])
    return hidden[0].numpy(), (last[1] if config.cell == "lstm" else last)[0].numpy()


def worst(network: Network, tested: Network) -> float:
    """Return how far the gates of a network are from PyTorch's states of another."""
    found = gates(tested, TEXT)
    hidden, last = first_layer(network)
    return float(
        max(
            np.abs(found["hidden"] - hidden).max(),
            np.abs(found.get("cell", found["hidden"])[-1:] - last).max(),
        )
    )


@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
@pytest.mark.parametrize("deep", [False, True])
def test_the_states_are_those_of_pytorch(cell: str, nonlinearity: str, deep: bool) -> None:
    network = make_network(cell, nonlinearity, layers=1 + deep, bidirectional=deep)
    found = gates(network, TEXT)
    assert list(found) == ORDER[cell]
    assert {values.shape for values in found.values()} == {(len(TEXT), 5)}
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}
    assert worst(network, network) < 1e-6


@pytest.mark.parametrize(
    ("cell", "first", "second"), [("gru", 0, 1), ("gru", 1, 2), ("lstm", 0, 1), ("lstm", 2, 3)]
)
def test_swapped_gates_are_found(cell: str, first: int, second: int) -> None:
    network = make_network(cell)
    swapped = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in swapped.recurrence.parameters():
            blocks = list(parameter.chunk(len(parameter) // 5))
            blocks[first], blocks[second] = blocks[second], blocks[first]
            parameter.copy_(torch.cat(blocks))
    assert worst(network, swapped) > 1e-3


@pytest.mark.parametrize(
    ("cell", "shares", "signed"),
    [("gru", ["reset", "update"], "new"), ("lstm", ["input", "forget", "output"], "candidate")],
)
def test_a_gate_is_a_share_and_a_candidate_has_a_sign(
    cell: str, shares: list[str], signed: str
) -> None:
    found = gates(make_network(cell), TEXT)
    assert all((found[name] > 0).all() and (found[name] < 1).all() for name in shares)
    assert (found[signed] < 0).any()
