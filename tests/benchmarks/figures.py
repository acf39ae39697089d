"""Measures what `docs/speed.md` promises of the first example: times of the commands, and sizes.

    python tests/benchmarks/figures.py [--repeat 5] [--json]

Each time is the median of the repetitions, of whole processes with their imports; the wheel is
built from this checkout.
"""

from __future__ import annotations

import json
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
from measuring import machine, medians

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


@dataclass(frozen=True)
class Figure:
    """A measured value beside the value to reach."""

    what: str
    value: float
    unit: str
    limit: float


def median_of(action: Callable[[], object], repeat: int) -> float:
    """Return the median seconds of an action."""
    return medians({"": action}, repeat)[""]


def command(name: str, *arguments: str) -> Callable[[], object]:
    """Return an action that runs a command as a new process in an empty folder."""

    def action() -> None:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [Path(sys.executable).with_name(name), *arguments],
                cwd=folder,
                check=True,
                capture_output=True,
            )

    return action


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
    rows = []
    for cell in CELLS:
        seconds = median_of(command("hello-train", "--cell", cell), repeat)
        rows.append(Figure(f"hello-train --cell {cell}", seconds, "s", 15))
    for cell in CELLS:
        seconds = median_of(command("hello-export", "--cell", cell), repeat)
        rows.append(Figure(f"hello-export --cell {cell}, training included", seconds, "s", 15))
    for name in ("hello-gru", "deep-lstm"):
        network, training = load_checkpoint(GOLDEN / f"{name}.safetensors")
        build_model(network, training)
        seconds = median_of(lambda n=network, t=training: build_model(n, t), repeat)  # type: ignore[misc]
        rows.append(Figure(f"ONNX graph of {name} written and checked", seconds * 1000, "ms", 100))
    seconds = median_of(command("hello-infer", "hello"), repeat)
    rows.append(Figure("hello-infer hello", seconds, "s", 1))
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
    click.echo("| figure | measured | to reach |")
    click.echo("|---|---|---|")
    for row in rows:
        click.echo(f"| {row.what} | {row.value:.3g} {row.unit} | < {row.limit:g} {row.unit} |")


if __name__ == "__main__":
    main()
