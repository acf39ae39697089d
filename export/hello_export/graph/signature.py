"""The inputs and outputs of an exported model: names, types and axes, in order."""

from __future__ import annotations

from typing import NamedTuple

from hello_train.network.config import ModelConfig


class TensorSpec(NamedTuple):
    """An input or output of a model."""

    name: str
    dtype: str
    """numpy's name of the type."""
    axes: tuple[str | int, ...]
    """A name for each free axis, a size for each fixed one."""


def inputs(config: ModelConfig) -> list[TensorSpec]:
    """Return the inputs: the code points, and the row lengths or the state."""
    codepoints = TensorSpec("codepoints", "int32", ("batch", "time"))
    lengths = TensorSpec("lengths", "int32", ("batch",))
    return [codepoints, lengths if config.bidirectional else state(config, "state")]


def outputs(config: ModelConfig) -> list[TensorSpec]:
    """Return the outputs; their values at padded positions are unspecified."""
    width = () if config.width is None else (config.width,)
    always = [
        TensorSpec("decoded", "int32", ("batch", "time", *width)),
        TensorSpec("confidence", "float32", ("batch", "time")),
        TensorSpec("logits", "float32", ("batch", "time", config.labels)),
    ]
    return always if config.bidirectional else [*always, state(config, "state_out")]


def state(config: ModelConfig, name: str) -> TensorSpec:
    """Return the state of a causal model: hidden states, then an LSTM's cell states, by layer."""
    return TensorSpec(name, "float32", (config.slots, "batch", config.hidden_size))
