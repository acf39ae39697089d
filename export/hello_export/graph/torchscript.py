"""Writes a network as a TorchScript program with the signature of the ONNX graph.

TorchScript is deprecated in favour of `torch.export`, which does not yet take recurrent networks
with a free time axis. Until it does, a TorchScript program is how PyTorch runs the network without
this project's code. Only this module and `program_file` use TorchScript. (Its compiler reads the
annotations, so this module has no `from __future__ import annotations`.)
"""

from pathlib import Path

import numpy as np
import torch
from hello_runtime.text.edits import KEEP, KEPT, edit_table
from hello_train.network.cells import CELLS
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.model import Network, allowed_labels, label_classes
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from hello_export.graph.program_file import compiled

MODULE = "hello_export.torchscript"
"""The classes' module in a program, whatever this file's name is: it is part of the program."""
PROGRAM_NAME = "model.pt"
"""The program's name in an artifact folder."""


class CodepointProgram(nn.Module):
    """Base class of the programs: everything but the recurrence.

    The code of the methods stands in the program, names of variables included. A change of it means
    that artifacts of earlier versions are no longer what their checkpoint makes.
    """

    alphabet: Tensor
    alphabet_ids: Tensor
    labels: Tensor
    vectors: Tensor
    forbidden: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        config = network.config
        self.recurrence = network.recurrence
        self.projection = network.projection
        self.unknown_id = config.unknown_id
        self.forbidden_logit = FORBIDDEN_LOGIT
        by_codepoint = sorted((ord(char), id_) for id_, char in enumerate(config.input_alphabet))
        self.register_buffer("alphabet", torch.tensor([code for code, _ in by_codepoint]))
        self.register_buffer("alphabet_ids", torch.tensor([id_ for _, id_ in by_codepoint]))
        self.register_buffer("labels", self.label_table(config))
        self.register_buffer("vectors", network.vectors().detach())
        self.register_buffer("forbidden", self.forbidden_table(config))

    @staticmethod
    def label_table(config: ModelConfig) -> Tensor:
        """Return what each label writes: a code point, int64 [labels]."""
        return torch.from_numpy(edit_table(config.output_labels)[:, 0].astype(np.int64))

    @staticmethod
    def forbidden_table(config: ModelConfig) -> Tensor:
        """Return the labels that each id must not get, bool [alphabet + 1, labels]."""
        return ~allowed_labels(config)

    def look_up(self, codepoints: Tensor) -> Tensor:
        """Return the ids of code points, int64 [batch, time]."""
        place = torch.bucketize(codepoints, self.alphabet).clamp(max=len(self.alphabet) - 1)
        known = self.alphabet[place] == codepoints
        return torch.where(known, self.alphabet_ids[place], self.unknown_id)

    def choose(
        self, codepoints: Tensor, ids: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return decoded, confidence and logits, from hidden states [batch, time, features]."""
        logits = self.projection(hidden)
        logits = torch.where(self.forbidden[ids], self.forbidden_logit, logits)
        probability, label = logits.softmax(-1).max(-1)
        known = ids != self.unknown_id
        decoded = torch.where(known, self.labels[label], codepoints).to(torch.int32)
        return decoded, torch.where(known, probability, 1.0), logits


class Causal(CodepointProgram):
    """Reads from left to right; state in, state out."""

    __module__ = MODULE

    def forward(self, codepoints: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return decoded, confidence, logits and state_out."""
        ids = self.look_up(codepoints)
        hidden, state_out = self.recurrence(self.vectors[ids], state)
        decoded, confidence, logits = self.choose(codepoints, ids, hidden)
        return decoded, confidence, logits, state_out


class CausalLstm(CodepointProgram):
    """The same for the LSTM, whose state is the hidden states, then the cell states."""

    __module__ = MODULE

    def forward(self, codepoints: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return decoded, confidence, logits and state_out."""
        ids = self.look_up(codepoints)
        hidden_state, cell_state = state.chunk(2)
        hidden, after = self.recurrence(
            self.vectors[ids], (hidden_state.contiguous(), cell_state.contiguous())
        )
        decoded, confidence, logits = self.choose(codepoints, ids, hidden)
        return decoded, confidence, logits, torch.cat(after)


class Bidirectional(CodepointProgram):
    """Reads each row in both directions, with PyTorch's packed sequences."""

    __module__ = MODULE

    def forward(self, codepoints: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return decoded, confidence and logits."""
        ids = self.look_up(codepoints)
        packed = pack_padded_sequence(
            self.vectors[ids], lengths.to(torch.int64), batch_first=True, enforce_sorted=False
        )
        hidden = pad_packed_sequence(
            self.recurrence(packed)[0], batch_first=True, total_length=codepoints.size(1)
        )[0]
        return self.choose(codepoints, ids, hidden)


class LogitsProgram(CodepointProgram):
    """Base class of the programs that choose no labels of characters."""

    @staticmethod
    def label_table(config: ModelConfig) -> Tensor:
        """Return an empty table."""
        return torch.zeros(0)

    @staticmethod
    def forbidden_table(config: ModelConfig) -> Tensor:
        """Return an empty table: everything is possible."""
        return torch.zeros(0)


class Next(LogitsProgram):
    """Says after each character what the next one is; state in, state out."""

    __module__ = MODULE

    def forward(self, codepoints: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and state_out."""
        hidden, state_out = self.recurrence(self.vectors[self.look_up(codepoints)], state)
        return self.projection(hidden), state_out


class NextLstm(LogitsProgram):
    """The same for the LSTM, whose state is the hidden states, then the cell states."""

    __module__ = MODULE

    def forward(self, codepoints: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and state_out."""
        hidden_state, cell_state = state.chunk(2)
        hidden, after = self.recurrence(
            self.vectors[self.look_up(codepoints)],
            (hidden_state.contiguous(), cell_state.contiguous()),
        )
        return self.projection(hidden), torch.cat(after)


class Classify(LogitsProgram):
    """Says which class a line is of, from PyTorch's state after a packed sequence."""

    __module__ = MODULE

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.directions = network.config.directions

    def pack(self, codepoints: Tensor, lengths: Tensor) -> PackedSequence:
        """Return the embedded characters of each row."""
        vectors = self.vectors[self.look_up(codepoints)]
        return pack_padded_sequence(
            vectors, lengths.to(torch.int64), batch_first=True, enforce_sorted=False
        )

    def say(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return label, confidence and logits, from the states [layers * directions, b, H]."""
        last = state[-self.directions :]
        logits = self.projection(last.transpose(0, 1).flatten(1))
        confidence, label = logits.softmax(-1).max(-1)
        return label.to(torch.int32), confidence, logits

    def forward(self, codepoints: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return label, confidence and logits."""
        return self.say(self.recurrence(self.pack(codepoints, lengths))[1])


class ClassifyLstm(Classify):
    """The same for the LSTM, whose hidden states are the first part of its state."""

    __module__ = MODULE

    def forward(self, codepoints: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return label, confidence and logits."""
        return self.say(self.recurrence(self.pack(codepoints, lengths))[1][0])


class EditProgram(CodepointProgram):
    """Base class of the programs whose labels are edits; the tables are those of the ONNX graph."""

    classes: Tensor
    copied: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        config = network.config
        self.copies_unknown = config.copies_unknown
        self.is_one_to_one = config.width is None
        self.kept = KEPT
        copied = edit_table([*config.output_labels, (KEEP,)])[-1]
        self.register_buffer("copied", torch.from_numpy(copied))
        self.register_buffer("classes", torch.from_numpy(label_classes(config)[0]))

    @staticmethod
    def label_table(config: ModelConfig) -> Tensor:
        """Return what each label writes, int32 [labels, width]."""
        return torch.from_numpy(edit_table(config.output_labels))

    @staticmethod
    def forbidden_table(config: ModelConfig) -> Tensor:
        """Return the labels that each class of ids must not get, bool [classes, labels]."""
        return torch.from_numpy(~label_classes(config)[1])

    def choose(
        self, codepoints: Tensor, ids: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return decoded, confidence and logits, from hidden states [batch, time, features]."""
        logits = self.projection(hidden)
        logits = torch.where(self.forbidden[self.classes[ids]], self.forbidden_logit, logits)
        confidence, label = logits.softmax(-1).max(-1)
        edit = self.labels[label]  # [batch, time, width]
        if self.copies_unknown:
            known = ids != self.unknown_id
            edit = torch.where(known.unsqueeze(-1), edit, self.copied)
            confidence = torch.where(known, confidence, 1.0)
        decoded = torch.where(edit == self.kept, codepoints.unsqueeze(-1), edit)
        if self.is_one_to_one:
            decoded = decoded.squeeze(-1)
        return decoded, confidence, logits


class EditCausal(EditProgram, Causal):
    """`Causal`, for labels that are edits."""

    __module__ = MODULE


class EditCausalLstm(EditProgram, CausalLstm):
    """`CausalLstm`, for labels that are edits."""

    __module__ = MODULE


class EditBidirectional(EditProgram, Bidirectional):
    """`Bidirectional`, for labels that are edits."""

    __module__ = MODULE


def save_program(network: Network, path: Path) -> None:
    """Write the network's program."""
    # Not written by PyTorch itself: on a full disk it would end the whole process.
    path.write_bytes(program_bytes(network))


def program_bytes(network: Network) -> bytes:
    """Return the network's program as the bytes of a file."""
    return compiled(program_of(network).eval())


def program_of(network: Network) -> CodepointProgram:
    """Return the program for a network's task, direction, kind of state, and labels."""
    config = network.config
    has_cell = len(CELLS[config.cell].states) > 1
    if config.task == "classify":
        return (ClassifyLstm if has_cell else Classify)(network)
    if config.task == "next":
        return (NextLstm if has_cell else Next)(network)
    of_edits = config.graph_format > 1
    if config.bidirectional:
        return (EditBidirectional if of_edits else Bidirectional)(network)
    if has_cell:
        return (EditCausalLstm if of_edits else CausalLstm)(network)
    return (EditCausal if of_edits else Causal)(network)
