"""Measures `hello-infer hello` as a whole process, beside a bare script that does as much.

    python tests/benchmarks/startup.py [--rounds 21] [--json]

The bare script imports onnxruntime and numpy, opens the same model and runs it once. Both run in
a fresh environment that has the wheel of this checkout and what it needs, and nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from measuring import ROOT, fresh_environment, median_processes, show

BARE = """
import numpy, onnxruntime
session = onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
codepoints = numpy.array([[ord(char) for char in "hello"]], numpy.int32)
state = numpy.zeros((1, 1, 4), numpy.float32)
(decoded,) = session.run(["decoded"], {{"codepoints": codepoints, "state": state}})
print("".join(map(chr, decoded[0])))
"""


@click.command()
@click.option("--rounds", default=21, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, as_json: bool) -> None:
    """Print a row for each of the two."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = fresh_environment(folder / "venv", ROOT)
        (model,) = folder.glob("venv/lib/python*/site-packages/hello_runtime/models/gru.onnx")
        (folder / "bare.py").write_text(BARE.format(model=str(model)))
        commands: dict[str, list[str | Path]] = {
            "bare script": [installed / "python", folder / "bare.py"],
            "hello-infer hello": [installed / "hello-infer", "hello"],
        }
        found = median_processes(commands, rounds)
    bare = found["bare script"]
    rows = [
        {
            "process": name,
            "ms": process.seconds * 1000,
            "processor ms": process.processor * 1000,
            "peak MB": process.peak_mb,
            "time, to bare": process.seconds / bare.seconds,
            "memory, to bare": process.peak_mb / bare.peak_mb,
        }
        for name, process in found.items()
    ]
    show(rows, as_json=as_json, title="hello-gru, a whole process", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
