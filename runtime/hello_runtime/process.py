"""Starts each command: sets up signals and standard streams before anything large is imported.

It imports only small modules of the standard library, so that Ctrl-C works from the first
hundredths of a second on.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from time import monotonic

TYPE_CHECKING = False  # not from `typing`, whose import takes as long as all of these
if TYPE_CHECKING:
    from typing import Any, TextIO

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""Signals that end a command after it has cleaned up."""
PATIENCE = 1.0
"""Seconds after which a second signal ends a command that is still cleaning up. A sooner one
may be the same signal, sent by the terminal and once more by a parent process."""


class SignalState:
    """The signal that ends the process, and how."""

    importing = 0
    """Depth of `importing` contexts."""
    number = 0
    """The signal that came; 0 for none."""
    since = 0.0
    """When it came, in seconds of the monotonic clock."""


state = SignalState()


def run_command(module: str, name: str) -> None:
    """Import a module, run its click command `main`, and end the process.

    On SIGTERM or SIGHUP a command cleans up as on Ctrl-C. Its exit code is then 128 + the signal's
    number, as in a shell.
    """
    output = sys.stdout
    try:
        with importing():
            catch_signals()
            output = open_standard_streams()
            command = import_module(module).main
        command(prog_name=name)
    except KeyboardInterrupt:  # one that came before or after click's own handling
        leave(state.number)
    except SystemExit as end:
        code = exit_code(state.number) if end.code == 1 and state.number else end.code
        release_signals()
        drop_unwritten(output)
        end_process(code)
    finally:
        release_signals()
        drop_unwritten(output)


def catch_signals() -> None:
    """Install `stop` for the signals that would end the process.

    A signal that the parent process had ignored stays ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, stop)


def release_signals() -> None:
    """Restore the default action of these signals: there is nothing left to clean up."""
    for number in SIGNALS:
        if signal.getsignal(number) is stop:
            signal.signal(number, signal.SIG_DFL)


def stop(number: int, _: object) -> None:
    """Handle a signal: raise KeyboardInterrupt, or end the process if nothing needs cleaning."""
    if state.importing or (state.number and monotonic() - state.since > PATIENCE):
        leave(number)
    if not state.number:
        state.number, state.since = number, monotonic()
        raise KeyboardInterrupt


@contextmanager
def importing() -> Iterator[None]:
    """Have signals end the process at once in this context of imports, and collect no garbage.

    Some libraries turn a KeyboardInterrupt in an import into another error, or drop it. What is
    imported stays: looking through it for garbage, at the import and again and again later, takes
    a fifth of PyTorch's import and a tenth of a training of hello.
    """
    state.importing += 1
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
        state.importing -= 1


def leave(number: int) -> None:
    """End the process with click's message for an interrupt, and run no more Python."""
    with suppress(OSError):
        os.write(2, b"\nAborted!\n")
    os._exit(exit_code(number))


def end_process(code: Any) -> None:
    """End the process as Python does, but leave it to the system to free the memory, at once.

    Python takes 0.03 seconds for it after onnxruntime was used, and 0.5 after PyTorch.

    Raises:
        SystemExit: a profiler waits for the end of the program.
    """
    if sys.getprofile():
        raise SystemExit(code)
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


def exit_code(number: int) -> int:
    """Return the exit code for a process that a signal ended."""
    return 1 if number == signal.SIGINT else 128 + number


class Output(io.FileIO):
    """The standard output, which names itself in its errors."""

    def write(self, data: Any) -> int:
        """Write bytes.

        Raises:
            OSError: they cannot be written.
        """
        try:
            return super().write(data)
        except OSError as error:
            error.filename = "the standard output"
            raise


class Messages(io.FileIO):
    """The standard error, which drops what it cannot write: a lost message is no reason to end."""

    def write(self, data: Any) -> int:
        """Write bytes, or drop them."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_standard_streams() -> TextIO:
    """Open those of the three standard streams that are closed, and wrap the two outputs.

    The next file that is opened would get the number of a closed stream, and what a library prints
    on stderr would go into that file. A closed output is opened for reading, so that writing to it
    still fails.

    Returns:
        The standard output; a library may later replace `sys.stdout`.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # gets the lowest free number
    if os.name == "posix":  # on Windows a terminal is no file of bytes
        # A character that the encoding lacks is replaced: it is no reason to end.
        sys.stdout = text_of(Output(1, "w", closefd=False), sys.stdout, "replace")
        sys.stderr = text_of(Messages(2, "w", closefd=False), sys.stderr, "backslashreplace")
    return sys.stdout


def text_of(raw: io.FileIO, before: TextIO | None, errors: str) -> TextIO:
    """Return a text stream with the encoding of the one before, line by line on a terminal."""
    encoding = before.encoding if before else "utf-8"
    lines = raw.isatty() or isinstance(raw, Messages)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=lines)


def drop_unwritten(output: TextIO) -> None:
    """Drop what the standard output did not take.

    The command has reported the error; at its end Python would try again and print its own message.
    """
    try:
        output.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def forget_current_folder() -> None:
    """Remove the current folder from `sys.path`, where `python -m` puts it first.

    A file there with the name of an imported package would be run instead of the package.
    """
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
