"""Writes a network as a TorchScript program with the signature of the ONNX graph.

TorchScript is deprecated in favour of `torch.export`, which does not yet take recurrent networks
with a free time axis; until it does this is how PyTorch's side runs without our code. Nothing else
in the project knows how it works. (Its compiler reads the annotations, so
they are not postponed here.)
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from hello_train.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.model import Network, allowed_labels
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hello_export.engines import Array, GraphEngine

PROGRAM_NAME = "model.pt"
"""The program's name in an artifact folder."""


class CodepointProgram(nn.Module):
    """What all programs share: everything but the recurrence."""

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
        self.register_buffer("labels", torch.tensor([ord(char) for char in config.output_alphabet]))
        self.register_buffer("vectors", network.vectors().detach())
        self.register_buffer("forbidden", ~allowed_labels(config))

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
    """Reads from left to right, from a state to a state."""

    def forward(self, codepoints: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return decoded, confidence, logits and state_out."""
        ids = self.look_up(codepoints)
        hidden, state_out = self.recurrence(self.vectors[ids], state)
        decoded, confidence, logits = self.choose(codepoints, ids, hidden)
        return decoded, confidence, logits, state_out


class CausalLstm(CodepointProgram):
    """Likewise for the LSTM, whose state has a second half of cell states."""

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
    """Reads each row from both of its ends, by PyTorch's packed sequences."""

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


def save_program(network: Network, path: Path) -> None:
    """Write the network's program."""
    with deprecation_accepted():
        program = torch.jit.script(program_of(network).eval())
        content = io.BytesIO()  # written by PyTorch itself, a full disk ends the whole process
        torch.jit.save(program, content)
    path.write_bytes(content.getvalue())


def program_of(network: Network) -> CodepointProgram:
    """Return the program for a network's direction and kind of state."""
    if network.config.bidirectional:
        return Bidirectional(network)
    return CausalLstm(network) if network.config.cell == "lstm" else Causal(network)


def load_program(path: Path) -> torch.jit.ScriptModule:
    """Read a program back."""
    with deprecation_accepted():
        return torch.jit.load(str(path))  # type: ignore[no-any-return, no-untyped-call]


class TorchScript(GraphEngine):
    """PyTorch running the exported program."""

    name = "TorchScript"
    distribution = "torch"

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self._program = load_program(folder / PROGRAM_NAME)

    @torch.inference_mode()
    def call(self, *given: Array) -> Sequence[Array]:
        """Run the program once."""
        results = self._program(*(torch.from_numpy(np.ascontiguousarray(array)) for array in given))
        return [result.numpy() for result in results]


@contextmanager
def deprecation_accepted() -> Iterator[None]:
    """Give a context in which TorchScript's deprecation is not news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
