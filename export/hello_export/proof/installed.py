"""The engines that run `model.onnx` on the CPU, and the start of those that are installed.

It imports no torch, so that the engines' processes start before PyTorch does.
"""

from __future__ import annotations

from hello_export.proof.c_engine import CSource
from hello_export.proof.engines import Engine, OnnxRuntime, OpenVino, ReferenceEvaluator, Tract
from hello_export.proof.isolation import Processes
from hello_export.proof.javascript import JavaScript
from hello_export.proof.runtime_engine import Runtime

ENGINES: tuple[type[Engine], ...] = (
    OnnxRuntime,
    Runtime,
    JavaScript,
    ReferenceEvaluator,
    OpenVino,
    Tract,
    CSource,
)
"""In the order of the table."""


def start_engines() -> Processes:
    """Start the process of each engine that is installed, before there is a file to open."""
    return Processes(engine for engine in ENGINES if not engine.missing())
