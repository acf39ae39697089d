"""Opens the files of an artifact on every engine that is installed, and compares them all."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from hello_runtime.errors import first_line
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

from hello_export.progress import SILENT, Progress
from hello_export.proof import installed
from hello_export.proof.cases import Case
from hello_export.proof.engines import Engine, OnnxRuntimeCuda
from hello_export.proof.isolation import Isolated, Opened, Processes
from hello_export.proof.parity import PYTORCH, begin, compare
from hello_export.proof.reference import Forward
from hello_export.proof.torchscript_engine import TorchScript
from hello_export.proof.verdict import Report, Verdict


def engines() -> tuple[type[Engine], ...]:
    """Return every engine; the GPU's only where there is a GPU."""
    on_gpu = (OnnxRuntimeCuda,) if OnnxRuntimeCuda.runs_here() else ()
    return (TorchScript, *installed.ENGINES, *on_gpu)


def prove(
    network: Network,
    folder: Path,
    cases: Iterable[Case],
    *,
    foreign: bool = False,
    strict: bool = False,
    characters: int = 0,
    progress: Progress = SILENT,
    forward: Forward | None = None,
    processes: Processes | None = None,
) -> Report:
    """Compare the files in a folder with a network, on every engine that is installed.

    Args:
        network: the reference.
        folder: holds the files of an artifact.
        cases: the batches.
        foreign: whether somebody else may have made the program, so that it may do anything.
        strict: whether witnesses are targets too.
        characters: how many the cases have, for the progress.
        progress: shows how far the comparison is.
        forward: that of the module that the network came in as, which then gives the logits.
        processes: those that wait for the files.

    Returns:
        The report, not checked yet.
    """
    every = engines()
    opened: list[Opened] = []
    others: list[Verdict] = []
    with ExitStack() as stack:
        for engine in every:
            verdict = begin(engine, strict=strict)
            verdict.not_compared = engine.obstacle(network.config)
            if verdict.not_compared:
                others.append(verdict)
                continue
            try:
                one = open_engine(engine, network.config, folder, foreign, processes)
            except Exception as error:  # PyTorch has many classes for a file that is no program
                verdict.failure = f"{engine.name} does not open its file: {first_line(error)}"
                others.append(verdict)
            else:
                stack.callback(one.close)
                opened.append(one)
        progress.begin([PYTORCH, *(engine.kind.name for engine in opened)], characters)
        report = compare(network, opened, cases, progress, strict=strict, forward=forward)
    names = [engine.name for engine in every]
    report.verdicts.extend(others)
    report.verdicts.sort(key=lambda verdict: names.index(verdict.engine))
    return report


def open_engine(
    engine: type[Engine],
    config: ModelConfig,
    folder: Path,
    foreign: bool,
    processes: Processes | None = None,
) -> Opened:
    """Open the files in a folder, in a process of its own if the engine or its file may crash.

    PyTorch runs a program that it made itself in this process, where it is loaded already; in
    another it would take seconds to start.
    """
    if engine is TorchScript and not foreign:
        return TorchScript(config, folder)
    process = processes.take(engine) if processes else Isolated(engine)
    try:
        process.open(config, folder)
    except OSError:
        process.close()
        raise
    return process
