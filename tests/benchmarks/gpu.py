"""Measures a GPU in one run: a file beside the CPU's cores, raw calls, training beside a bare loop.

    python tests/benchmarks/gpu.py TEXT [--provider cuda] [--cell gru] [--cell lstm] [--rounds 3]
        [--characters 1000000] [--training-characters 300000] [--json]

TEXT is a file of lines. The networks have random weights: one layer, two directions of 128 hidden
values (--hidden-size). The tables are:

- `decode_batch` of the first different lines, on the CPU's cores and on the device with blocks of
  several sizes and from several threads. Texts and confidences are held against the CPU's.
- The same blocks as ready arrays through the device's session, one call after the other:
  `session.run`, io binding with buffers of the CPU's memory (pinned, where CUDA is), and io binding
  with inputs and outputs that stay on the device.
- `hello-train` beside a bare loop of PyTorch's steps, on the device.

`--provider cpu` tries every line on a machine without a GPU; its figures say nothing of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from hello_runtime import Annotation, Decoder
from hello_runtime.engine.batching import batched
from hello_runtime.engine.blocks import BLOCKS_ON_CPU, BlockSize
from hello_runtime.text.codepoints import padded
from hello_train.fit.options import TEXT_OPTIONS
from hello_train.fit.parallel import best_device
from hello_train.network.cells import CELLS
from measuring import first_lines, medians, show
from networks import random_network, save
from training import EPOCHS, training_rows

SIZES = [
    BLOCKS_ON_CPU,
    BlockSize(16, 128, 1 << 14),
    BlockSize(64, 512, 1 << 16),
    BlockSize(64, 512, 1 << 17),
    BlockSize(256, 2048, 1 << 18),
]
"""The sizes that are compared; see `hello_runtime.engine.blocks`."""
THREADS = (1, 2, 4)
"""Calls at the same time, likewise."""
RAW_SIZE = BlockSize(64, 512, 1 << 17)


class Way(NamedTuple):
    """A way to decode the lines."""

    decoder: Decoder
    size: BlockSize
    threads: int

    def run(self, lines: Sequence[str]) -> None:
        """Decode the lines."""
        self.prepare().decode_batch(lines)

    def prepare(self) -> Decoder:
        """Return the decoder, set up for this way."""
        self.decoder._block_size, self.decoder._threads = self.size, self.threads
        return self.decoder

    def __str__(self) -> str:
        """Return the title of its row."""
        size = self.size
        return f"blocks of {size.enough} to {size.rows} rows, {size.characters} characters"


def differences(found: Sequence[Annotation], truth: Sequence[Annotation]) -> tuple[int, float]:
    """Return how many lines have another text, and the largest difference of a confidence."""
    pairs = list(zip(found, truth, strict=True))
    return (
        sum(one.text != other.text for one, other in pairs),
        max(float(np.abs(one.confidence - other.confidence).max()) for one, other in pairs),
    )


def decoding_rows(
    folder: Path, provider: str, lines: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """Return a row for the CPU's cores, and one for each way to use the device."""
    cpu = Decoder.open(folder)
    device = Decoder.open(folder, provider=provider)
    ways = [Way(cpu, BLOCKS_ON_CPU, cpu._threads)]
    ways += [Way(device, size, threads) for size, threads in product(SIZES, THREADS)]
    times = medians({str(i): partial(way.run, lines) for i, way in enumerate(ways)}, rounds)
    truth = cpu.annotate_batch(lines)
    rows = []
    for way, seconds in zip(ways, times.values(), strict=True):
        lines_off, confidence_off = differences(way.prepare().annotate_batch(lines), truth)
        rows.append(
            {
                "device": way.decoder.provider,
                "blocks": str(way),
                "threads": way.threads,
                "thousand characters a second": sum(map(len, lines)) / seconds / 1000,
                "to the CPU": times["0"] / seconds,
                "lines that differ": lines_off,
                "max difference of confidence": confidence_off,
            }
        )
    return rows


def raw_calls(
    decoder: Decoder, lines: Sequence[str], device: str
) -> dict[str, Callable[[], object]]:
    """Return actions that run the same blocks through a session, without text."""
    feeds = []
    for block in batched(lines, RAW_SIZE):
        lengths = np.array([len(line) for line in block], np.int32)
        feeds.append({"codepoints": padded([*map(str, block)]), "lengths": lengths})
    session = decoder._session
    buffers = [bound_to_buffers(session, feed, pin=device == "cuda") for feed in feeds]
    on_device = [bound_to_device(session, feed, device) for feed in feeds]

    def run_bound(bindings: Sequence[Any]) -> None:
        for binding, *_ in bindings:
            session.run_with_iobinding(binding)

    return {
        "session.run": lambda: [session.run(["decoded"], feed) for feed in feeds],
        "io binding, buffers of the CPU": partial(run_bound, buffers),
        "io binding, all on the device": partial(run_bound, on_device),
    }


def bound_to_buffers(session: Any, feed: dict[str, Any], *, pin: bool) -> tuple[Any, ...]:
    """Return a binding to buffers in the CPU's memory, and the buffers, which must outlive it."""
    binding = session.io_binding()
    buffers = []
    for name, array in feed.items():
        buffer = torch.from_numpy(np.array(array))
        buffers.append(buffer.pin_memory() if pin else buffer)
        binding.bind_input(name, "cpu", 0, np.int32, [*array.shape], buffers[-1].data_ptr())
    shape = [*feed["codepoints"].shape]
    buffers.append(torch.empty(shape, dtype=torch.int32, pin_memory=pin))
    binding.bind_output("decoded", "cpu", 0, np.int32, shape, buffers[-1].data_ptr())
    return binding, *buffers


def bound_to_device(session: Any, feed: dict[str, Any], device: str) -> tuple[Any, ...]:
    """Return a binding of which inputs and outputs stay on the device, and the inputs."""
    from onnxruntime import OrtValue

    binding = session.io_binding()
    values = [OrtValue.ortvalue_from_numpy(array, device, 0) for array in feed.values()]
    for name, value in zip(feed, values, strict=True):
        binding.bind_ortvalue_input(name, value)
    binding.bind_output("decoded", device)
    return binding, *values


def raw_rows(
    folder: Path, provider: str, lines: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """Return a row for each way to run the session."""
    decoder = Decoder.open(folder, provider=provider)
    device = "cpu" if provider == "cpu" else "cuda"
    times = medians(raw_calls(decoder, lines, device), rounds)
    return [
        {
            "one call after the other": name,
            "thousand characters a second": sum(map(len, lines)) / seconds / 1000,
            "to session.run": times["session.run"] / seconds,
        }
        for name, seconds in times.items()
    ]


def print_table(rows: list[dict[str, Any]], title: str, *, as_json: bool) -> None:
    """Print one of several tables."""
    show(rows, as_json=as_json, title=title, packages=["onnxruntime", "onnxruntime-gpu", "torch"])
    if not as_json:
        click.echo()


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--provider", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--cell", "cells", type=click.Choice(CELLS), multiple=True, default=("gru", "lstm"))
@click.option("--rounds", default=3, show_default=True)
@click.option("--characters", default=1_000_000, show_default=True)
@click.option("--training-characters", default=300_000, show_default=True)
@click.option("--epochs", default=EPOCHS, show_default=True)
@click.option("--hidden-size", default=128, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    text: Path,
    provider: str,
    cells: tuple[str, ...],
    rounds: int,
    characters: int,
    training_characters: int,
    epochs: int,
    hidden_size: int,
    as_json: bool,
) -> None:
    """Print three tables for each cell."""
    lines = first_lines(text, characters)
    where = f"{sum(map(len, lines))} characters of {text.name} in {len(lines)} lines, on {provider}"
    for cell in cells:
        network = random_network(cell, bidirectional=True, hidden_size=hidden_size)
        what = f"{cell}, two directions of {hidden_size}; {where}"
        with TemporaryDirectory() as name:
            save(network, Path(name))
            for measure, title in ((decoding_rows, "A file"), (raw_rows, "Raw calls")):
                rows = measure(Path(name), provider, lines, rounds)
                print_table(rows, f"{title}: {what}", as_json=as_json)
        device = torch.device("cpu") if provider == "cpu" else best_device(0)
        options = replace(
            TEXT_OPTIONS, cell=cell, minutes=None, epochs=epochs, hidden_size=hidden_size
        )
        rows, title = training_rows(text, training_characters, options, device, rounds)
        print_table(rows, f"Training: {title}", as_json=as_json)


if __name__ == "__main__":
    main()
