"""Keeps an exit or a fork of the process from harming the threads that are inside onnxruntime.

At exit, Python ends a thread as soon as it returns from onnxruntime to Python. That happens inside
C++ code and aborts the process, and whoever waits for the thread waits for ever. A forked child has
none of its parent's other threads, but the locks of onnxruntime that they held stay locked.
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
    from hello_runtime.engine.workers import Workers

ADVICE = "or start processes by multiprocessing's 'spawn' or 'forkserver'"


class Lifecycle:
    """The threads inside onnxruntime. No lock: each change of a set is one atomic step in C."""

    def __init__(self) -> None:
        self.calling: set[int] = set()
        """Threads that run a model."""
        self.opening: set[int] = set()
        """Threads that open a model."""
        self.workers: set[Workers] = set()
        """Pools that have threads."""
        self.exiting: int | None = None
        """The thread that ends the interpreter."""
        self.generation = 0
        """Goes up with each fork that interrupted a call: models opened before it must not run."""
        self.openable = True
        """Whether no fork has interrupted the opening of a model."""

    def enter(self, generation: int) -> int:
        """Register the calling thread in `calling`, and return it; the caller must discard it.

        Args:
            generation: the generation in which the model was opened.

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
        """Register the calling thread as one that opens a model, for the context.

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
        """Return the other threads inside onnxruntime."""
        return (self.calling | self.opening) - {get_ident()}

    def exit(self) -> None:
        """Stop all pools, and wait until no other thread is inside; none can enter again."""
        self.exiting = get_ident()
        for workers in tuple(self.workers):
            workers.stop()
        while self.others():
            time.sleep(0.001)

    def forked(self) -> None:
        """Record, in a forked child, what its parent's threads may have left locked."""
        self.generation += bool(self.others())
        self.openable = self.openable and self.opening <= {get_ident()}
        self.calling.clear()
        self.opening.clear()
        while self.workers:
            self.workers.pop().lose()


LIFECYCLE = Lifecycle()
atexit.register(LIFECYCLE.exit)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=LIFECYCLE.forked)
