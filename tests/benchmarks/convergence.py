"""Trains hello from many seeds and counts the starts that are lost.

    python tests/benchmarks/convergence.py [--seeds 100] [--json]

For each cell and each seed the post's network is trained as `hello-train --seed SEED` does it: a
start that does not say `ohlol` after its 1000 epochs is lost, and the next seed is tried.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, replace

import click
from hello_train.fit.callbacks import Callback, Progress
from hello_train.fit.hello import HELLO, HELLO_ALPHABETS, fit_exactly
from hello_train.fit.options import HELLO_OPTIONS, configure
from hello_train.network.cells import CELLS
from hello_train.network.model import Network


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


@dataclass(frozen=True)
class Row:
    """What the seeds of one cell came to."""

    cell: str
    seeds: int
    lost_starts: int
    """Seeds from which the network did not learn without a restart."""
    first_right: float
    """Of the seeds that were not lost, the median of the epoch that was right first."""
    latest_right: int
    """The latest such epoch."""
    most_starts: int
    """The most starts that one seed needed."""
    ended_right: int
    """Seeds whose run ended with the target, restarts included."""


def measure(cell: str, seeds: int) -> Row:
    """Train from each seed."""
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
    return Row(
        cell=cell,
        seeds=seeds,
        lost_starts=seeds - len(right),
        first_right=statistics.median(right),
        latest_right=max(right),
        most_starts=max(record.starts for record in records),
        ended_right=ended_right,
    )


@click.command()
@click.option("--seeds", default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(seeds: int, as_json: bool) -> None:
    """Print a row for each cell."""
    rows = [measure(cell, seeds) for cell in CELLS]
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    click.echo(
        "| cell | seeds | lost without restart | first right, median epoch | latest "
        "| most starts | ended with ohlol |"
    )
    click.echo("|---|---|---|---|---|---|---|")
    for row in rows:
        click.echo("| " + " | ".join(str(value) for value in asdict(row).values()) + " |")


if __name__ == "__main__":
    main()
