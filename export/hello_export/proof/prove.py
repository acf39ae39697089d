"""Opens the files of an artifact with every engine there is, and compares them all."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from hello_runtime.errors import first_line
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

from hello_export.graph.torchscript import TorchScript
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import Case
from hello_export.proof.engines import (
    Engine,
    OnnxRuntime,
    OnnxRuntimeCuda,
    OpenVino,
    ReferenceEvaluator,
    Runtime,
    Tract,
)
from hello_export.proof.isolation import Isolated
from hello_export.proof.parity import PYTORCH, Report, Verdict, compare

ENGINES: tuple[type[Engine], ...] = (
    OnnxRuntime,
    Runtime,
    ReferenceEvaluator,
    OpenVino,
    Tract,
)
"""Of the graph."""


def engines() -> tuple[type[Engine], ...]:
    """Return every engine; that of a GPU only where there is one."""
    on_gpu = (OnnxRuntimeCuda,) if OnnxRuntimeCuda.runs_here() else ()
    return (TorchScript, *ENGINES, *on_gpu)


def prove(
    network: Network,
    folder: Path,
    cases: Iterable[Case],
    *,
    foreign: bool = False,
    characters: int = 0,
    progress: Progress = SILENT,
) -> Report:
    """Hold the files in a folder against a network, on every engine that is installed.

    Args:
        network: the truth.
        folder: with the files of an artifact.
        cases: the batches.
        foreign: whether the program was not made here, so that it may do anything, or never end.
        characters: how many the cases have, for the progress.
        progress: is told how far the comparison is.

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
                    opened.append(open_engine(engine, network.config, folder, foreign))
                except Exception as error:  # PyTorch says in many ways that a file is no program
                    failure = f"{engine.name} does not open its file: {first_line(error)}"
                    others.append(Verdict(engine.name, version, failure=failure))
                else:
                    stack.callback(opened[-1].close)
        progress.begin([PYTORCH, *(engine.name for engine in opened)], characters)
        report = compare(network, opened, cases, others, progress)
    names = [engine.name for engine in all_engines]
    report.verdicts.sort(key=lambda verdict: names.index(verdict.engine))
    return report


def open_engine(
    engine: type[Engine], config: ModelConfig, folder: Path, foreign: bool
) -> Engine | Isolated:
    """Open the files in a folder, in a process of its own if the engine or its file may fail.

    PyTorch stays in this process with a program of its own making: it is here already, and would
    take seconds to start again.
    """
    if engine is TorchScript and not foreign:
        return TorchScript(config, folder)
    return Isolated(engine, config, folder)
