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
    return [codepoints, state(config, "state") if config.has_state else lengths]


def outputs(config: ModelConfig) -> list[TensorSpec]:
    """Return the outputs; their values at padded positions are unspecified."""
    axes: tuple[str | int, ...] = ("batch",) if config.task == "classify" else ("batch", "time")
    width = () if config.width is None else (config.width,)
    chosen = {
        "rewrite": [TensorSpec("decoded", "int32", (*axes, *width))],
        "classify": [TensorSpec("label", "int32", axes)],
        "next": [],
    }[config.task]
    confidence = [TensorSpec("confidence", "float32", axes)] if chosen else []
    found = [*chosen, *confidence, TensorSpec("logits", "float32", (*axes, config.labels))]
    return [*found, state(config, "state_out")] if config.has_state else found


def state(config: ModelConfig, name: str) -> TensorSpec:
    """Return the state of a causal model: hidden states, then an LSTM's cell states, by layer."""
    return TensorSpec(name, "float32", (config.slots, "batch", config.hidden_size))
