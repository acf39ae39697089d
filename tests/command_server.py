"""Runs a command many times, each time in a fork of one process that has imported PyTorch once.

The import takes seconds, and most of what the tests run takes less. Every run is still a process:
it has its own folder, arguments, environment, streams, signals and exit. What needs a fresh Python,
such as a variable that is read at its start, is run without this.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NoReturn

COMMANDS = {
    "hello-train": ("hello_train", "start", "import_training"),
    "hello-export": ("hello_export", "cli", "import_export"),
    "hello-infer": ("hello_runtime", "decoder", None),
}
"""Of each command its package, and the module and function of it that import what it needs."""


class CommandServer:
    """A process that runs one of the commands in forks of itself, one at a time."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._pipes, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, command, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
            )

    def start(
        self,
        arguments: Sequence[object],
        folder: Path,
        streams: Sequence[int],
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start the command in a folder, and return its process id; `wait` must follow.

        Args:
            arguments: those of the command line.
            folder: the current folder of the run.
            streams: descriptors of its standard input, output and error, which are closed here.
            environment: variables to add to those of the tests.
        """
        assert self._process.stdin
        socket.send_fds(self._pipes, [b"s"], streams)
        for stream in streams:
            os.close(stream)
        variables = {**os.environ, **(environment or {})}
        request = [[*map(str, arguments)], str(folder), variables]
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """Return the exit code of the run that was started; a negative one is a signal."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        *,
        output: str | None = None,
        errors: str | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command in a folder; `output` and `errors` name devices to write to."""
        reading, writing = os.pipe()
        feeding = Thread(target=feed, args=(writing, stdin), daemon=True)
        feeding.start()
        with TemporaryDirectory() as temporary:
            files = [Path(output or f"{temporary}/output"), Path(errors or f"{temporary}/errors")]
            streams = [reading, *(os.open(file, os.O_WRONLY | os.O_CREAT) for file in files)]
            self.start(arguments, folder, streams, environment)
            code = self.wait()
            feeding.join()
            said = [file.read_bytes() if file.is_file() else b"" for file in files]
        return subprocess.CompletedProcess([self._command, *arguments], code, *said)

    def close(self) -> None:
        """End the server."""
        self._process.communicate()
        self._pipes.close()


def feed(pipe: int, content: bytes) -> None:
    """Write to a pipe what its reader takes of the content."""
    with suppress(BrokenPipeError), open(pipe, "wb") as file:
        file.write(content)


def serve(command: str, pipes: socket.socket) -> None:
    """Import what the command needs, and run it in a fork for each line of the standard input."""
    package, module, function = COMMANDS[command]
    prepared = import_module(f"{package}.{module}")
    if function:
        getattr(prepared, function)()
    main = import_module(f"{package}.__main__").main
    if command == "hello-export":
        import_module("helpers")
    sys.path[0] = str(Path(sys.executable).parent)  # as a console script has it
    for line in sys.stdin:
        _, streams, *_ = socket.recv_fds(pipes, 1, 3)
        if (child := os.fork()) == 0:
            become(command, streams, *json.loads(line))
            run(main)
        for stream in streams:
            os.close(stream)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command, which ends the process; so does an error that it does not expect."""
    try:
        main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(70)


def become(
    command: str,
    streams: Sequence[int],
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
) -> None:
    """Take over the arguments, folder, environment, signals and standard streams of a run."""
    sys.argv = [str(Path(sys.executable).with_name(command)), *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if command == "hello-export" and "SHORT_PROOF" in environment:
        import_module("helpers").shorten_proof(setattr)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, closefd=False)), sys.stdin.encoding, sys.stdin.errors
    )


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
