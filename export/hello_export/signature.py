"""What an exported model takes and gives: names, types and axes, in order."""

from __future__ import annotations

from typing import NamedTuple

from hello_train.config import ModelConfig


class Tensor(NamedTuple):
    """An input or output of a model."""

    name: str
    dtype: str
    """By numpy's name."""
    axes: tuple[str | int, ...]
    """A name for an axis that is free, a number for one that is not."""


def inputs(config: ModelConfig) -> list[Tensor]:
    """Return the inputs: the code points, and the row lengths or the state."""
    codepoints = Tensor("codepoints", "int32", ("batch", "time"))
    lengths = Tensor("lengths", "int32", ("batch",))
    return [codepoints, lengths if config.bidirectional else state(config, "state")]


def outputs(config: ModelConfig) -> list[Tensor]:
    """Return the outputs; what they say of padded positions is unspecified."""
    always = [
        Tensor("decoded", "int32", ("batch", "time")),
        Tensor("confidence", "float32", ("batch", "time")),
        Tensor("logits", "float32", ("batch", "time", config.labels)),
    ]
    return always if config.bidirectional else [*always, state(config, "state_out")]


def state(config: ModelConfig, name: str) -> Tensor:
    """Return the state of a causal model: hidden states, then an LSTM's cell states, by layer."""
    return Tensor(name, "float32", (config.slots, "batch", config.hidden_size))
