"""Trains hello from many seeds and counts the starts that are lost.

    python tests/benchmarks/convergence.py [--seeds 100] [--json]

For each cell and each seed the post's network is trained as `hello-train --seed SEED` does. A start
is lost if the network does not say `ohlol` after its 1000 epochs; then the next seed is tried. The
starts of a run that follow a lost one are those of the later seeds, so each seed is trained once.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, replace

import click
from hello_train.config import CELLS, Cell
from hello_train.fit import Progress, Watcher, fit
from hello_train.model import Network
from hello_train.options import HELLO_OPTIONS, configure
from hello_train.run import HELLO, HELLO_ALPHABET


class FirstSuccess(Watcher):
    """Remembers the epoch in which the network first said the target."""

    def __init__(self) -> None:
        self.epoch: int | None = None

    def step(self, progress: Progress, network: Network) -> None:
        """Ask the network, until it is right."""
        if self.epoch is None and network.rewrite(HELLO.input) == HELLO.target:
            self.epoch = progress.epoch


@dataclass(frozen=True)
class Row:
    """What the seeds of one cell came to."""

    cell: str
    seeds: int
    lost_starts: int
    """Seeds from which the network did not learn."""
    median_first_epoch: float
    """Of the starts that learned: the epoch that first said the target."""
    latest_first_epoch: int
    most_starts: int
    """The longest row of starts that one seed needed."""
    ended_with_target: int
    """Seeds whose run ended with the target, restarts included."""


def start(cell: Cell, seed: int) -> int | None:
    """Return the epoch in which a start was first right, or None if it did not end right."""
    options = replace(HELLO_OPTIONS, cell=cell, seed=seed)
    watcher = FirstSuccess()
    config = configure(options, HELLO_ALPHABET, HELLO_ALPHABET, [HELLO])
    network = fit(config, [HELLO], options, watcher)
    return watcher.epoch if network.rewrite(HELLO.input) == HELLO.target else None


def measure(cell: Cell, seeds: int) -> Row:
    """Try all seeds of one cell, and those that follow a lost one at the end."""
    epochs: list[int | None] = []
    while len(epochs) < seeds or epochs[-1] is None:
        epochs.append(start(cell, len(epochs)))
    learned = [seed for seed, epoch in enumerate(epochs) if epoch is not None]
    needed = [next(later for later in learned if later >= seed) - seed + 1 for seed in range(seeds)]
    first = [epoch for epoch in epochs[:seeds] if epoch is not None]
    return Row(
        cell=cell,
        seeds=seeds,
        lost_starts=seeds - len(first),
        median_first_epoch=statistics.median(first),
        latest_first_epoch=max(first),
        most_starts=max(needed),
        ended_with_target=len(needed),
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
        "| cell | seeds | lost starts | first right, median | latest | most starts | ohlol |"
    )
    click.echo("|---|---|---|---|---|---|---|")
    for row in rows:
        click.echo("| " + " | ".join(str(value) for value in asdict(row).values()) + " |")


if __name__ == "__main__":
    main()
