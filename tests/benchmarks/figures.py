"""Measures what `docs/speed.md` promises of the first example: times of the commands, and sizes.

    python tests/benchmarks/figures.py [--repeat 5] [--json]

Each time is the median of the repetitions, of whole processes with their imports; the wheel is
built from this checkout.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from hello_export.graph.onnx_graph import build_model
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from measuring import Process, machine, medians, run_process

ROOT = Path(__file__).parents[2]
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


def median_of(action: Callable[[], object], repeat: int) -> float:
    """Return the median seconds of an action."""
    return medians({"": action}, repeat)[""]


def processes(repeat: int) -> list[Figure]:
    """Measure the commands, each as a new process in an empty folder; they take turns."""
    commands: dict[str, tuple[list[str | Path], float]] = {
        'python -c "import torch"': ([sys.executable, "-c", "import torch"], 15)
    }
    for name, more in (("hello-train", ""), ("hello-export", ", training included")):
        for cell in CELLS:
            words: list[str | Path] = [Path(sys.executable).with_name(name), "--cell", cell]
            commands[f"{name} --cell {cell}{more}"] = words, 15
    commands["hello-infer hello"] = [Path(sys.executable).with_name("hello-infer"), "hello"], 1
    runs: dict[str, list[Process]] = {what: [] for what in commands}
    for _ in range(repeat):
        for what, (words, _limit) in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                runs[what].append(run_process(words, Path(folder)))
    rows = []
    for what, (_, limit) in commands.items():
        seconds, processor = (
            statistics.median(getattr(run, kind) for run in runs[what])
            for kind in ("seconds", "processor")
        )
        rows.append(Figure(what, seconds, "s", limit, processor))
    return rows


def wheel_kilobytes() -> float:
    """Build the wheel and return its size."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.stat().st_size / 1000


def figures(repeat: int) -> list[Figure]:
    """Measure everything."""
    rows = processes(repeat)
    for name in ("hello-gru", "deep-lstm"):
        network, training = load_checkpoint(GOLDEN / f"{name}.safetensors")
        build_model(network, training)
        seconds = median_of(lambda n=network, t=training: build_model(n, t), repeat)  # type: ignore[misc]
        rows.append(Figure(f"ONNX graph of {name} written and checked", seconds * 1000, "ms", 100))
    rows.append(Figure("wheel with three models", wheel_kilobytes(), "kB", 400))
    return rows


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
