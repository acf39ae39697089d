"""The runtime: opens an exported model and decodes text with it, without torch.

    >>> from hello_runtime import Decoder
    >>> Decoder.open().decode("hello")
    'ohlol'

It needs numpy and onnxruntime, and nothing beside the model file itself.
"""

from hello_runtime.batching import Annotation
from hello_runtime.columns import DecodeColumn
from hello_runtime.decoder import Decoder, Stream
from hello_runtime.errors import (
    EngineError,
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
    "HelloRuntimeError",
    "ModelFileError",
    "ModelInfo",
    "NotCausalError",
    "ProviderError",
    "Stream",
    "UnknownCharacterError",
]
