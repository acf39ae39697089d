"""The inputs and outputs of an exported model: names, types and axes, in order."""

from __future__ import annotations

from typing import NamedTuple

from hello_runtime.model.graph_check import Permitted, outputs_of
from hello_train.network.config import ModelConfig


class TensorSpec(NamedTuple):
    """An input or output of a model."""

    name: str
    dtype: str
    """numpy's name of the type."""
    axes: tuple[str | int, ...]
    """A name for each free axis, a size for each fixed one."""


def inputs(config: ModelConfig) -> list[TensorSpec]:
    """Return the inputs: the code points, and the row lengths or the state.

    The state has the layers' hidden states, then an LSTM's cell states.
    """
    second = TensorSpec("lengths", "int32", ("batch",))
    if config.has_state:
        second = TensorSpec("state", "float32", (config.slots, "batch", config.hidden_size))
    return [TensorSpec("codepoints", "int32", ("batch", "time")), second]


def outputs(config: ModelConfig) -> list[TensorSpec]:
    """Return the outputs that the runtime expects; at padded positions they are unspecified."""
    permitted = Permitted(config.task, config.output_labels, config.labels, config.copies_unknown)
    state = (config.slots, config.hidden_size) if config.has_state else None
    return [TensorSpec(name, *declared) for name, declared in outputs_of(permitted, state).items()]
