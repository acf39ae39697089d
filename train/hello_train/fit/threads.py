"""The number of PyTorch's threads."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from hello_runtime.engine.cpus import available_cpus

ROUNDS = 3
"""Steps of a trial with each number of threads."""
STEP_OVERHEAD = 32
"""Fixed cost of a time step, in rows of a batch."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 40.0
"""Seconds between two trials; they double after a trial that changes nothing."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit PyTorch to one thread, for small tensors.

    More threads only wait for each other there, on a busy machine many times as long as they work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Steps(NamedTuple):
    """The work and the time of some optimizer steps."""

    work: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Work per second."""
        return self.work / max(self.seconds, 1e-9)

    def and_then(self, other: Steps) -> Steps:
        """Return the sum of these steps and others."""
        return Steps(self.work + other.work, self.seconds + other.seconds)


def fastest_threads(most: int) -> Generator[int, Steps, None]:
    """Yield the number of threads for each step; the caller sends work and time of that step.

    Two threads may be twice as fast as one on an idle machine, and a third as fast on a busy one,
    where one of them always waits. So a trial measures half and twice the present number from
    time to time, on ordinary steps, and the fastest is used until the next trial.

    Args:
        most: the largest number of threads.
    """
    threads, pause = most, SHORTEST_PAUSE
    while True:
        counts = {max(1, threads // 2), threads, min(most, threads * 2)}
        trial = dict.fromkeys(sorted(counts), Steps())
        for _ in range(ROUNDS):
            for count in trial:
                trial[count] = trial[count].and_then((yield count))
            # Drop what is less than half as fast as the best.
            best = max(trial, key=lambda count: trial[count].rate)
            trial = {count: s for count, s in trial.items() if s.rate > trial[best].rate / 2}
        pause = min(2 * pause, LONGEST_PAUSE) if best == threads else SHORTEST_PAUSE
        threads = best
        until = pause
        while until > 0:
            until -= (yield threads).seconds


class ThreadTuner:
    """Sets the number of PyTorch's threads that is fastest at the moment."""

    def __init__(self) -> None:
        self._counts = fastest_threads(available_cpus())
        torch.set_num_threads(next(self._counts))

    @contextmanager
    def step(self, rows: int, time_steps: int) -> Iterator[None]:
        """Measure the optimizer step in this context, on a batch [rows, time steps]."""
        start = time.monotonic()
        yield
        work = time_steps * (rows + STEP_OVERHEAD)
        torch.set_num_threads(self._counts.send(Steps(work, time.monotonic() - start)))


def is_tunable(device: torch.device) -> bool:
    """Return whether the number of threads matters and the user has not set it."""
    return (
        device.type == "cpu"
        and available_cpus() > 1
        and not {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "WORLD_SIZE"} & os.environ.keys()
    )
