"""Measures the memory and time that `hello-train` needs for a large text.

    python tests/benchmarks/corpus.py TEXT [--megabytes 1000] [--json]

TEXT is a file of lines, which is repeated up to the size; each repetition is numbered, so that no
line comes twice. The default network learns from it for half a minute, and is then evaluated.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from growth import write_text
from measuring import MB, run_process, show


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--megabytes", default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(text: Path, megabytes: int, as_json: bool) -> None:
    """Print a row."""
    lines = list(dict.fromkeys(filter(None, text.read_text(encoding="utf-8").splitlines())))
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "text.txt"
        write_text(source, lines, megabytes * MB, "\n")
        options = ["--corrupt", "strip-diacritics", "--cell", "lstm", "--minutes", "0.5"]
        output = Path(name) / "run"
        process = run_process(["hello-train", "--text", source, *options, "--output", output])
        row = {
            "MB": source.stat().st_size / MB,
            "peak MB": process.peak_mb,
            "seconds": process.seconds,
        }
    show([row], as_json=as_json, title=f"hello-train on {text.name}, repeated", packages=["torch"])


if __name__ == "__main__":
    main()
