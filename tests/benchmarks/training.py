"""Measures how many characters a second a training learns, beside a bare loop of steps.

    python tests/benchmarks/training.py TEXT [--cell lstm] [--characters 300000] [--rounds 3]
        [--json]

TEXT is a file of lines, whose diacritics are restored. The training is that of `hello-train` on the
device that it would take, with reading, augmentation, evaluation and saving, over ten epochs
of the first lines of TEXT. The bare loop has the same batches as ready tensors on that device, and
does nothing but PyTorch's steps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from hello_train.data.alphabets import choose_alphabets, count_substitutions
from hello_train.data.batches import lengths
from hello_train.data.corruption import find_corruption
from hello_train.data.lines import Split, read
from hello_train.data.sources import text_source
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.loop import Trainer, batches_of
from hello_train.fit.optimizer import mean_loss
from hello_train.fit.options import TEXT_OPTIONS, TrainOptions, configure
from hello_train.fit.parallel import Team, best_device
from hello_train.fit.resume import ResumeFile
from hello_train.fit.state import new_state
from hello_train.network.cells import CELLS
from measuring import medians, show

EPOCHS = 10


def epochs_of(options: TrainOptions) -> int:
    """Return the epochs of a training that ends by them."""
    if options.epochs is None:
        raise ValueError("a benchmark of training ends by epochs")
    return options.epochs


def first_characters(lines: Split, characters: int) -> Split:
    """Return training lines of about so many characters, and held-out ones."""
    number = 1 + int(np.searchsorted(np.cumsum(lengths(lines.train)), characters))
    return Split(lines.train[:number], lines.holdout[: number // 9])


def bare_loop(options: TrainOptions, lines: Split, team: Team) -> Callable[[], None]:
    """Return an action that learns ready tensors, and does nothing else."""
    alphabets = choose_alphabets(count_substitutions(lines.train), options.rare)
    config = configure(options, alphabets)
    batches = batches_of(config, lines.train, options)
    ready = [
        tuple(tensor.to(team.device) for tensor in batches.load(segments, epoch, number))
        for epoch in range(1, 1 + epochs_of(options))
        for number, segments in enumerate(batches.order(epoch))
    ]

    def action() -> None:
        state = new_state(config, options, team)
        state.network.train()
        for ids, labels in ready:
            loss = mean_loss(state.network(ids), labels)
            state.optimizer.forget_gradients()
            loss.backward()  # type: ignore[no-untyped-call]
            state.optimizer.step(options.learning_rate)
        loss.item()  # a GPU works on until it is asked

    return action


def training(options: TrainOptions, lines: Split, folder: Path, team: Team) -> Callable[[], None]:
    """Return an action that trains as the command does."""

    def action() -> None:
        alphabets = choose_alphabets(count_substitutions(lines.train), options.rare)
        state = new_state(configure(options, alphabets), options, team)
        evaluator = Evaluator(lines.holdout)
        Trainer(state, lines.train, options, (), evaluator, ResumeFile(folder, {}), team).run()

    return action


def training_rows(
    text: Path, characters: int, options: TrainOptions, device: torch.device, rounds: int
) -> tuple[list[dict[str, Any]], str]:
    """Return a row for the bare loop and one for the training on a device, and their title."""
    options = replace(options, patience=None)  # both learn all epochs
    source = text_source(find_corruption("strip-diacritics"))
    lines = first_characters(read(source, [text], [], options.holdout, 0), characters)
    count = epochs_of(options) * int(lengths(lines.train).sum())
    team = Team(device)
    with tempfile.TemporaryDirectory() as name:
        found = medians(
            {
                "bare loop": bare_loop(options, lines, team),
                "hello-train": training(options, lines, Path(name), team),
            },
            rounds,
        )
    rows = [
        {
            "what": what,
            "thousand characters a second": count / seconds / 1000,
            "to the bare loop": found["bare loop"] / seconds,
        }
        for what, seconds in found.items()
    ]
    title = (
        f"{options.cell} of {options.hidden_size}, two directions; {count} characters of "
        f"{text.name} in {epochs_of(options)} epochs, on {device.type}; "
        f"{torch.get_num_threads()} threads"
    )
    return rows, title


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--cell", type=click.Choice(CELLS), default="lstm", show_default=True)
@click.option("--characters", default=300_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(text: Path, cell: str, characters: int, rounds: int, as_json: bool) -> None:
    """Print a row for each of the two."""
    options = replace(TEXT_OPTIONS, cell=cell, minutes=None, epochs=EPOCHS)
    rows, title = training_rows(text, characters, options, best_device(0), rounds)
    show(rows, as_json=as_json, title=title, packages=["torch"])


if __name__ == "__main__":
    main()
