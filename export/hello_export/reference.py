"""What eager PyTorch says: the side of every comparison that is taken for the truth.

It shares no code with what is exported. The recurrence is PyTorch's own `nn.RNN`, `nn.GRU` or
`nn.LSTM`, run on one row at a time without any padding; alphabet, guard and unknown characters are
worked out in plain Python from the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from hello_train.config import FORBIDDEN_LOGIT
from hello_train.model import Network
from numpy.typing import NDArray
from torch import Tensor, nn

Row = dict[str, NDArray[np.generic]]
"""A row's outputs by name, without the batch axis: `state_out` is [slots, hidden]."""


class Reference:
    """A network that takes and gives code points, a row at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._config = config = network.config
        self._ids = {ord(char): id_ for id_, char in enumerate(config.input_alphabet)}
        weight = network.embedding.weight.detach()
        # Where no unknown character was learned it is read as zeros; else it has its own row.
        self._vectors = (
            weight if config.unknown == "copy" else nn.functional.pad(weight, (0, 0, 0, 1))
        )
        self._forbidden = {
            ord(char): [label not in outputs for label in config.output_alphabet]
            for char, outputs in (config.guard or {}).items()
        }

    @torch.inference_mode()
    def run(self, codepoints: Sequence[int], state: NDArray[np.float32] | None = None) -> Row:
        """Return the outputs of one row.

        Args:
            codepoints: at least one.
            state: [slots, hidden], for a causal network; None for zeros.
        """
        ids = [self._ids.get(codepoint, self._config.unknown_id) for codepoint in codepoints]
        hidden, state_out = self._network.recurrence(self._vectors[ids], self._initial(state))
        logits = self._network.projection(hidden)
        nothing = [False] * self._config.labels
        forbidden = [self._forbidden.get(codepoint, nothing) for codepoint in codepoints]
        logits = logits.masked_fill(torch.tensor(forbidden), FORBIDDEN_LOGIT)
        probabilities, labels = logits.softmax(-1).max(-1)
        choices = zip(codepoints, labels.tolist(), probabilities.tolist(), strict=True)
        decoded, confidence = [], []
        for codepoint, label, probability in choices:
            known = codepoint in self._ids
            decoded.append(ord(self._config.output_alphabet[label]) if known else codepoint)
            confidence.append(probability if known else 1.0)
        row: Row = {
            "decoded": np.array(decoded, np.int32),
            "confidence": np.array(confidence, np.float32),
            "logits": logits.numpy(),
        }
        if not self._config.bidirectional:
            states = state_out if isinstance(state_out, tuple) else (state_out,)
            row["state_out"] = torch.cat(states).numpy()
        return row

    def _initial(self, state: NDArray[np.float32] | None) -> Tensor | tuple[Tensor, Tensor] | None:
        """Return a state as PyTorch takes it: one tensor, or two for an LSTM, or None."""
        if state is None:
            return None
        tensor = torch.from_numpy(state)
        if self._config.cell != "lstm":
            return tensor
        return tensor[: self._config.layers], tensor[self._config.layers :]
