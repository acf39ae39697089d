"""Opens the files of an artifact with every engine there is, and compares them all."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from hello_runtime.errors import first_line
from hello_train.config import ModelConfig
from hello_train.model import Network

from hello_export.cases import Case
from hello_export.engines import (
    Engine,
    OnnxRuntime,
    OnnxRuntimeCuda,
    OpenVino,
    ReferenceEvaluator,
    Runtime,
    Tract,
)
from hello_export.isolation import Isolated
from hello_export.parity import Report, Verdict, compare
from hello_export.torchscript import TorchScript

ENGINES: tuple[type[Engine], ...] = (
    OnnxRuntime,
    Runtime,
    ReferenceEvaluator,
    OpenVino,
    Tract,
)
"""Of the graph. TorchScript's stays in this process: it is PyTorch, as the reference is."""


def engines() -> tuple[type[Engine], ...]:
    """Return every engine; that of a GPU only where there is one."""
    on_gpu = (OnnxRuntimeCuda,) if OnnxRuntimeCuda.runs_here() else ()
    return (TorchScript, *ENGINES, *on_gpu)


def prove(network: Network, folder: Path, cases: Iterable[Case]) -> Report:
    """Hold the files in a folder against a network, on every engine that is installed.

    Args:
        network: the truth.
        folder: with the files of an artifact.
        cases: the batches.

    Returns:
        The report; it is not checked yet.
    """
    opened: list[Engine | Isolated] = []
    others: list[Verdict] = []
    with ExitStack() as stack:
        all_engines = engines()
        for engine in all_engines:
            version, limit = engine.installed_version(), engine.limit(network.config)
            if version is None:
                missing = "it is not installed; pip install 'hello-rnn[engines]'"
                others.append(Verdict(engine.name, "-", not_compared=missing))
            elif limit:
                others.append(Verdict(engine.name, version, not_compared=limit))
            else:
                try:
                    opened.append(open_engine(engine, network.config, folder))
                except Exception as error:  # PyTorch says in many ways that a file is no program
                    failure = f"{engine.name} does not open its file: {first_line(error)}"
                    others.append(Verdict(engine.name, version, failure=failure))
                else:
                    stack.callback(opened[-1].close)
        report = compare(network, opened, cases, others)
    names = [engine.name for engine in all_engines]
    report.verdicts.sort(key=lambda verdict: names.index(verdict.engine))
    return report


def open_engine(engine: type[Engine], config: ModelConfig, folder: Path) -> Engine | Isolated:
    """Open the files in a folder, in a process of its own unless it is PyTorch's engine."""
    if engine is TorchScript:
        return TorchScript(config, folder)
    return Isolated(engine, config, folder)
