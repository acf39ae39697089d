"""An engine in a process of its own, so that its crash is an error with a name.

Engines are native code: tract aborts its process on graphs that it does not expect, and onnxruntime
does on an empty batch.

The process is a fresh Python that imports `worker` and nothing of the program that started it.
(`multiprocessing`, and so `ProcessPoolExecutor`, runs that program's script again in each process,
unless the script has a guard `if __name__ == "__main__"`.) It imports its engine's library at once,
and may be started long before there is a file to open: `Processes` holds those that wait for it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError, wait
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from hello_runtime.errors import first_line
from hello_train.network.config import ModelConfig

from hello_export.errors import EngineFailedError, ParityError
from hello_export.proof.cases import Case
from hello_export.proof.engines import Engine, Outputs

PATIENCE = 600
"""Seconds within which an engine must answer."""

WORKER = (
    "import gc, sys; gc.disable(); sys.path[:] = sys.argv[1:]; "
    "from hello_export.proof.worker import serve; serve()"
)
"""The process's program. It sets the path first: with -c Python looks into the current folder. No
garbage is collected until the imports are done, as in a command (`hello_runtime.process`)."""

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Environment that keeps an engine's libraries to one thread: several engines run at once."""


class Isolated:
    """An engine of this class in a process of its own, with the methods of an `Engine`."""

    def __init__(self, engine: type[Engine]) -> None:
        """Start the process, which imports what the engine needs; `open` must follow.

        Raises:
            OSError: the system starts no other process.
        """
        self.kind = engine
        self._files: TemporaryDirectory[str] | None = None
        with interrupts_blocked():  # inherited by the process: Ctrl-C is for this process alone
            self._process = subprocess.Popen(
                [sys.executable, "-c", WORKER, *map(str, sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # this process reports a crash, and once
                env={**os.environ, **ONE_THREAD},
            )
        # A thread, because reading from a pipe has no time limit.
        self._pipe = ThreadPoolExecutor(1)
        self._imported = self._pipe.submit(self._exchange, pickle.dumps(engine))

    def wait(self) -> None:
        """Wait until the process has imported what the engine needs, or has failed to."""
        wait([self._imported], PATIENCE)

    def open(self, config: ModelConfig, folder: Path) -> None:
        """Have the process open the file in a folder, in the background.

        Raises:
            OSError: there is no place for temporary files.
        """
        if self.kind.writes_files:  # deleted here, because a process that is killed deletes nothing
            self._files = TemporaryDirectory(ignore_cleanup_errors=True)
        request = (config, folder, self._files and self._files.name)
        self._opened = self._pipe.submit(self._exchange, pickle.dumps(request))

    def check_declaration(self) -> None:
        """Check what the file declares, once the engine has opened it.

        Raises:
            ParityError: the declaration is not that of the network.
            EngineFailedError: the engine cannot be imported, or does not open the file.
        """
        self._answer(self._imported, "cannot be imported")
        self._answer(self._opened, "does not open its file")

    def run(self, case: Case) -> Outputs:
        """Return the outputs of a case that this engine gives.

        Raises:
            EngineFailedError: the engine fails, crashes or does not answer in time.
        """
        pending = self._pipe.submit(self._exchange, pickle.dumps(case))
        outputs: Outputs = self._answer(pending, f"fails on {case}")
        return outputs

    def kill(self) -> None:
        """End the process, even while it is working; `close` must follow."""
        self._process.kill()

    def close(self) -> None:
        """End the process, even while it is working, and delete its files."""
        self.kill()
        self._pipe.shutdown()
        self._process.communicate()  # closes the pipes and waits
        if self._files:
            self._files.cleanup()

    def _exchange(self, request: bytes) -> Any:
        """Send a request and return its answer.

        Args:
            request: a pickle, which the process loads where it reports every exception.

        Raises:
            OSError, EOFError, pickle.UnpicklingError: the process has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def _answer(self, pending: Future[Any], failure: str) -> Any:
        """Return what the process answers; `failure` is what the engine then failed to do.

        Raises:
            ParityError: that of the engine.
            EngineFailedError: the engine fails, crashes or does not answer in time.
        """
        name = self.kind.name
        try:
            answer = pending.result(PATIENCE)
        except TimeoutError:
            self._process.kill()
            raise EngineFailedError(f"{name} {failure}: no answer in {PATIENCE} seconds") from None
        except (OSError, EOFError, pickle.UnpicklingError):
            how = describe_exit(self._process.wait())
            raise EngineFailedError(f"{name} {failure}: it crashed ({how})") from None
        if isinstance(answer, ParityError):
            raise answer
        if isinstance(answer, Exception):
            raise EngineFailedError(f"{name} {failure}: {first_line(answer)}")
        return answer


Opened: TypeAlias = Engine | Isolated
"""An engine that has opened its file, in this process or in one of its own."""


class Processes:
    """Engines' processes that wait for the files of a proof; a context that ends the others.

    One is started after the other, in the background: together they would take the processor from
    what is done meanwhile.
    """

    def __init__(self, engines: Iterable[type[Engine]] = ()) -> None:
        self._ended = False
        self._started: set[Isolated] = set()  # those that nobody has taken
        self._starting = ThreadPoolExecutor(1)
        self._waiting = {engine: self._starting.submit(self._start, engine) for engine in engines}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._starting.shutdown(wait=False, cancel_futures=True)
        for process in tuple(self._started):
            process.kill()  # first, because the thread may be waiting for its imports
        self._starting.shutdown()
        for process in self._started:
            process.close()

    def take(self, engine: type[Engine]) -> Isolated:
        """Return the engine's process, which is the caller's to close; start it if it has none.

        Raises:
            OSError: the system starts no other process.
        """
        started = self._waiting.pop(engine, None)
        if started is None or started.cancel():
            return Isolated(engine)
        process = started.result()
        self._started.discard(process)
        return process

    def _start(self, engine: type[Engine]) -> Isolated:
        """Return an engine's process, once it has imported what the engine needs."""
        process = Isolated(engine)
        self._started.add(process)
        if self._ended:
            process.kill()
        process.wait()
        return process


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block SIGINT within this context, where the system has such a mask."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_exit(code: int) -> str:
    """Return a process's exit code in words; a negative one is the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # Python has no name for it
        return f"signal {-code}"
