"""The gates of a network while it reads a text, and the probabilities of its outputs.

PyTorch's recurrences return no gates, so they are computed here by the equations of `cells`.
"""

from __future__ import annotations

import numpy as np
import torch
from hello_runtime.text.pairs import Pair

from hello_train.network.cells import CELLS, NONLINEARITIES, Step
from hello_train.network.encoding import encode
from hello_train.network.model import Network

Values = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""[time, hidden]"""


@torch.inference_mode()
def gates(network: Network, text: str) -> dict[str, Values]:
    """Return the gates and states of the first layer's forward direction, from a zero state.

    The network is on the CPU, and the text not empty.

    Returns:
        float32 [time, hidden] by name, in the order of the equations, the hidden states last.
    """
    config = network.config
    cell, activation = CELLS[config.cell], NONLINEARITIES[config.nonlinearity]
    weight_ih, weight_hh, bias_ih, bias_hh = (
        network.recurrence.get_parameter(f"{name}_l0").numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    vectors = network.vectors()[torch.from_numpy(encode([text], config.input_alphabet))].numpy()
    step: Step = dict.fromkeys(cell.states, np.zeros(config.hidden_size, np.float32))
    steps = []
    for read in vectors @ weight_ih.T + bias_ih:
        recalled = weight_hh @ step["hidden"] + bias_hh
        step = cell.step(read, recalled, step, activation)
        steps.append(step)
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


@torch.inference_mode()
def certainty(network: Network, pair: Pair) -> list[float]:
    """Return the probability of each character of a target, 0 to 1, by a network on the CPU.

    All characters of the target are labels.
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
