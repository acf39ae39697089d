"""Classifiers and networks of the next character beside a bare PyTorch loop; speed of drawing.

    python tests/benchmarks/tasks.py TEXT CLASSES [--epochs N] [--class-epochs N]

TEXT is running text, CLASSES lines of text, TAB, class. The bare loop is PyTorch's own parts, Adam
and cross-entropy, with the same sizes, learning rate, lines and epochs: for text random pieces of
256 characters, 16 at a time, for classes shuffled lines, 64 at a time, packed. Both give the
weights after the last epoch or the best evaluation. Speed is of a network with 128 hidden values on
one core, 32 samples side by side beside one: the median of 9 times, in seconds of the process.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import onnx
import torch
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Decoder
from hello_runtime.text.pairs import Pair
from hello_train.data.lines import Split, read
from hello_train.data.sources import class_source, passage_source
from hello_train.fit.job import TrainingJob
from hello_train.fit.task_options import (
    TASK_OPTIONS,
    LearnedTask,
    configure_classes,
    configure_next,
)
from hello_train.fit.task_run import run_task
from hello_train.report.tasks import TaskRun
from measuring import machine
from torch import Tensor, nn

PIECE, ROWS, LINES = 256, 16, 64
DRAWN, ROUNDS = 1000, 9


class Bare(nn.Module):
    """An embedding, a GRU and a linear layer."""

    def __init__(self, symbols: int, labels: int, *, both: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, 48)
        self.gru = nn.GRU(48, 128, batch_first=True, bidirectional=both)
        self.out = nn.Linear(256 if both else 128, labels)


def cosine(optimizer: torch.optim.Optimizer, done: float) -> None:
    optimizer.param_groups[0]["lr"] = 4e-3 * (1 + math.cos(math.pi * done)) / 2


def bare_next(lines: Split, alphabet: str, epochs: int) -> float:
    """Return the bits per held-out character of a bare loop."""
    torch.manual_seed(1)
    number = {char: id_ for id_, char in enumerate(alphabet)}
    text = torch.tensor([number[c] for pair in lines.train for c in pair.target])
    network = Bare(len(alphabet), len(alphabet), both=False)
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    steps = epochs * len(text) // (PIECE * ROWS)
    for step in range(steps):
        cosine(optimizer, step / steps)
        starts = torch.randint(len(text) - PIECE - 1, (ROWS,))
        pieces = torch.stack([text[start : start + PIECE + 1] for start in starts.tolist()])
        logits = network.out(network.gru(network.embedding(pieces[:, :-1]))[0])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), pieces[:, 1:].flatten())
        learn(network, optimizer, loss)
    nats = count = 0.0
    with torch.inference_mode():
        for pair in lines.holdout:
            ids = torch.tensor([[number.get(char, 0) for char in pair.input]])
            targets = torch.tensor([number.get(char, -100) for char in pair.target])
            logits = network.out(network.gru(network.embedding(ids))[0])[0]
            nats += float(nn.functional.cross_entropy(logits, targets, reduction="sum"))
            count += int((targets >= 0).sum())
    bits: float = nats / count / math.log(2)
    return bits


def bare_classes(lines: Split, alphabet: str, classes: tuple[str, ...], epochs: int) -> float:
    """Return the share of held-out lines that a bare loop gets right."""
    torch.manual_seed(1)
    number = {char: id_ for id_, char in enumerate(alphabet)}
    network = Bare(len(alphabet) + 1, len(classes), both=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)

    def logits(pairs: list[Pair]) -> Tensor:
        rows = [torch.tensor([number.get(c, len(number)) for c in pair.input]) for pair in pairs]
        packed = nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
        packed = packed._replace(data=network.embedding(packed.data))
        found: Tensor = network.out(torch.cat([*network.gru(packed)[1]], -1))
        return found

    train, steps = [*lines.train], epochs * (len(lines.train) // LINES)
    for step in range(steps):
        cosine(optimizer, step / steps)
        chosen = [train[i] for i in torch.randint(len(train), (LINES,)).tolist()]
        labels = torch.tensor([classes.index(pair.target) for pair in chosen])
        learn(network, optimizer, nn.functional.cross_entropy(logits(chosen), labels))
    holdout = [Pair(pair.input, pair.target) for pair in lines.holdout]
    with torch.inference_mode():
        best: list[int] = logits(holdout).argmax(1).tolist()
    right = sum(classes[b] == pair.target for b, pair in zip(best, holdout, strict=True))
    return right / len(holdout)


def learn(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def ours(task: LearnedTask, lines: Split, epochs: int) -> TaskRun:
    options = replace(TASK_OPTIONS[task], epochs=epochs, minutes=None)
    with TemporaryDirectory() as folder:
        run = run_task(task, TrainingJob(lines, task, options, Path(folder)))
    assert run
    return run


def draw_speed(run: TaskRun) -> None:
    """Print the characters drawn in a second, one sample alone and 32 side by side."""
    with TemporaryDirectory() as folder:
        onnx.save(build_model(run.network, run.training), Path(folder, "model.onnx"))
        decoder = Decoder.open(folder, threads=1)
        rates: dict[int, list[float]] = {1: [], 32: []}
        for _ in range(ROUNDS):
            for samples, found in rates.items():
                started = time.process_time()
                decoder.generate_batch([""] * samples, DRAWN, seed=0)
                found.append(DRAWN * samples / (time.process_time() - started))
        for samples, found in rates.items():
            rate = statistics.median(found)
            print(f"drawn, {samples} at once: {rate:,.0f} characters a second")


@click.command()
@click.argument("text", type=click.Path(path_type=Path))
@click.argument("classes", type=click.Path(path_type=Path))
@click.option("--epochs", default=3)
@click.option("--class-epochs", default=10)
def main(text: Path, classes: Path, epochs: int, class_epochs: int) -> None:
    """Print the figures."""
    torch.set_num_threads(1)
    print(machine())
    lines = read(class_source("nfc"), [classes], [], 0.1, 0)
    config = configure_classes(lines.train, TASK_OPTIONS["classify"])
    run = ours("classify", lines, class_epochs)
    for name, row in run.measures.items():
        print(f"accuracy, {name}: {row['accuracy']:.2%}")
    bare = bare_classes(lines, config.input_alphabet, config.classes, class_epochs)
    print(f"accuracy, bare PyTorch: {bare:.2%}")
    lines = read(passage_source("nfc"), [text], [], 0.1, 0)
    alphabet = configure_next(lines.train, TASK_OPTIONS["next"]).input_alphabet
    run = ours("next", lines, epochs)
    draw_speed(run)
    for name, row in run.measures.items():
        print(f"bits per character, {name}: {row['bits']:.3f}")
    print(f"bits per character, bare PyTorch: {bare_next(lines, alphabet, epochs):.3f}")


if __name__ == "__main__":
    main()
