"""An engine in a process of its own: when it crashes, that is an error with a name.

Engines are native code. tract aborts its process where a graph surprises it, and onnxruntime on an
empty batch; without a wall between them and us such an end would be ours.

The process is a fresh Python that imports this module and nothing of the program that started it.
(`multiprocessing` would run that program's script again in each process, unless it is guarded by
`if __name__ == "__main__"`.) Requests and answers are pickles on its standard input and output; it
ends with its standard input, and so with whoever started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from hello_runtime.errors import first_line
from hello_train.network.config import ModelConfig

from hello_export.errors import EngineError, ParityError
from hello_export.proof.cases import Case
from hello_export.proof.engines import Engine, Outputs

PATIENCE = 600
"""Seconds in which an engine must answer."""

WORKER = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from hello_export.proof.isolation import serve; serve()"
)
"""What the process runs. The path comes first: with -c Python looks into the current folder."""

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""The environment in which an engine's libraries start no threads: several engines run at once."""

GONE = object()
"""In the place of an answer: the process has ended."""


class Isolated:
    """An engine of this class in a process of its own, with the methods of an `Engine`."""

    def __init__(self, engine: type[Engine], config: ModelConfig, folder: Path) -> None:
        """Start the process, and let it open the file meanwhile.

        Raises:
            OSError: there can be no other process.
        """
        self.name = engine.name
        self.version = engine.installed_version() or "-"
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._requests.put(pickle.dumps((engine, config, folder)))
        with interrupts_blocked():  # which it inherits: Ctrl-C is this process's to answer
            self._process = subprocess.Popen(
                [sys.executable, "-c", WORKER, *map(str, sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a crash is reported once, by this process
                env={**os.environ, **ONE_THREAD},
            )
        self._conversation = Thread(target=self._converse, daemon=True)
        self._conversation.start()
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
            EngineError: the engine fails, crashes or does not answer.
        """
        self.check_declaration()
        self._requests.put(pickle.dumps(case))
        outputs: Outputs = self._receive(f"fails on {case}")
        return outputs

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._requests.put(None)
        self._conversation.join()

    def _converse(self) -> None:
        """Pass requests to the process and its answers back, until there is no request or process.

        It is a thread's work, for neither a write nor a read on a pipe has a time limit.
        """
        try:
            # A broken pipe, an answer that breaks off, or none: the process has ended.
            with suppress(OSError, EOFError, pickle.UnpicklingError), self._process as process:
                assert process.stdin
                assert process.stdout
                while (request := self._requests.get()) is not None:
                    pickle.dump(request, process.stdin)
                    process.stdin.flush()
                    self._answers.put(pickle.load(process.stdout))
        finally:
            self._answers.put(GONE)

    def _receive(self, failure: str) -> Any:
        try:
            answer = self._answers.get(timeout=PATIENCE)
        except Empty:
            self._process.kill()
            raise EngineError(f"{self.name} {failure}: no answer in {PATIENCE} seconds") from None
        if answer is GONE:
            self._answers.put(GONE)  # for the next one who asks
            how = describe_exit(self._process.wait())
            raise EngineError(f"{self.name} {failure}: it crashed ({how})")
        if isinstance(answer, ParityError):
            raise answer
        if isinstance(answer, Exception):
            raise EngineError(f"{self.name} {failure}: {first_line(answer)}")
        return answer


def serve() -> None:
    """Be an engine's process: open it, check its declaration, and answer each case."""
    requests: SimpleQueue[bytes] = SimpleQueue()
    answers = take_over(1, "wb")
    Thread(target=pass_on, args=(take_over(0, "rb"), requests), daemon=True).start()

    def answer(content: object) -> None:
        pickle.dump(content, answers)
        answers.flush()

    try:
        engine, config, folder = pickle.loads(requests.get())
        opened: Engine = engine(config, folder)
        opened.check_declaration()
        answer(None)
        while True:
            answer(opened.run(pickle.loads(requests.get())))
    except ParityError as error:
        answer(error)
    except Exception as error:  # whatever an engine raises: each has classes of its own
        answer(RuntimeError(first_line(error)))  # theirs may not survive the way
    os._exit(0)  # the other thread still waits for requests


def take_over(descriptor: int, mode: str) -> IO[Any]:
    """Return a standard stream, and leave nothing in its place: what an engine prints is lost."""
    stream = os.fdopen(os.dup(descriptor), mode)
    os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    return stream


def pass_on(stream: IO[bytes], requests: SimpleQueue[bytes]) -> None:
    """Pass requests on while there are any, then end the process, whatever its engine is doing.

    The stream ends when the process that asks closes it or ends itself, however it ends.
    """
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            requests.put(pickle.load(stream))
    os._exit(0)


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
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # one that Python has no name for
        return f"signal {-code}"
