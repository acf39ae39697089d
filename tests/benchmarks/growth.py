"""Measures how time and memory of `hello-infer --input --output` grow with the text.

    python tests/benchmarks/growth.py TEXT [--artifact DIR] [--json]

TEXT is a file of lines, which is repeated up to 10 kB, 1 MB and 100 MB; each repetition is numbered
so that no line comes twice. The last row of a model is a single line of 10 MB. Without --artifact
the models are a causal GRU and one of two directions, 128 hidden values, random weights. Memory is
the peak of the whole process, and how much of it is above that of `hello-infer hello`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from measuring import MB, run_process, show
from networks import random_network, save


def numbered(lines: list[str]) -> Iterator[str]:
    """Yield the lines again and again, numbered from the second time on."""
    for turn in itertools.count():
        for line in lines:
            yield f"{line} {turn}" if turn else line


def write_text(path: Path, lines: list[str], size: int, end: str) -> None:
    """Write about `size` bytes of lines."""
    with path.open("wb") as file:
        for line in numbered(lines):
            file.write((line + end).encode())
            if file.tell() >= size:
                return


def decode(model: Path, source: Path, base_mb: float) -> dict[str, Any]:
    """Decode a file, and check that it keeps its length and its lines."""
    target = source.with_suffix(".out")
    process = run_process(["hello-infer", "--model", model, "--input", source, "--output", target])
    before, after = (path.read_text(encoding="utf-8") for path in (source, target))
    if len(before) != len(after) or before.count("\n") != after.count("\n"):
        raise RuntimeError(f"{target} is not aligned with {source}")
    target.unlink()
    return {
        "bytes": source.stat().st_size,
        "seconds": process.seconds,
        "thousand characters a second": len(before) / process.seconds / 1000,
        "peak MB": process.peak_mb,
        "MB above hello-infer hello": process.peak_mb - base_mb,
    }


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--artifact", type=click.Path(exists=True, path_type=Path))
@click.option("--largest", default=100, show_default=True, help="MB of the largest file.")
@click.option("--json", "as_json", is_flag=True)
def main(text: Path, artifact: Path | None, largest: int, as_json: bool) -> None:
    """Print a row for each size."""
    lines = [line for line in text.read_text(encoding="utf-8").splitlines() if line]
    base = run_process(["hello-infer", "hello"]).peak_mb
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {str(artifact): artifact} if artifact else {}
        for bidirectional in () if artifact else (False, True):
            label = f"gru, {'two directions' if bidirectional else 'causal'}"
            models[label] = folder / f"model{bidirectional}"
            save(random_network("gru", bidirectional=bidirectional), models[label])
        for label, model in models.items():
            assert model is not None
            sizes = (("lines", 10_000, "\n"), ("lines", MB, "\n"), ("lines", largest * MB, "\n"))
            for kind, size, end in (*sizes, ("one line", 10 * MB, " ")):
                source = folder / "text.txt"
                write_text(source, lines, size, end)
                rows.append({"model": label, "text": kind, **decode(model, source, base)})
    show(rows, as_json=as_json, title=f"Growth, on {text.name}", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
