"""An engine in a process of its own: when it crashes, that is an error with a name.

Engines are native code. tract aborts its process where a graph surprises it, and onnxruntime on an
empty batch; without a wall between them and us such an end would be ours.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hello_runtime.errors import first_line
from hello_train.config import ModelConfig

from hello_export.cases import Case
from hello_export.engines import Engine, Outputs
from hello_export.errors import EngineError, ParityError

PATIENCE = 600
"""Seconds in which an engine must answer."""


class Isolated:
    """An engine of this class in a process of its own, with the methods of an `Engine`."""

    def __init__(self, engine: type[Engine], config: ModelConfig, folder: Path) -> None:
        """Start the process, and let it open the file meanwhile.

        Raises:
            OSError: there can be no other process.
        """
        self.name = engine.name
        self.version = engine.installed_version() or "-"
        context = get_context("spawn")  # a fork would take PyTorch's locks along, without threads
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, engine, config, folder), daemon=True
        )
        with interrupts_blocked():  # which it inherits: Ctrl-C is this process's to answer
            self._process.start()
        theirs.close()
        self._open = False

    def check_declaration(self) -> None:
        """Check what the file says of itself, where the engine can tell.

        Raises:
            ParityError: it is not what the network is.
            EngineError: the engine does not open the file.
        """
        if not self._open:
            self._receive("does not open its file")
            self._open = True

    def run(self, case: Case) -> Outputs:
        """Return the outputs of a case that this engine can show.

        Raises:
            EngineError: the engine fails or crashes.
        """
        self.check_declaration()
        with suppress(BrokenPipeError):  # then it is dead, which the answer tells
            self._ours.send(case)
        outputs: Outputs = self._receive(f"fails on {case}")
        return outputs

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self._ours.close()

    def _receive(self, failure: str) -> Any:
        try:
            if not self._ours.poll(PATIENCE):
                raise EngineError(f"{self.name} {failure}: no answer in {PATIENCE} seconds")
            answer = self._ours.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            how = describe_exit(self._process.exitcode or 0)
            raise EngineError(f"{self.name} {failure}: it crashed ({how})") from None
        if isinstance(answer, ParityError):
            raise answer
        if isinstance(answer, Exception):
            raise EngineError(f"{self.name} {failure}: {first_line(answer)}")
        return answer


def serve(pipe: Connection, engine: type[Engine], config: ModelConfig, folder: Path) -> None:
    """Open an engine, check its declaration, and answer each case until the pipe is closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a crash is reported once, by the parent
    try:
        opened = engine(config, folder)
        opened.check_declaration()
        pipe.send(None)
        while True:
            pipe.send(opened.run(pipe.recv()))
    except EOFError:
        return
    except ParityError as error:
        pipe.send(error)
    except Exception as error:  # whatever an engine raises: each has classes of its own
        pipe.send(RuntimeError(str(error)))  # theirs may not survive the way


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Give a context in which SIGINT waits, where the system can do that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_exit(code: int) -> str:
    """Return a process's exit code in words: the signal that ended it has a negative one."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
