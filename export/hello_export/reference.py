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
from torch import Tensor

Row = dict[str, NDArray[np.generic]]
"""A row's outputs by name, without the batch axis: `state_out` is [slots, hidden]."""


class Reference:
    """A network that takes and gives code points, a row at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        config = network.config
        self._config = config
        self._ids = {ord(char): id_ for id_, char in enumerate(config.input_alphabet)}
        self._forbidden = {
            ord(char): [
                label
                for label, output in enumerate(config.output_alphabet)
                if output not in outputs
            ]
            for char, outputs in (config.guard or {}).items()
        }

    @torch.inference_mode()
    def run(self, codepoints: Sequence[int], state: NDArray[np.float32] | None = None) -> Row:
        """Return the outputs of one row.

        Args:
            codepoints: at least one.
            state: [slots, hidden], for a causal network; None for zeros.
        """
        vectors = torch.cat([self._vector(codepoint) for codepoint in codepoints])
        hidden, state_out = self._network.recurrence(vectors, self._initial(state))
        logits = self._network.projection(hidden)
        for step, codepoint in enumerate(codepoints):
            logits[step, self._forbidden.get(codepoint, [])] = FORBIDDEN_LOGIT
        probabilities = logits.softmax(-1)
        labels = logits.argmax(-1).tolist()
        decoded = list(codepoints)
        confidence = [1.0] * len(codepoints)
        for step, (codepoint, label) in enumerate(zip(codepoints, labels, strict=True)):
            if codepoint in self._ids:
                decoded[step] = ord(self._config.output_alphabet[label])
                confidence[step] = float(probabilities[step, label])
        row: Row = {
            "decoded": np.array(decoded, np.int32),
            "confidence": np.array(confidence, np.float32),
            "logits": logits.numpy(),
        }
        if not self._config.bidirectional:
            states = state_out if isinstance(state_out, tuple) else (state_out,)
            row["state_out"] = torch.cat(states).numpy()
        return row

    def _vector(self, codepoint: int) -> Tensor:
        """Return a character's embedding, [1, E]; zeros where none was learned for unknown ones."""
        embedding = self._network.embedding
        unknown = self._config.unknown_id if self._config.unknown == "copy" else None
        id_ = self._ids.get(codepoint, unknown)
        if id_ is None:
            return torch.zeros(1, embedding.embedding_dim, dtype=embedding.weight.dtype)
        return embedding.weight[id_ : id_ + 1]

    def _initial(self, state: NDArray[np.float32] | None) -> Tensor | tuple[Tensor, Tensor] | None:
        """Return a state as PyTorch takes it: one tensor, or two for an LSTM, or None."""
        if state is None:
            return None
        tensor = torch.from_numpy(state)
        if self._config.cell != "lstm":
            return tensor
        return tensor[: self._config.layers], tensor[self._config.layers :]
