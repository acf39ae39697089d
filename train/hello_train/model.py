"""The network: embedding, recurrence, projection, on character ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hello_train.config import FORBIDDEN_LOGIT, ModelConfig

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]

BATCH_LINES = 64
"""Lines that are rewritten together, at most."""

RECURRENCES: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


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
        self.recurrence = RECURRENCES[config.cell](
            config.embedding_dim,
            config.hidden_size,
            num_layers=config.layers,
            bidirectional=config.bidirectional,
            batch_first=True,
        )
        self.projection = (
            nn.Linear(config.features, config.labels) if config.projection else nn.Identity()
        )
        self.allowed: Tensor | None
        self.register_buffer("allowed", allowed_labels(config), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of a batch of lines of one length.

        Args:
            ids: int64 [batch, time], the characters' ids; `config.unknown_id` for unknown ones.

        Returns:
            float32 [batch, time, labels]; labels that the guard forbids have `FORBIDDEN_LOGIT`.
        """
        vectors = nn.functional.embedding(ids, self._vectors())  # (b, t, embedding)
        hidden, _ = self.recurrence(vectors)  # (b, t, features)
        logits: Tensor = self.projection(hidden)  # (b, t, labels)
        if self.allowed is not None:
            logits = logits.masked_fill(~self.allowed[ids], FORBIDDEN_LOGIT)
        return logits

    def _vectors(self) -> Tensor:
        """Return a vector for every id; zeros for unknown characters where none was learned."""
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
        for text in dict.fromkeys(texts):
            by_length[len(text)].append(text)
        written = {"": ""}
        for length, group in by_length.items():
            for start in range(0, len(group) if length else 0, BATCH_LINES):
                batch = group[start : start + BATCH_LINES]
                ids = np.stack([encode(text, self.config.input_alphabet) for text in batch])
                labels = self(torch.from_numpy(ids)).argmax(-1).numpy()
                written.update(zip(batch, map(self._write, batch, ids, labels), strict=True))
        return [written[text] for text in texts]

    def _write(self, text: str, ids: Ids, labels: Ids) -> str:
        """Return the text of labels; the characters of unknown ids are copied."""
        return "".join(
            char if id_ == self.config.unknown_id else self.config.output_alphabet[label]
            for char, id_, label in zip(text, ids, labels, strict=True)
        )


def allowed_labels(config: ModelConfig) -> Tensor | None:
    """Return the guard as a mask, bool [ids, labels] (the last id is the unknown one), or None."""
    if config.guard is None:
        return None
    mask = torch.ones(len(config.input_alphabet) + 1, config.labels, dtype=torch.bool)
    for id_, char in enumerate(config.input_alphabet):
        mask[id_] = torch.tensor([label in config.guard[char] for label in config.output_alphabet])
    return mask


def encode(text: str, alphabet: str) -> Ids:
    """Return the position in `alphabet` of each character, int64 [len(text)].

    A character that is not there gets `len(alphabet)`.
    """
    index = {char: id_ for id_, char in enumerate(alphabet)}
    unknown = len(alphabet)
    return np.fromiter((index.get(char, unknown) for char in text), np.int64, len(text))
