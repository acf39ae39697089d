"""The network: embedding, recurrence, projection, on character ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn

from hello_train.config import FORBIDDEN_LOGIT, Cell, ModelConfig, Nonlinearity

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]

BATCH_LINES = 64
"""Lines that are rewritten together, at most."""

RECURRENCES: dict[tuple[Cell, Nonlinearity], Callable[..., nn.RNNBase]] = {
    ("rnn", "tanh"): partial(nn.RNN, nonlinearity="tanh"),
    ("rnn", "relu"): partial(nn.RNN, nonlinearity="relu"),
    ("gru", "tanh"): nn.GRU,
    ("lstm", "tanh"): nn.LSTM,
}
"""By cell and nonlinearity."""


class Network(nn.Module):
    """The post's network, and everything wider that has its shape.

    An embedding, a recurrence by PyTorch's own `nn.RNN`, `nn.GRU` or `nn.LSTM` (Elman 1990; Cho et
    al. 2014, arXiv:1406.1078; Hochreiter and Schmidhuber 1997), and hidden states that are the
    logits themselves or are projected onto them. Every line starts from a zero state.

    Under `unknown="copy"` the embedding has one more row, the reserved id of unknown characters.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        rows = len(config.input_alphabet) + (config.unknown == "copy")
        self.embedding = nn.Embedding(rows, config.embedding_dim)
        self.recurrence = RECURRENCES[config.cell, config.nonlinearity](
            config.embedding_dim,
            config.hidden_size,
            num_layers=config.layers,
            bidirectional=config.bidirectional,
            batch_first=True,
        )
        self.projection = (
            nn.Linear(config.features, config.labels) if config.projection else nn.Identity()
        )
        self.allowed: Tensor
        self.register_buffer("allowed", allowed_labels(config), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of a batch of lines of one length.

        Args:
            ids: int64 [batch, time], the characters' ids; `config.unknown_id` for unknown ones.

        Returns:
            float32 [batch, time, labels]; labels that the guard forbids have `FORBIDDEN_LOGIT`.
        """
        vectors = nn.functional.embedding(ids, self.vectors())  # (b, t, embedding)
        hidden, _ = self.recurrence(vectors)  # (b, t, features)
        logits: Tensor = self.projection(hidden)  # (b, t, labels)
        if self.config.guard is not None:
            logits = logits.masked_fill(~self.allowed[ids], FORBIDDEN_LOGIT)
        return logits

    def vectors(self) -> Tensor:
        """Return a vector for every id, [alphabet + 1, embedding].

        Where unknown characters are refused nothing was learned for them. Runtimes do not let them
        through; should one arrive all the same, the network sees zeros.
        """
        if self.config.unknown == "copy":
            return self.embedding.weight
        return nn.functional.pad(self.embedding.weight, (0, 0, 0, 1))

    def rewrite(self, text: str) -> str:
        """Return what the network makes of one line; characters that it does not know stay."""
        return self.rewrite_lines([text])[0]

    @torch.inference_mode()
    def rewrite_lines(self, texts: Sequence[str]) -> list[str]:
        """Return what the network makes of each line; lines of one length share a batch."""
        by_length: defaultdict[int, list[str]] = defaultdict(list)
        for text in dict.fromkeys(filter(None, texts)):
            by_length[len(text)].append(text)
        written = {"": ""}
        for group in by_length.values():
            for start in range(0, len(group), BATCH_LINES):
                batch = group[start : start + BATCH_LINES]
                ids = np.stack([encode(text, self.config.input_alphabet) for text in batch])
                read = torch.from_numpy(ids).to(self.embedding.weight.device)
                labels = self(read).argmax(-1).cpu().numpy()
                written.update(zip(batch, map(self._write, batch, ids, labels), strict=True))
        return [written[text] for text in texts]

    def _write(self, text: str, ids: Integers, labels: Integers) -> str:
        """Return the text of labels; the characters of unknown ids are copied."""
        return "".join(
            char if id_ == self.config.unknown_id else self.config.output_alphabet[label]
            for char, id_, label in zip(text, ids, labels, strict=True)
        )


def allowed_labels(config: ModelConfig) -> Tensor:
    """Return what the guard allows, bool [alphabet + 1, labels]; an unknown character is free."""
    mask = torch.ones(config.unknown_id + 1, config.labels, dtype=torch.bool)
    for char, outputs in (config.guard or {}).items():
        row = [label in outputs for label in config.output_alphabet]
        mask[config.input_alphabet.index(char)] = torch.tensor(row)
    return mask


@cache
def positions(alphabet: str) -> dict[str, int]:
    """Return the position of each character of an alphabet, worked out once for all its lines."""
    return {char: position for position, char in enumerate(alphabet)}


def encode(text: str, alphabet: str) -> Integers:
    """Return the position in `alphabet` of each character, int64 [len(text)].

    A character that is not there gets `len(alphabet)`.
    """
    index, unknown = positions(alphabet), len(alphabet)
    return np.fromiter((index.get(char, unknown) for char in text), np.int64, len(text))
