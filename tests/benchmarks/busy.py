"""Measures how much a training learns beside two busy processes, and how much it learns alone.

    python tests/benchmarks/busy.py TEXT [--cell lstm] [--minutes 1] [--rounds 3] [--json]

TEXT is a file of lines, whose diacritics are restored. Each training is the command `hello-train`,
in turn: alone with one thread, alone as it is, and as it is beside two processes that multiply
matrices. How much was learned is what its log says: the characters of each second.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from hello_train.network.cells import CELLS
from measuring import show

BUSY_PROCESSES = 2
MULTIPLY = "import numpy; a = numpy.ones((1000, 1000))\nwhile True: a @ a"
ALONE = "alone, one thread"
SETTINGS = {ALONE: (1, 0), "alone": (None, 0), "beside two processes": (None, BUSY_PROCESSES)}
"""The threads that the user sets, None for none, and how many other processes are at work."""


@contextmanager
def busy_process() -> Iterator[None]:
    """Give a context in which a process multiplies matrices, with one thread."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", MULTIPLY], env=environment) as process:
        try:
            yield
        finally:
            process.kill()


def rate_of_training(command: list[str], threads: int | None, busy: int) -> float:
    """Return the characters a second that a training learned, in thousands."""
    environment = {name: v for name, v in os.environ.items() if name != "OMP_NUM_THREADS"}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    with ExitStack() as stack:
        for _ in range(busy):
            stack.enter_context(busy_process())
        log = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stderr
    number, thousands = re.findall(r"([\d.]+)(k?) characters/s", log)[-1]
    return float(number) if thousands else float(number) / 1000


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--cell", type=click.Choice(CELLS), default="lstm", show_default=True)
@click.option("--minutes", default=1.0, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(text: Path, cell: str, minutes: float, rounds: int, as_json: bool) -> None:
    """Print a row for each setting."""
    train = str(Path(sys.executable).with_name("hello-train"))
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as folder:
        learn = ["--text", str(text), "--corrupt", "strip-diacritics", "--cell", cell]
        command = [train, *learn, "--minutes", str(minutes), "--output", folder]
        for _ in range(rounds):
            for name, (threads, busy) in SETTINGS.items():
                rates[name].append(rate_of_training(command, threads, busy))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    rows = [
        {
            "training": name,
            "thousand characters a second": value,
            "to one thread alone": value / medians[ALONE],
        }
        for name, value in medians.items()
    ]
    title = f"{cell}, {minutes:g} minutes of {text.name}, medians of {rounds}"
    show(rows, as_json=as_json, title=title, packages=["torch"])


if __name__ == "__main__":
    main()
