"""The number of PyTorch's threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from hello_runtime.resources import available_cpus

from hello_train.words import count

if TYPE_CHECKING:
    from hello_train.fit.options import TrainOptions
    from hello_train.fit.parallel import Team

ROUNDS = 3
"""Steps of a trial with each number of threads."""
STEP_OVERHEAD = 32
"""Fixed cost of a time step, in rows of a batch."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 40.0
"""Seconds between two trials; they double after a trial that changes nothing."""
VARIABLES = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""Environment variables from which PyTorch takes its number of threads, the first one first."""


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


def trial(counts: Iterable[int]) -> Generator[int, Steps, dict[int, Steps]]:
    """Yield the number of threads for each step of a trial, and return the steps of each number.

    One with which the steps are less than half as fast as with the best is tried once.
    """
    found = dict.fromkeys(sorted(counts), Steps())
    left = list(found)
    for _ in range(ROUNDS):
        for threads in left:
            found[threads] = found[threads].and_then((yield threads))
        best = max(steps.rate for steps in found.values())
        left = [threads for threads in left if found[threads].rate > best / 2]
    return found


def fastest_first(found: Mapping[int, Steps]) -> list[int]:
    """Return the numbers of threads of a trial, the fastest first."""
    return sorted(found, key=lambda threads: found[threads].rate, reverse=True)


def outcome(found: Mapping[int, Steps]) -> str:
    """Return in words which number of threads a trial chose, and why.

    >>> outcome({1: Steps(10, 1.0), 2: Steps(10, 0.5)})
    '2 threads, 2.0 times as fast as 1'
    """
    best, second, *_ = fastest_first(found)
    gain = found[best].rate / max(found[second].rate, 1e-9)
    return f"{count(best, 'thread')}, {gain:.1f} times as fast as {second}"


def fastest_threads(
    most: int, report: Callable[[dict[int, Steps]], object] = outcome
) -> Generator[int, Steps, None]:
    """Yield the number of threads for each step; the caller sends work and time of that step.

    Two threads may be twice as fast as one on an idle machine, and a third as fast on a busy one,
    where one of them always waits. So a trial measures half and twice the present number from
    time to time, on ordinary steps, and the fastest is used until the next trial.

    Args:
        most: the largest number of threads, at least 2.
        report: called with each trial's steps.
    """
    threads, pause = most, SHORTEST_PAUSE
    while True:
        found = yield from trial({max(1, threads // 2), threads, min(most, threads * 2)})
        report(found)
        best = fastest_first(found)[0]
        pause = min(2 * pause, LONGEST_PAUSE) if best == threads else SHORTEST_PAUSE
        threads = best
        until = pause
        while until > 0:
            until -= (yield threads).seconds


class ThreadTuner:
    """Sets the number of PyTorch's threads that is fastest at the moment."""

    def __init__(self) -> None:
        self.outcome = ""
        """What the last trial chose, in words; empty before the end of the first."""
        self._counts = fastest_threads(available_cpus(), self._keep)
        torch.set_num_threads(next(self._counts))

    @contextmanager
    def step(self, rows: int, time_steps: int) -> Iterator[None]:
        """Measure the optimizer step in this context, on a batch [rows, time steps]."""
        start = time.monotonic()
        yield
        work = time_steps * (rows + STEP_OVERHEAD)
        torch.set_num_threads(self._counts.send(Steps(work, time.monotonic() - start)))

    def _keep(self, found: Mapping[int, Steps]) -> None:
        self.outcome = outcome(found)


def is_tunable(team: Team, options: TrainOptions) -> bool:
    """Tell whether a training may choose its number of threads.

    It may change the last bits, so a training by epochs keeps to its own, and one with a variable
    of the user's to that. Several processes share the processors already.
    """
    return (
        team.device.type == "cpu"
        and team.size == 1
        and options.minutes is not None
        and available_cpus() > 1
        and not set_by()
    )


def set_by() -> str:
    """Return the environment variable that sets the number of threads; empty if none does.

    OpenMP's libraries ignore a value that is no positive number, and take every processor.
    """
    return next((name for name in VARIABLES if sets_threads(os.environ.get(name, ""))), "")


def sets_threads(value: str) -> bool:
    """Tell whether a variable has numbers of threads: one, or OpenMP's for each nested level.

    >>> [sets_threads(value) for value in ("4", "4,2", "0", "", "all")]
    [True, True, False, False, False]
    """
    numbers = [number.strip() for number in value.split(",")]
    return all(number.isdecimal() and int(number) > 0 for number in numbers)


def describe_threads(team: Team, options: TrainOptions) -> str:
    """Return in words on how many threads a training runs, and why; empty on a GPU."""
    if team.device.type != "cpu":
        return ""
    if is_tunable(team, options):
        return f", 1 to {available_cpus()} threads as measured"
    by = f" by {name}" if (name := set_by()) else ""
    return f", {count(torch.get_num_threads(), 'thread')}{by}"
