"""How many CPUs this process may really use, and the threads that use them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from types import TracebackType

Item = TypeVar("Item")
Result = TypeVar("Result")

CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Return the CPUs of the affinity mask, or fewer where a container's quota allows less.

    Sources: cgroup v2's `cpu.max`, and v1's `cpu.cfs_quota_us` and `cpu.cfs_period_us`
    (https://docs.kernel.org/admin-guide/cgroup-v2.html).
    """
    quota = cpu_quota(cgroup)
    cpus = affine_cpus()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def affine_cpus() -> int:
    """Return the CPUs that the process is allowed to run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroup: Path) -> float | None:
    """Return how many CPUs' worth of time a control group grants, or None if it sets no limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            limit, period = " ".join((cgroup / name).read_text() for name in files).split()
        except (OSError, ValueError):
            continue
        if limit in ("max", "-1"):
            return None
        return int(limit) / int(period)
    return None


class Workers:
    """Threads that start when there is more than one thing to do, and end with the context."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ThreadPoolExecutor | None = None
        self.leaving = False
        """Whether the context ends, so that what is still at work may stop."""

    def start(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Callable[[], Result]]:
        """Start a function on each item; return for each what waits for its result."""
        if len(items) == 1:
            result = function(items[0])
            return [lambda: result]
        if self._pool is None:
            # Imported here, because a single line needs no threads and should not wait for this.
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._count)
        return [self._pool.submit(function, item).result for item in items]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what is at work, and drop what has not begun."""
        self.leaving = True
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
