"""How many CPUs this process may really use, and the threads that use them."""

from __future__ import annotations

import math
import os
from _thread import get_ident, start_new_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from hello_runtime.engine.lifecycle import LIFECYCLE
from hello_runtime.errors import ForkError

if TYPE_CHECKING:
    from queue import SimpleQueue
    from types import TracebackType

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome: TypeAlias = "tuple[Result | None, BaseException | None]"

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
    """Threads that start when there is more than one thing to do, and end with the context.

    Ctrl-C comes between any two steps of Python: in `threading` and `concurrent.futures` also just
    behind the taking of a lock that then nobody gives back, and for which each thread waits for
    ever. So these meet in queues only, of which each call is one step
    (https://docs.python.org/3/library/signal.html#handlers-and-exceptions). Whether a thread is at
    work is told by a set, and the message that one has ended only wakes who waits.

    A context that is left open, as that of a generator that nobody closes, ends with the
    interpreter: `LIFECYCLE` stops it before Python ends its threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._begun = 0
        self._serving: set[int] = set()
        self._tasks: SimpleQueue[Callable[[], None] | None] | None = None
        self._ended: SimpleQueue[None]
        self._lost = False
        self.leaving = False
        """Whether the context ends, so that what is still at work may stop."""

    def start(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Callable[[], Result]]:
        """Start a function on each item; return for each what waits for its result, once.

        Raises:
            ForkError: this is a forked child of the process that has the threads.
            RuntimeError: the interpreter exits, and has stopped them.
        """
        self.check()
        if len(items) > 1:
            LIFECYCLE.workers.add(self)  # first, so that they are stopped, or `exiting` is seen
        if len(items) == 1 or LIFECYCLE.exiting is not None:
            return [partial(given, function(item)) for item in items]
        # Imported here, because a single line needs no threads and should not wait for this.
        from queue import SimpleQueue

        if self._tasks is None:
            self._ended = SimpleQueue()
            self._tasks = SimpleQueue()
        waits: list[Callable[[], Result]] = []
        for item in items:
            outcome: SimpleQueue[Outcome[Result]] = SimpleQueue()
            self._tasks.put(partial(work, function, item, outcome.put))
            if self._begun < self._count:
                start_new_thread(self._serve, (self._tasks,))
                self._begun += 1
            waits.append(partial(self._wait, outcome))
        return waits

    def check(self) -> None:
        """Raise the error of whoever goes on with what was stopped; see `start`.

        Raises:
            SystemExit: another thread ends the interpreter, and so this one ends without a word.
        """
        if self._lost:
            raise ForkError(
                "this process was forked while it decoded batches, and the threads that do so are "
                "in its parent; call decode_batches here"
            )
        if self.leaving and LIFECYCLE.exiting not in (None, get_ident()):
            raise SystemExit
        if self.leaving:
            raise RuntimeError("decoding was stopped, because the interpreter exits")

    def stop(self) -> None:
        """Wait for what is at work, and drop what has not begun; a second time do nothing."""
        self.leaving = True
        tasks = self._tasks
        if tasks is None:
            return
        from queue import Empty

        tasks.put(None)
        while self._serving:
            with suppress(Empty):
                self._ended.get(timeout=0.1)
        self._tasks = None
        LIFECYCLE.workers.discard(self)

    def lose(self) -> None:
        """Forget the threads, which a forked child does not have."""
        self._lost = self.leaving = True
        self._tasks = None

    def _serve(self, tasks: SimpleQueue[Callable[[], None] | None]) -> None:
        thread = get_ident()
        self._serving.add(thread)
        while (task := tasks.get()) and not self.leaving:
            task()
            del task  # and with it what it held, which nobody needs while this one waits
        tasks.put(None)  # to the next
        self._serving.discard(thread)
        self._ended.put(None)

    def _wait(self, outcome: SimpleQueue[Outcome[Result]]) -> Result:
        """Return the result when it is there, or raise the error."""
        if outcome.empty():
            self.check()
        result, error = outcome.get()
        if error:
            self.check()  # whether it is only that of a stop
            raise error
        return cast("Result", result)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


def given(result: Result) -> Result:
    """Return what is there already."""
    return result


def work(
    function: Callable[[Item], Result],
    item: Item,
    report: Callable[[Outcome[Result]], None],
) -> None:
    """Report what comes of a function: its result, or its error."""
    try:
        report((function(item), None))
    except BaseException as error:  # whatever it is, it is raised where it is waited for
        report((None, error))
