"""Measures the memory of `hello-infer` on a file that is one long line.

    python tests/benchmarks/one_line.py [--largest 50] [--json]

Memory is that above `hello-infer hello`, in multiples of the file. The kinds of text are what a
`str` of Python depends on: letters of Polish take two bytes each in it, and a single character
beyond U+FFFF makes all take four. The memory for the line does not depend on the network's size,
so a small network makes this quick.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import click
import torch
from hello_runtime.model.labels import alphabet_labels
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from measuring import run_process, show
from networks import save

MB = 1_000_000
KINDS = {
    "ascii": ("abcdefgh ", ""),
    "polish": ("abcdeąćęłż ", ""),
    "one emoji": ("abcdefgh ", "😀"),
}
"""Of each kind of text the characters that it is drawn from, and what stands at its end."""


def small_network(*, bidirectional: bool) -> Network:
    """Return a network that reads and writes ASCII and Polish letters; it copies an emoji."""
    torch.manual_seed(0)
    alphabet = "".join(dict.fromkeys("".join(letters for letters, _ in KINDS.values())))
    config = ModelConfig(
        cell="rnn",
        input_alphabet=alphabet,
        output_labels=alphabet_labels("abcdefghłż "),
        embedding_dim=4,
        hidden_size=4,
        layers=1,
        bidirectional=bidirectional,
        projection=True,
        unknown="copy",
        guard=None,
    )
    return Network(config).eval()


def write_line(path: Path, kind: str, size: float) -> None:
    """Write one line of about `size` bytes."""
    letters, last = KINDS[kind]
    part = "".join(random.Random(0).choices(letters, k=100_000)).encode()
    with path.open("wb") as file:
        for _ in range(max(1, round(size / len(part)))):
            file.write(part)
        file.write(last.encode())


@click.command()
@click.option("--largest", default=50, show_default=True, help="MB of the longest line.")
@click.option("--json", "as_json", is_flag=True)
def main(largest: int, as_json: bool) -> None:
    """Print a row for each network, kind of text and size."""
    base = run_process(["hello-infer", "hello"]).peak_mb
    rows = []
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "text.txt", Path(name) / "out.txt"
        for bidirectional in (False, True):
            model = Path(name) / f"model{bidirectional}"
            save(small_network(bidirectional=bidirectional), model)
            for kind in KINDS:
                for size in (largest / 5, largest):
                    write_line(source, kind, size * MB)
                    files: list[str | Path] = ["--input", source, "--output", target]
                    process = run_process(["hello-infer", "--model", model, *files])
                    above, length = process.peak_mb - base, source.stat().st_size / MB
                    rows.append(
                        {
                            "network": "two directions" if bidirectional else "causal",
                            "text": kind,
                            "line, MB": length,
                            "seconds": process.seconds,
                            "MB above hello": above,
                            "times the line": above / length,
                        }
                    )
    show(rows, as_json=as_json, title="One line, RNN of 4", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
