"""Measures what `docs/speed.md` promises of the first example: times of the commands, and sizes.

    python tests/benchmarks/figures.py [--repeat 5] [--json]

Each time is the median of the repetitions, of whole processes with their imports; the wheel is
built from this checkout.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
from hello_export.graph.onnx_graph import build_model
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from measuring import ROOT, build_wheel, machine, median_processes, medians

GOLDEN = ROOT / "tests" / "golden"


@dataclass(frozen=True)
class Figure:
    """A measured value beside the value to reach."""

    what: str
    value: float
    unit: str
    limit: float
    processor: float | None = None
    """Of a process the seconds of all processors, those of the processes it started included."""


def processes(repeat: int) -> list[Figure]:
    """Measure the commands, each as a new process in an empty folder."""
    torch = 'python -c "import torch"'
    commands: dict[str, list[str | Path]] = {torch: [sys.executable, "-c", "import torch"]}
    for name, more in (("hello-train", ""), ("hello-export", ", training included")):
        for cell in CELLS:
            words: list[str | Path] = [Path(sys.executable).with_name(name), "--cell", cell]
            commands[f"{name} --cell {cell}{more}"] = words
    infer = "hello-infer hello"
    commands[infer] = [Path(sys.executable).with_name("hello-infer"), "hello"]
    return [
        Figure(what, process.seconds, "s", 1 if what == infer else 15, process.processor)
        for what, process in median_processes(commands, repeat).items()
    ]


def graphs(repeat: int) -> list[Figure]:
    """Measure how long the ONNX graph of a network takes to write."""
    actions = {}
    for name in ("hello-gru", "deep-lstm"):
        trained = load_checkpoint(GOLDEN / f"{name}.safetensors")
        actions[f"ONNX graph of {name} written and checked"] = partial(build_model, *trained)
    found = medians(actions, repeat)
    return [Figure(what, seconds * 1000, "ms", 100) for what, seconds in found.items()]


def figures(repeat: int) -> list[Figure]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        kilobytes = build_wheel(ROOT, Path(folder)).stat().st_size / 1000
    wheel = Figure("wheel with three models", kilobytes, "kB", 400)
    return [*processes(repeat), *graphs(repeat), wheel]


@click.command()
@click.option("--repeat", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(repeat: int, as_json: bool) -> None:
    """Print a row for each figure."""
    rows = figures(repeat)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    click.echo(machine("torch", "onnx", "onnxruntime"))
    click.echo("| figure | measured | processor time | to reach |")
    click.echo("|---|---|---|---|")
    for row in rows:
        processor = "-" if row.processor is None else f"{row.processor:.3g} s"
        value, limit = f"{row.value:.3g} {row.unit}", f"< {row.limit:g} {row.unit}"
        click.echo(f"| {row.what} | {value} | {processor} | {limit} |")


if __name__ == "__main__":
    main()
