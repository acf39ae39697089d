"""What is in the engine when the process exits or forks, so that it does no harm.

At exit Python ends a thread as soon as it comes back from the engine, inside C++ code, which aborts
the process; and what waits for such a thread waits for ever. A forked child has none of the other
threads, but the engine's locks are as those threads left them.
"""

from __future__ import annotations

import atexit
import os
import time
from _thread import get_ident
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hello_runtime.errors import ForkError

if TYPE_CHECKING:
    from hello_runtime.engine.threads import Workers

ADVICE = "or start processes by multiprocessing's 'spawn' or 'forkserver'"


class Lifecycle:
    """The threads in the engine. Each step is a single one of C, so that none needs a lock."""

    def __init__(self) -> None:
        self.calling: set[int] = set()
        """Threads that run a model."""
        self.opening: set[int] = set()
        """Threads that open one."""
        self.workers: set[Workers] = set()
        """Those that have threads."""
        self.exiting: int | None = None
        """The thread that ends the interpreter."""
        self.generation = 0
        """Changes with a fork that interrupted a call: models opened before must not be run."""
        self.openable = True
        """Whether no fork interrupted the opening of a model."""

    def enter(self, generation: int) -> int:
        """Let the calling thread run a model; return the thread, which `calling` must discard.

        Args:
            generation: as it was when the model was opened.

        Raises:
            ForkError: a fork interrupted a call, so that this one could wait for ever.
            SystemExit: another thread ends the interpreter.
        """
        thread = get_ident()
        self.calling.add(thread)
        if generation == self.generation and self.exiting in (None, thread):
            return thread
        self.calling.discard(thread)
        if generation == self.generation:
            raise SystemExit
        raise ForkError(
            f"this process was forked while another thread decoded, and the model may be locked "
            f"for ever; open another Decoder here, {ADVICE}"
        )

    @contextmanager
    def open_model(self) -> Iterator[None]:
        """Let the calling thread open a model.

        Raises:
            ForkError: a fork interrupted an opening, so that this one could wait for ever.
        """
        if not self.openable:
            raise ForkError(
                f"this process was forked while another thread opened a model, and onnxruntime may "
                f"be locked for ever; fork at another time, {ADVICE}"
            )
        thread = get_ident()
        self.opening.add(thread)
        try:
            yield
        finally:
            self.opening.discard(thread)

    def others(self) -> set[int]:
        """Return the other threads that are in the engine."""
        return (self.calling | self.opening) - {get_ident()}

    def exit(self) -> None:
        """Stop all workers, and wait until no other thread is in the engine; none enters again."""
        self.exiting = get_ident()
        for workers in tuple(self.workers):
            workers.stop()
        while self.others():
            time.sleep(0.001)

    def forked(self) -> None:
        """Note, in a forked child, what the threads that it lacks may have left locked."""
        self.generation += bool(self.others())
        self.openable = self.openable and self.opening <= {get_ident()}
        self.calling.clear()
        self.opening.clear()
        while self.workers:
            self.workers.pop().lose()


LIFECYCLE = Lifecycle()
atexit.register(LIFECYCLE.exit)
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=LIFECYCLE.forked)
