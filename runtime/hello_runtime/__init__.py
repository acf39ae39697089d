"""The runtime: opens an exported model and decodes text with it, without torch.

    >>> from hello_runtime import Decoder
    >>> Decoder.open().decode("hello")
    'ohlol'

It needs numpy, onnxruntime and the model file. Importing it loads neither library: each name below
is imported from its module on first use. Read it in this order:

- `decoder` and `stream`: the public API, from text to text; `classification`, and `generation` with
  its rule of `drawing`, for models of the other tasks;
- `model`: `load` reads a model file, which may come from a stranger, and checks it. `onnx_wire`
  parses the bytes, `metadata` and `labels` what the model says of itself; `graph_check` checks the
  graph by the rules in `operators`. `kinds` names what was given in the place of a model;
- `engine`: `devices` opens the model, `calls` runs it, with the copies of `copying`, and gives
  `rows`. `batching` groups texts and the `windows` of long lines into these calls, whose size is in
  `blocks`, `workers` makes them in threads, and `lifecycle` protects them when the process exits or
  forks;
- `text`: files, lines, how a long one is kept (`long_text`) and the `memory` for it, pairs and
  their `score`; it knows no decoder;
- `resources`: the processors and the memory that the system allows;
- `cli`: the command `hello-infer`, `results` what it writes, `scoring` and `info` what it prints of
  a model. `process` starts every command, and `command` shows its errors. `packaged` makes a
  command of it for a package that has its model inside.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from `typing`, whose import would double the time to a command's start
if TYPE_CHECKING:
    from typing import Any

    from hello_runtime.classification import Classification
    from hello_runtime.columns import DecodeColumn
    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.rows import Annotation
    from hello_runtime.errors import (
        EngineError,
        ForkError,
        HelloRuntimeError,
        ModelFileError,
        NotCausalError,
        PolicyError,
        ProviderError,
        TaskError,
        UnknownCharacterError,
    )
    from hello_runtime.model.metadata import ModelInfo
    from hello_runtime.model.model_file import BUNDLED_CELLS

__version__ = "0.1.0"

__all__ = [
    "BUNDLED_CELLS",
    "Annotation",
    "Classification",
    "DecodeColumn",
    "Decoder",
    "EngineError",
    "ForkError",
    "HelloRuntimeError",
    "ModelFileError",
    "ModelInfo",
    "NotCausalError",
    "PolicyError",
    "ProviderError",
    "Stream",
    "TaskError",
    "UnknownCharacterError",
    "__version__",
]

MODULES = {
    "BUNDLED_CELLS": "model.model_file",
    "Annotation": "engine.rows",
    "Classification": "classification",
    "DecodeColumn": "columns",
    "Decoder": "decoder",
    "ModelInfo": "model.metadata",
    "Stream": "stream",
}
"""The modules of the public names that are not in `errors`."""


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{MODULES.get(name, 'errors')}"), name)
