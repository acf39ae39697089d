"""Trains hello from many seeds and counts the starts that are lost.

    python tests/benchmarks/convergence.py [--seeds 100] [--json]

For each cell and each seed the post's network is trained as `hello-train --seed SEED` does it: a
start that does not say `ohlol` after its 1000 epochs is lost, and the next seed is tried. The
epochs are those of the seeds that were not lost.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import click
from hello_train.fit.callbacks import Callback, Progress
from hello_train.fit.hello import HELLO, HELLO_ALPHABETS, fit_exactly
from hello_train.fit.options import HELLO_OPTIONS, configure
from hello_train.network.cells import CELLS
from hello_train.network.model import Network
from measuring import show


class Record(Callback):
    """Remembers the starts of one run, and when the first of them was right for the first time."""

    def __init__(self) -> None:
        self.starts = 1
        self.first_right: int | None = None

    def on_step(self, progress: Progress, network: Network) -> None:
        """Ask the network of the first start, until it is right."""
        if self.starts == 1 and self.first_right is None:
            right = network.rewrite(HELLO.input) == HELLO.target
            self.first_right = progress.epoch if right else None

    def on_restart(self, lost_seed: int, next_seed: int) -> None:
        """Count a start."""
        self.starts += 1


def measure(cell: str, seeds: int) -> dict[str, Any]:
    """Train from each seed, and return the row of a cell."""
    records = []
    ended_right = 0
    for seed in range(seeds):
        options = replace(HELLO_OPTIONS, cell=cell, seed=seed)
        config = configure(options, HELLO_ALPHABETS)
        record = Record()
        network, _ = fit_exactly(config, HELLO, options, [record])
        ended_right += network.rewrite(HELLO.input) == HELLO.target
        records.append(record)
    epochs = [record.first_right for record in records if record.starts == 1]
    right = [epoch for epoch in epochs if epoch is not None]
    return {
        "cell": cell,
        "seeds": seeds,
        "lost without restart": seeds - len(right),
        "first right, median epoch": statistics.median(right),
        "latest": max(right),
        "most starts": max(record.starts for record in records),
        "ended with ohlol": ended_right,
    }


@click.command()
@click.option("--seeds", default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(seeds: int, as_json: bool) -> None:
    """Print a row for each cell."""
    rows = [measure(cell, seeds) for cell in CELLS]
    show(rows, as_json=as_json, title="Starts of hello", packages=["torch"])


if __name__ == "__main__":
    main()
