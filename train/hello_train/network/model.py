"""The network: embedding, recurrence, projection, on character ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from hello_runtime.text.codepoints import to_codepoints, to_text
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from hello_train.network.cells import CELLS
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.encoding import encode

REWRITTEN = 8192
"""Characters of a batch in `rewrite_lines`, at most, unless a single line is longer."""


class Embedding(nn.Embedding):
    """PyTorch's embedding, without initial values on the device `meta`.

    There PyTorch would import its compiler, which takes seconds.
    """

    def reset_parameters(self) -> None:
        """Initialize the vectors."""
        if not self.weight.is_meta:
            super().reset_parameters()


class Network(nn.Module):
    """An embedding, a recurrence and an optional projection, as in the post.

    The recurrence is PyTorch's `nn.RNN`, `nn.GRU` or `nn.LSTM` (Elman 1990; Cho et al. 2014,
    arXiv:1406.1078; Hochreiter and Schmidhuber 1997). Without a projection the hidden states are
    the logits. Each line starts from a zero state.

    The embedding has one more row, for the id of unknown characters, unless these are refused.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        rows = len(config.input_alphabet) + config.learns_unknown
        self.embedding = Embedding(rows, config.embedding_dim)
        self.recurrence = recurrence(config)
        self.projection = (
            nn.Linear(config.features, config.labels) if config.projection else nn.Identity()
        )
        self.allowed: Tensor
        if config.guard is not None:
            self.register_buffer("allowed", allowed_labels(config), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of a batch of lines of one length.

        Args:
            ids: int64 [batch, time], the characters' ids; `config.unknown_id` for unknown ones.

        Returns:
            float32 [batch, time, labels]; labels that the guard forbids have `FORBIDDEN_LOGIT`.
        """
        hidden, _ = self.recurrence(self.embed(ids))  # (b, t, features)
        return self.logits(hidden, ids)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the embeddings, float32 [..., embedding], of ids, int64 [...]."""
        return nn.functional.embedding(ids, self.vectors())

    def logits(self, hidden: Tensor, ids: Tensor) -> Tensor:
        """Return logits, float32 [..., labels], of hidden states [..., features] and ids [...]."""
        logits: Tensor = self.projection(hidden)
        if self.config.guard is not None:
            logits = logits.masked_fill(~self.allowed[ids], FORBIDDEN_LOGIT)
        return logits

    def vectors(self) -> Tensor:
        """Return the embedding of each id, [alphabet + 1, embedding].

        With `unknown="error"` that of unknown characters is zeros. It was not learned, and runtimes
        refuse such characters.
        """
        if self.config.learns_unknown:
            return self.embedding.weight
        return nn.functional.pad(self.embedding.weight, (0, 0, 0, 1))

    def rewrite(self, text: str) -> str:
        """Return the output for a line; unknown characters are copied, unless they get labels."""
        return self.rewrite_lines([text])[0]

    @torch.inference_mode()
    def rewrite_lines(self, texts: Sequence[str]) -> list[str]:
        """Return the output for each line; lines of similar length share a batch."""
        longest_first = sorted(dict.fromkeys(filter(None, texts)), key=len, reverse=True)
        written = {"": ""}
        while longest_first:
            lines = max(1, REWRITTEN // len(longest_first[0]))
            batch, longest_first = longest_first[:lines], longest_first[lines:]
            written.update(zip(batch, self._rewrite_batch(batch), strict=True))
        return [written[text] for text in texts]

    def _rewrite_batch(self, texts: list[str]) -> Iterator[str]:
        """Yield the output for each line; the longest line comes first, and none is empty."""
        config = self.config
        alphabet = to_codepoints(config.output_alphabet)
        rows = [torch.from_numpy(encode([text], config.input_alphabet)) for text in texts]
        for text, ids, labels in zip(texts, rows, self._choose(rows), strict=True):
            copied = (ids.numpy() == config.unknown_id) & config.copies_unknown
            yield to_text(np.where(copied, to_codepoints(text), alphabet[labels.numpy()]))

    def _choose(self, rows: list[Tensor]) -> list[Tensor]:
        """Return the labels of each row of ids, int64 [time]; the longest row comes first."""
        device = self.embedding.weight.device
        if len(rows[0]) == len(rows[-1]):
            return list(self(torch.stack(rows).to(device)).argmax(-1).cpu())
        packed = pack_sequence(rows)
        ids = packed.data.to(device)  # (characters,)
        hidden, _ = self.recurrence(packed._replace(data=self.embed(ids)))
        labels = self.logits(hidden.data, ids).argmax(-1).cpu()
        return unpack_sequence(packed._replace(data=labels))


def recurrence(config: ModelConfig) -> nn.RNNBase:
    """Return PyTorch's recurrence, with its initial weights."""
    cell = CELLS[config.cell]
    kind: Callable[..., nn.RNNBase] = getattr(nn, cell.title)
    choice = {"nonlinearity": config.nonlinearity} if len(cell.nonlinearities) > 1 else {}
    return kind(
        config.embedding_dim,
        config.hidden_size,
        num_layers=config.layers,
        bidirectional=config.bidirectional,
        batch_first=True,
        **choice,
    )


def allowed_labels(config: ModelConfig) -> Tensor:
    """Return the labels that each id may get, bool [alphabet + 1, labels]; an unknown id all."""
    mask = np.zeros((config.unknown_id + 1, config.labels), np.bool_)
    mask[config.unknown_id] = True
    if config.guard is None:
        mask[:] = True
    else:
        outputs = [config.guard[char] for char in config.input_alphabet]
        ids = np.repeat(np.arange(len(outputs)), [len(labels) for labels in outputs])
        mask[ids, encode(outputs, config.output_alphabet)] = True
    return torch.from_numpy(mask)
