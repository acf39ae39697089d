"""Measures the wheel of a package, and its command beside `hello-infer --model`.

    python tests/benchmarks/package.py RUN TEXT [--weights int8] [--rounds 21] [--json]

Both decode TEXT with the same model, as whole processes, in a fresh environment that has the wheel
of this checkout, that of the package and what they need, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click
from measuring import ROOT, build_wheel, fresh_environment, median_processes, show

NAME = "measured_package"


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("text")
@click.option("--weights", default="float32", show_default=True)
@click.option("--rounds", default=21, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(run: Path, text: str, weights: str, rounds: int, as_json: bool) -> None:
    """Print a row for each command, for the package of RUN."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = folder / "project"
        options: list[str | Path] = ["--package", NAME, "--output", project, "--weights", weights]
        export = Path(sys.executable).with_name("hello-export")
        subprocess.run([export, run, *options], check=True, stdout=subprocess.DEVNULL)
        wheel = build_wheel(project, folder / "wheel")
        installed = fresh_environment(folder / "venv", ROOT, wheel)
        model = project / "src" / NAME / "model.onnx"
        commands: dict[str, list[str | Path]] = {
            "hello-infer --model": [installed / "hello-infer", "--model", model, text],
            "the package's command": [installed / NAME, text],
            "python -m the package": [installed / "python", "-m", NAME, text],
        }
        found = median_processes(commands, rounds)
        size, inside = (file.stat().st_size / 1000 for file in (wheel, model))
    infer = found["hello-infer --model"]
    rows = [
        {
            "process": name,
            "ms": process.seconds * 1000,
            "peak MB": process.peak_mb,
            "time, to hello-infer": process.seconds / infer.seconds,
        }
        for name, process in found.items()
    ]
    show(
        rows,
        as_json=as_json,
        title=f"a wheel of {size:.0f} kB, model {inside:.0f}",
        packages=["onnxruntime"],
    )


if __name__ == "__main__":
    main()
