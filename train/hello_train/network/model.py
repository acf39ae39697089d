"""The network: embedding, recurrence, projection, on character ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from hello_runtime.text.codepoints import to_codepoints, to_text
from hello_runtime.text.edits import KEEP, NOTHING, apply_table, edit_table
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    unpack_sequence,
)

from hello_train.network.cells import CELLS
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.encoding import encode

if TYPE_CHECKING:
    from hello_runtime.text.codepoints import Codepoints

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
        self.classes: Tensor
        self.allowed: Tensor
        if config.guard is not None:
            classes, allowed = label_classes(config)
            self.register_buffer("classes", torch.from_numpy(classes), persistent=False)
            self.register_buffer("allowed", torch.from_numpy(allowed), persistent=False)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the logits of a batch of lines, of one length unless it is a classifier.

        Args:
            ids: int64 [batch, time], the characters' ids; `config.unknown_id` for unknown ones.
            lengths: of a classifier's lines, int64 [batch]; None for whole rows.

        Returns:
            float32 [batch, time, labels]; labels that the guard forbids have `FORBIDDEN_LOGIT`. Of
            a classifier float32 [batch, classes].
        """
        if self.config.task == "classify":
            if lengths is None:
                lengths = torch.full((len(ids),), ids.shape[1])
            return self.classify(
                pack_padded_sequence(
                    self.embed(ids), lengths.cpu(), batch_first=True, enforce_sorted=False
                )
            )
        hidden, _ = self.recurrence(self.embed(ids))  # (b, t, features)
        return self.logits(hidden, ids)

    def classify(self, embedded: PackedSequence) -> Tensor:
        """Return the logits of lines, float32 [batch, classes], from their embedded characters.

        They come from the last layer's hidden state behind the last character, and for two
        directions also from that before the first one.
        """
        _, state = self.recurrence(embedded)
        hidden = state[0] if isinstance(state, tuple) else state  # (layers * directions, b, H)
        ends = torch.cat([*hidden[-self.config.directions :]], dim=-1)  # (b, features)
        logits: Tensor = self.projection(ends)
        return logits

    @torch.inference_mode()
    def classify_lines(self, texts: Sequence[str]) -> Tensor:
        """Return the logits of each line, float32 [lines, classes] on the CPU; no line is empty."""
        device = self.embedding.weight.device
        found = torch.zeros(len(texts), self.config.labels)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        while order:
            count = max(1, REWRITTEN // len(texts[order[0]]))
            batch, order = order[:count], order[count:]
            rows = [torch.from_numpy(encode([texts[i]], self.config.input_alphabet)) for i in batch]
            packed = pack_sequence(rows)
            embedded = packed._replace(data=self.embed(packed.data.to(device)))
            found[batch] = self.classify(embedded).cpu()
        return found

    def embed(self, ids: Tensor) -> Tensor:
        """Return the embeddings, float32 [..., embedding], of ids, int64 [...]."""
        return nn.functional.embedding(ids, self.vectors())

    def logits(self, hidden: Tensor, ids: Tensor) -> Tensor:
        """Return logits, float32 [..., labels], of hidden states [..., features] and ids [...]."""
        logits: Tensor = self.projection(hidden)
        if self.config.guard is not None:
            logits = logits.masked_fill(~self.allowed[self.classes[ids]], FORBIDDEN_LOGIT)
        return logits

    def vectors(self) -> Tensor:
        """Return the embedding of each id, [alphabet + 1, embedding].

        With `unknown="error"` that of unknown characters is zeros. It was not learned, and runtimes
        refuse such characters.
        """
        if self.config.learns_unknown:
            return self.embedding.weight
        return nn.functional.pad(self.embedding.weight, (0, 0, 0, 1))

    @torch.inference_mode()
    def choose(self, text: str) -> list[int]:
        """Return the label of each character of a line."""
        ids = torch.from_numpy(encode([text], self.config.input_alphabet))
        labels: list[int] = self._choose([ids])[0].tolist()
        return labels

    def rewrite(self, text: str) -> str:
        """Return the output for a line; unknown characters are copied, unless they get labels."""
        return self.rewrite_lines([text])[0]

    def rewrite_lines(self, texts: Sequence[str]) -> list[str]:
        """Return the output for each line; lines of similar length share a batch."""
        found = {text: to_text(row[row != NOTHING]) for text, row in self._write(texts)}
        return [found[text] for text in texts]

    def written_lines(self, texts: Sequence[str]) -> list[Codepoints]:
        """Return what each character of each line becomes.

        Returns:
            int32 [characters, width] for each line: code points, then `NOTHING`.
        """
        found = dict(self._write(texts))
        return [found[text] for text in texts]

    @torch.inference_mode()
    def _write(self, texts: Sequence[str]) -> Iterator[tuple[str, Codepoints]]:
        """Yield each different line, and what its characters become."""
        config = self.config
        table = edit_table([*config.output_labels, (KEEP,)])  # the last row copies
        yield "", table[:0]
        longest_first = sorted(dict.fromkeys(filter(None, texts)), key=len, reverse=True)
        while longest_first:
            lines = max(1, REWRITTEN // len(longest_first[0]))
            batch, longest_first = longest_first[:lines], longest_first[lines:]
            rows = [torch.from_numpy(encode([text], config.input_alphabet)) for text in batch]
            for text, ids, chosen in zip(batch, rows, self._choose(rows), strict=True):
                copied = (ids.numpy() == config.unknown_id) & config.copies_unknown
                labels = np.where(copied, config.labels, chosen.numpy())
                yield text, apply_table(table, labels, to_codepoints(text))

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
    """Return the labels that each id may get, bool [alphabet + 1, labels]."""
    classes, allowed = label_classes(config)
    return torch.from_numpy(allowed[classes])


def label_classes(config: ModelConfig) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the classes of ids that may get the same labels.

    Returns:
        The class of each id, int64 [alphabet + 1], and the labels that each class may get, bool
        [classes, labels]. The first class is that of an unknown id. With a guard and the policy
        `label` it may get only labels that keep it, if there are any: nothing was learned of what
        an unknown character could become.
    """
    if config.guard is None:
        return np.zeros(config.unknown_id + 1, np.int64), np.ones((1, config.labels), np.bool_)
    kinds = dict.fromkeys(config.guard.values())
    numbers = {labels: number for number, labels in enumerate(kinds, 1)}
    allowed = np.zeros((1 + len(numbers), config.labels), np.bool_)
    keeping = [KEEP in label for label in config.output_labels]
    allowed[0] = keeping if config.unknown == "label" and any(keeping) else True
    for labels, number in numbers.items():
        allowed[number, list(labels)] = True
    classes = [numbers[config.guard[char]] for char in config.input_alphabet]
    return np.array([*classes, 0]), allowed
