"""Measures how many characters a second are decoded on each device that is here, and whether alike.

    python tests/benchmarks/providers.py TEXT [--characters 1000000] [--rounds 3] [--json]

TEXT is a file of lines; its first different lines are decoded, by networks with random weights: one
layer of two directions of 128 hidden values. The texts that a device gives are held against those
of the CPU, and so are the confidences.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from hello_runtime import Decoder, ProviderError
from hello_runtime.engine.devices import installed_plugins
from hello_train.network.cells import CELLS
from measuring import first_lines, medians, show
from networks import random_network, save


def decoders(artifact: Path) -> dict[str, Decoder]:
    """Return a decoder for each device that runs here, the CPU's first."""
    found = {}
    for name in ("cpu", "cuda", *installed_plugins()):
        try:
            found[name] = Decoder.open(artifact, provider=name)
        except ProviderError as error:
            click.echo(f"{name} is left out: {error}", err=True)
    return found


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--rounds", default=3, show_default=True)
@click.option("--characters", default=1_000_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(text: Path, rounds: int, characters: int, as_json: bool) -> None:
    """Print a row for each cell on each device."""
    lines = first_lines(text, characters)
    count = sum(map(len, lines))
    rows: list[dict[str, Any]] = []
    for cell in CELLS:
        with tempfile.TemporaryDirectory() as name:
            save(random_network(cell, bidirectional=True), Path(name))
            here = decoders(Path(name))
        actions = {
            provider: partial(decoder.decode_batch, lines) for provider, decoder in here.items()
        }
        seconds = medians(actions, rounds)
        truth = here["cpu"].annotate_batch(lines)
        for provider, decoder in here.items():
            found = list(zip(decoder.annotate_batch(lines), truth, strict=True))
            rows.append(
                {
                    "cell": cell,
                    "device": decoder.provider,
                    "thousand characters a second": count / seconds[provider] / 1000,
                    "to the CPU": seconds["cpu"] / seconds[provider],
                    "lines that differ": sum(one.text != other.text for one, other in found),
                    "max difference of confidence": max(
                        float(np.abs(one.confidence - other.confidence).max())
                        for one, other in found
                    ),
                }
            )
    title = f"two directions of 128; {count} characters of {text.name} in {len(lines)} lines"
    show(rows, as_json=as_json, title=title, packages=["onnxruntime", "onnxruntime-gpu"])


if __name__ == "__main__":
    main()
