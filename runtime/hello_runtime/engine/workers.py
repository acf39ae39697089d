"""Threads that run a function on many items."""

from __future__ import annotations

from _thread import get_ident, start_new_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from hello_runtime.engine.lifecycle import LIFECYCLE
from hello_runtime.errors import ForkError

if TYPE_CHECKING:
    from queue import SimpleQueue
    from types import TracebackType

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome: TypeAlias = "tuple[Result | None, BaseException | None]"


class Workers:
    """A pool of threads that start when there is more than one item, and end with the context.

    Why not `concurrent.futures`: Ctrl-C can come between any two steps of Python, so also right
    after `threading` took a lock. Nobody then releases it, and every thread waits for ever. These
    threads communicate by `SimpleQueue` only, each call of which is one step
    (https://docs.python.org/3/library/signal.html#handlers-and-exceptions). A set holds the threads
    that are running; the message that one has ended only wakes `stop`.

    A context may be left open, for instance in a generator that nobody closes. `LIFECYCLE` then
    stops the threads when the interpreter exits.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._running: set[int] = set()
        self._tasks: SimpleQueue[Callable[[], None] | None] | None = None
        self._ended: SimpleQueue[None]
        self._lost = False
        self.stopping = False
        """Whether the context ends, so that running functions may return early."""

    def start(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Callable[[], Result]]:
        """Start a function on each item.

        Returns:
            For each item a function that waits for its result, and may be called once.

        Raises:
            ForkError: this process is a forked child, and its parent has the threads.
            RuntimeError: the interpreter exits, and has stopped them.
        """
        self.check()
        if len(items) > 1:
            LIFECYCLE.workers.add(self)  # first: either `exit` stops them, or `exiting` is seen
        if len(items) == 1 or LIFECYCLE.exiting is not None:
            return [partial(returned, function(item)) for item in items]
        # Imported here, because a single line needs no threads and should not wait for this.
        from queue import SimpleQueue

        if self._tasks is None:
            self._ended = SimpleQueue()
            self._tasks = SimpleQueue()
        waits: list[Callable[[], Result]] = []
        for item in items:
            outcome: SimpleQueue[Outcome[Result]] = SimpleQueue()
            self._tasks.put(partial(run_task, function, item, outcome.put))
            if self._started < self._count:
                start_new_thread(self._serve, (self._tasks,))
                self._started += 1
            waits.append(partial(self._wait, outcome))
        return waits

    def check(self) -> None:
        """Raise an error if the threads were stopped or lost.

        Raises:
            ForkError: this process is a forked child, and its parent has the threads.
            RuntimeError: the interpreter exits, and has stopped them.
            SystemExit: another thread ends the interpreter; this one ends without a message.
        """
        if self._lost:
            raise ForkError(
                "this process was forked while it decoded batches, and the threads that do so are "
                "in its parent; call decode_batches here"
            )
        if self.stopping and LIFECYCLE.exiting not in (None, get_ident()):
            raise SystemExit
        if self.stopping:
            raise RuntimeError("decoding was stopped, because the interpreter exits")

    def stop(self) -> None:
        """Drop the items that no thread has begun, and wait for the others; idempotent."""
        self.stopping = True
        tasks = self._tasks
        if tasks is None:
            return
        from queue import Empty

        tasks.put(None)
        while self._running:
            with suppress(Empty):
                self._ended.get(timeout=0.1)
        self._tasks = None
        LIFECYCLE.workers.discard(self)

    def lose(self) -> None:
        """Forget the threads; a forked child has none of its parent's."""
        self._lost = self.stopping = True
        self._tasks = None

    def _serve(self, tasks: SimpleQueue[Callable[[], None] | None]) -> None:
        """Run tasks until the pool stops."""
        thread = get_ident()
        self._running.add(thread)
        while (task := tasks.get()) and not self.stopping:
            task()
            del task  # frees its item and result while this thread waits for the next
        tasks.put(None)  # for the next thread
        self._running.discard(thread)
        self._ended.put(None)

    def _wait(self, outcome: SimpleQueue[Outcome[Result]]) -> Result:
        """Return the result of a task when it is there, or raise its error."""
        if outcome.empty():
            self.check()
        result, error = outcome.get()
        if error:
            self.check()  # the error may be a consequence of the stop
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
        """Stop the threads."""
        self.stop()


def returned(result: Result) -> Result:
    """Return a result that is there already."""
    return result


def run_task(
    function: Callable[[Item], Result],
    item: Item,
    report: Callable[[Outcome[Result]], None],
) -> None:
    """Run a function on an item, and report its result or its error."""
    try:
        report((function(item), None))
    except BaseException as error:  # of any kind: `Workers._wait` raises it again
        report((None, error))
