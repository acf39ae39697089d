"""Measures the JavaScript module beside onnxruntime-web (wasm, one thread), in Node.

    npm install onnxruntime-web
    python tests/benchmarks/javascript.py node_modules/onnxruntime-web [--rounds 7] [--json]

Both go from text to text, and in turns; times are the processor's: other work counts little.
`hello` is the post's network; the others are random ones of growing width, with 64 values a
character and 90 labels, on 100 characters. A start is a process from its beginning to its first
`ohlol`, in time that passes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import onnx
from hello_export.graph.onnx_graph import build_model
from hello_export.proof.javascript import modules_folder, node_version
from hello_runtime.model.model_file import locate
from measuring import show
from networks import LETTERS, TRAINING, random_network

SCRIPT = Path(__file__).with_suffix(".mjs")
WIDTHS = (4, 8, 16, 32, 64, 128, 256)
TEXT = (LETTERS[:50] * 2).replace(" ", "a")


def node(*arguments: object) -> list[Any]:
    """Return the lines of JSON that the script prints."""
    command = ["node", str(SCRIPT), *map(str, arguments)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def starts(module: Path, web: Path, rounds: int) -> dict[str, Any]:
    """Return the row of the starts: the median milliseconds to the first text."""
    times: dict[str, list[float]] = {"module": [], "web": []}
    for _ in range(rounds):
        for engine, found in times.items():
            (answer,) = node("start", engine, module, web, locate(None, "gru"), "hello")
            if answer["said"] != "ohlol":
                raise RuntimeError(f"{engine} says {answer['said']!r}")
            found.append(answer["milliseconds"] * 1000)
    return row("start, hello", *map(statistics.median, times.values()))


def row(name: str, module: float, web: float) -> dict[str, Any]:
    """Return a row of the table."""
    return {
        "model": name,
        "module, µs": module,
        "onnxruntime-web, µs": web,
        "times as fast": web / module,
    }


def decodes(module: Path, web: Path, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each model."""
    rows = []
    for cell in ("rnn", "gru", "lstm"):
        (found,) = node("decode", module, web, rounds, "hello", locate(None, cell))
        rows.append(row(f"hello-{cell}", *found))
    with TemporaryDirectory() as folder:
        for cell in ("gru", "lstm"):
            for bidirectional in (False, True):
                files = []
                for width in WIDTHS:
                    network = random_network(cell, bidirectional=bidirectional, hidden_size=width)
                    files.append(Path(folder) / f"{width}.onnx")
                    onnx.save(build_model(network, TRAINING), files[-1])
                found = node("decode", module, web, rounds, TEXT, *files)
                direction = "two directions" if bidirectional else "one direction"
                rows += [
                    row(f"{cell}, {direction}, {width} wide", *each)
                    for width, each in zip(WIDTHS, found, strict=True)
                ]
    return rows


@click.command()
@click.argument("package", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--rounds", default=7, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(package: Path, rounds: int, as_json: bool) -> None:
    """Print a row for each model; PACKAGE is the folder of onnxruntime-web."""
    module, web = modules_folder() / "hello_rnn.mjs", package / "dist" / "ort.node.min.mjs"
    version = json.loads((package / "package.json").read_text())["version"]
    rows = [starts(module, web, rounds), *decodes(module, web, rounds)]
    title = f"JavaScript, Node {node_version()}, onnxruntime-web {version}"
    show(rows, as_json=as_json, title=title)


if __name__ == "__main__":
    main()
