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

from __future__ import annotations

TYPE_CHECKING = False  # of `typing`, whose import takes as long as all else before a command starts
if TYPE_CHECKING:
    from typing import Any

    from hello_runtime.columns import DecodeColumn
    from hello_runtime.decoder import Decoder, Stream
    from hello_runtime.engine.batching import Annotation
    from hello_runtime.errors import (
        EngineError,
        ForkError,
        HelloRuntimeError,
        ModelFileError,
        NotCausalError,
        ProviderError,
        UnknownCharacterError,
    )
    from hello_runtime.model.model_file import CELLS, ModelInfo

__version__ = "0.1.0"

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
    "__version__",
]

MODULES = {
    "CELLS": "model.model_file",
    "Annotation": "engine.batching",
    "DecodeColumn": "columns",
    "Decoder": "decoder",
    "ModelInfo": "model.model_file",
    "Stream": "decoder",
}
"""Where each public name is; the others are errors."""


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{MODULES.get(name, 'errors')}"), name)
