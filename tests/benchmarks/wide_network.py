"""Measures `hello-export WEIGHTS` on a wide network with drawn weights, as a whole process.

    python tests/benchmarks/wide_network.py [--hidden 256] [--rounds 3] [--json]

Its form is that of rawi-v2, which restores Arabic vowels: an embedding of 236 characters, an LSTM
of two layers and two directions of 256 hidden values, 75 labels. Each row is one type of weights.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import torch
from hello_export.graph.storage import STORAGES
from measuring import median_processes, show
from torch import nn

ALPHABET = "".join(map(chr, range(0x600, 0x600 + 236)))
LABELS = "".join(map(chr, range(0x4E00, 0x4E00 + 75)))


def save_weights(file: Path, hidden: int) -> None:
    """Save the state dict of the network with so many hidden values in a direction."""
    torch.manual_seed(0)
    network = nn.ModuleDict(
        {
            "embedding": nn.Embedding(236, 128),
            "lstm": nn.LSTM(128, hidden, num_layers=2, bidirectional=True),
            "head": nn.Linear(2 * hidden, 75),
        }
    )
    torch.save(network.state_dict(), file)


def command(file: Path, storage: str, folder: Path) -> list[str | Path]:
    """Return the command that exports the file of weights."""
    options = ["--alphabet", ALPHABET, "--labels", LABELS, "--weights", storage]
    return [Path(sys.executable).with_name("hello-export"), file, *options, "--output", folder]


@click.command()
@click.option("--hidden", default=256, show_default=True, help="Hidden values in a direction.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(hidden: int, rounds: int, as_json: bool) -> None:
    """Print a row for each type of weights."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "weights.pt")
        save_weights(file, hidden)
        folders: dict[str, Path] = {storage: Path(name, storage) for storage in STORAGES}
        commands = {key: command(file, key, folder) for key, folder in folders.items()}
        found = median_processes(commands, rounds)
        rows = [
            {
                "weights": storage,
                "s": process.seconds,
                "processor s": process.processor,
                "peak MB": process.peak_mb,
                "file, MB": (folders[storage] / "model.onnx").stat().st_size / 1e6,
            }
            for storage, process in found.items()
        ]
    show(
        rows,
        as_json=as_json,
        title=f"export of a network of {hidden}",
        packages=["torch", "onnxruntime"],
    )


if __name__ == "__main__":
    main()
