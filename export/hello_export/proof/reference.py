"""The reference of every comparison: the network in eager PyTorch.

It shares no code with what is exported. The recurrence is PyTorch's own `nn.RNN`, `nn.GRU` or
`nn.LSTM`. It gets no padding: rows run together only if their lengths are equal. Alphabet, guard
and unknown characters are handled in plain Python, from the configuration. The logits of a network
that came in as a module are those of the module's own forward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from hello_train.network.config import FORBIDDEN_LOGIT
from hello_train.network.model import Network
from numpy.typing import NDArray
from torch import Tensor, nn

Row = dict[str, NDArray[Any]]
"""A row's outputs by name, without the batch axis: `state_out` is [slots, hidden]."""
Forward: TypeAlias = Callable[[Tensor], Tensor]
"""A module's forward: logits, float32 [batch, time, labels], of ids, int64 [batch, time]. The ids
are those of the network's configuration."""


NORMALISED = 1e-4
"""The sum of probabilities is 1 but for so much."""


def as_logits(found: Tensor, parts: Tensor) -> Tensor:
    """Return a forward's logits; of logarithms of probabilities, those that its parts show.

    Such logarithms say of the logits all but one number a step, which changes nothing: that of the
    parts is taken, both float32 [..., labels].
    """
    return found + parts.logsumexp(-1, keepdim=True) if is_log_softmax(found) else found


def is_log_softmax(found: Tensor) -> bool:
    """Tell whether what a forward returns, [..., labels], are logarithms of probabilities."""
    return float(found.logsumexp(-1).abs().max()) <= NORMALISED


class Reference:
    """A network that reads code points."""

    def __init__(
        self, network: Network, forward: Forward | None = None, *, numbers_only: bool = False
    ) -> None:
        """Take a network's weights.

        Args:
            network: the network.
            forward: that of the module that the network came in as, if any.
            numbers_only: whether rows have logits and states alone, and no text.
        """
        self._network, self._forward = network, forward
        self._numbers_only = numbers_only
        self._config = config = network.config
        self._ids = {ord(char): id_ for id_, char in enumerate(config.input_alphabet)}
        weight = network.embedding.weight.detach()
        self._rows = len(weight)
        # A network that refuses unknown characters has learned no vector for them, and reads zeros.
        self._vectors = (
            nn.functional.pad(weight, (0, 0, 0, 1)) if config.unknown == "error" else weight
        )
        lengths = {len(edit) for edit in config.output_labels}
        self._is_one_to_one = lengths == {1}
        self._longest = max([1, *lengths])
        anything = range(len(config.output_labels))
        possible = [(config.guard or {}).get(char, anything) for char in config.input_alphabet]
        keeping = [number for number in anything if None in config.output_labels[number]]
        is_guarded = config.guard is not None and config.unknown == "label"
        unknown = keeping if is_guarded and keeping else anything
        self._forbidden = torch.tensor(
            [[label not in labels for label in anything] for labels in (*possible, unknown)]
        )

    def run(self, codepoints: Sequence[int]) -> Row:
        """Return the outputs of one row of at least one code point, from a zero state."""
        return self.run_rows([codepoints])[0]

    def run_rows(self, rows: Sequence[Sequence[int]]) -> list[Row]:
        """Return the outputs of each row, from a zero state."""
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            by_length[len(row)].append(index)
        found = {
            index: output
            for same in by_length.values()
            for index, output in zip(same, self._run_equal([rows[i] for i in same]), strict=True)
        }
        return [found[index] for index in range(len(rows))]

    @torch.inference_mode()
    def _run_equal(self, rows: Sequence[Sequence[int]]) -> Iterator[Row]:
        """Yield the outputs of rows of one length."""
        unknown = self._config.unknown_id
        ids = torch.tensor([[self._ids.get(code, unknown) for code in row] for row in rows])
        hidden, state_out = self._network.recurrence(self._vectors[ids])  # (b, t, features)
        if self._config.task == "classify":
            yield from self._classes(ids, hidden)
            return
        logits = self._network.projection(hidden)  # (b, t, labels)
        # A module has no vector for the unknown characters that its network refuses.
        if self._forward and ids.max() < self._rows:
            found = self._forward(ids)
            logits = as_logits(found, logits) if self._config.task == "next" else found
        if self._config.guard is not None:
            logits = logits.masked_fill(self._forbidden[ids], FORBIDDEN_LOGIT)
        states = torch.cat(state_out if isinstance(state_out, tuple) else (state_out,))
        for index, row in enumerate(rows):
            if self._config.task == "next" or self._numbers_only:
                yield {"logits": logits[index].numpy(), "state_out": states[:, index].numpy()}
            else:
                yield self._row(row, logits[index], states[:, index])

    def _row(self, codepoints: Sequence[int], logits: Tensor, state: Tensor) -> Row:
        """Return the outputs of one row, from its logits [time, labels] and its last state."""
        probabilities, labels = logits.softmax(-1).max(-1)
        choices = zip(codepoints, labels.tolist(), probabilities.tolist(), strict=True)
        decoded, confidence = [], []
        for codepoint, label, probability in choices:
            known = codepoint in self._ids or self._config.unknown == "label"
            decoded.append(self._written(label, codepoint) if known else self._copied(codepoint))
            confidence.append(probability if known else 1.0)
        row: Row = {
            "decoded": np.array(decoded, np.int32),
            "confidence": np.array(confidence, np.float32),
            "logits": logits.numpy(),
        }
        if not self._config.bidirectional:
            row["state_out"] = state.numpy()
        return row

    def _classes(self, ids: Tensor, hidden: Tensor) -> Iterator[Row]:
        """Yield the outputs of a classifier, a step for each row, from hidden states (b, t, f)."""
        size = self._config.hidden_size
        behind_last, before_first = hidden[:, -1, :size], hidden[:, 0, size:]
        logits = self._network.projection(torch.cat([behind_last, before_first], dim=1))
        if self._forward and ids.max() < self._rows:
            logits = as_logits(self._forward(ids), logits)
        for row in logits:
            yield {
                "label": np.array([int(row.argmax())], np.int32),
                "confidence": np.array([float(row.softmax(-1).max())], np.float32),
                "logits": row[None].numpy(),
            }

    def _written(self, label: int, codepoint: int) -> int | list[int]:
        """Return the code points that a label writes for one, with -1 behind the last of several.

        It is a single code point where that is what every label writes.
        """
        edit = self._config.output_labels[label]
        codepoints = [codepoint if element is None else ord(element) for element in edit]
        if self._is_one_to_one:
            return codepoints[0]
        return codepoints + [-1] * (self._longest - len(codepoints))

    def _copied(self, codepoint: int) -> int | list[int]:
        """Return a code point as `_written` does one that a label keeps."""
        return codepoint if self._is_one_to_one else [codepoint] + [-1] * (self._longest - 1)
