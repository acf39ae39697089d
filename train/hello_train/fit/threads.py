"""How many threads PyTorch uses."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from hello_runtime.engine.cpus import available_cpus

ROUNDS = 3
"""Steps that a trial makes with each number of threads."""
STEP_OVERHEAD = 32
"""What one time step costs whatever the rows of its batch, in rows."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 40.0
"""Seconds between two trials; a trial that changes nothing doubles them."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread, for work on small tensors.

    Several threads have nothing to share there; they wait for each other, and on a busy machine
    that takes many times as long as the work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Steps(NamedTuple):
    """Some optimizer steps: what they had to do, and how long they took."""

    work: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Work in a second."""
        return self.work / max(self.seconds, 1e-9)

    def and_then(self, other: Steps) -> Steps:
        """Return these steps and others together."""
        return Steps(self.work + other.work, self.seconds + other.seconds)


def fastest_threads(most: int) -> Generator[int, Steps, None]:
    """Yield the number of threads for each step; it is sent how fast that step was.

    Threads of one step wait for each other. Alone on a machine two are twice as fast as one; beside
    other work they may be a third as fast, since one of them is always kept waiting. So half and
    twice the present number are tried now and then, on steps that are learned all the same, and the
    fastest is kept until the next trial.

    Args:
        most: the largest number.
    """
    threads, pause = most, SHORTEST_PAUSE
    while True:
        counts = {max(1, threads // 2), threads, min(most, threads * 2)}
        trial = dict.fromkeys(sorted(counts), Steps())
        for _ in range(ROUNDS):
            for count in trial:
                trial[count] = trial[count].and_then((yield count))
            # One that is far behind is not tried further.
            best = max(trial, key=lambda count: trial[count].rate)
            trial = {count: s for count, s in trial.items() if s.rate > trial[best].rate / 2}
        pause = min(2 * pause, LONGEST_PAUSE) if best == threads else SHORTEST_PAUSE
        threads = best
        until = pause
        while until > 0:
            until -= (yield threads).seconds


class ThreadTuner:
    """Gives PyTorch the number of threads that learns fastest at the moment."""

    def __init__(self) -> None:
        self._counts = fastest_threads(available_cpus())
        torch.set_num_threads(next(self._counts))

    @contextmanager
    def step(self, rows: int, time_steps: int) -> Iterator[None]:
        """Time the optimizer step that is made in this context, of a batch [rows, time steps]."""
        start = time.monotonic()
        yield
        work = time_steps * (rows + STEP_OVERHEAD)
        torch.set_num_threads(self._counts.send(Steps(work, time.monotonic() - start)))


def is_tunable(device: torch.device) -> bool:
    """Tell whether the number of threads matters, and the user has not set it."""
    return (
        device.type == "cpu"
        and available_cpus() > 1
        and not {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "WORLD_SIZE"} & os.environ.keys()
    )
