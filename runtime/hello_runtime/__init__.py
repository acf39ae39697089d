"""The runtime: opens an exported model and decodes text with it, without torch.

    >>> from hello_runtime import Decoder
    >>> Decoder.open().decode("hello")
    'ohlol'

It needs numpy and onnxruntime, and nothing beside the model file itself. Importing it loads
neither: each name below is imported from its module when it is first used.

`model_file` reads a model, which may be a stranger's: `onnx_wire` says which bytes are read at all,
and `graph_check`, by the rules in `operators`, what a graph may do. `providers` opens it on a
device, and `decoder` runs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hello_runtime.batching import Annotation
    from hello_runtime.columns import DecodeColumn
    from hello_runtime.decoder import Decoder, Stream
    from hello_runtime.errors import (
        EngineError,
        ForkError,
        HelloRuntimeError,
        ModelFileError,
        NotCausalError,
        ProviderError,
        UnknownCharacterError,
    )
    from hello_runtime.model_file import CELLS, ModelInfo

__all__ = [
    "CELLS",
    "Annotation",
    "DecodeColumn",
    "Decoder",
    "EngineError",
    "ForkError",
    "HelloRuntimeError",
    "ModelFileError",
    "ModelInfo",
    "NotCausalError",
    "ProviderError",
    "Stream",
    "UnknownCharacterError",
]

MODULES = {
    "CELLS": "model_file",
    "Annotation": "batching",
    "DecodeColumn": "columns",
    "Decoder": "decoder",
    "ModelInfo": "model_file",
    "Stream": "decoder",
}
"""Where each public name is; the others are errors."""


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES.get(name, 'errors')}"), name)
