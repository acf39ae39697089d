"""A command as a process: its signals and standard streams, before anything large is imported.

All commands start here. Only small modules of the standard library are imported, so that Ctrl-C is
answered from the first hundredths of a second on.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from time import monotonic

TYPE_CHECKING = False  # of `typing`, whose import takes as long as all the others
if TYPE_CHECKING:
    from typing import Any, TextIO

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""Those that end a command, after it has cleaned up."""
PATIENCE = 1.0
"""Seconds after which a second signal ends a command that is still cleaning up. Within them it may
be the same one, by the terminal and again by a parent process."""


class Standing:
    """How the process stands with signals."""

    at_once = 0
    """In how many contexts they end it at once."""
    number = 0
    """By which one it is being ended."""
    since = 0.0
    """The time of it, of a monotonic clock."""


now = Standing()


def run_command(module: str, name: str) -> None:
    """Import a module and run the click command `main` in it; it ends by SystemExit.

    A command that SIGTERM or SIGHUP ends cleans up as by Ctrl-C, and has 128 + the signal's number
    as its exit code, as a shell has it.
    """
    output = sys.stdout
    try:
        with ending_at_once():
            catch_signals()
            output = open_standard_streams()
            command = import_module(module).main
        command(prog_name=name)
    except KeyboardInterrupt:  # outside of the command, which answers its own
        leave(now.number)
    except SystemExit as end:
        if end.code == 1 and now.number:
            raise SystemExit(exit_code(now.number)) from None
        raise
    finally:
        release_signals()
        drop_unwritten(output)


def catch_signals() -> None:
    """Answer the signals that would end the process, but for those that its parent has ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, stop)


def release_signals() -> None:
    """Let signals end the process as they do by default: it has nothing left to clean up."""
    for number in SIGNALS:
        if signal.getsignal(number) is stop:
            signal.signal(number, signal.SIG_DFL)


def stop(number: int, _: object) -> None:
    """End the process: at once where nothing needs cleaning, and else by KeyboardInterrupt."""
    if now.at_once or (now.number and monotonic() - now.since > PATIENCE):
        leave(number)
    if not now.number:
        now.number, now.since = number, monotonic()
        raise KeyboardInterrupt


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Give a context in which signals end the process at once.

    It is for imports: of a KeyboardInterrupt within them libraries make other errors, or nothing.
    """
    now.at_once += 1
    try:
        yield
    finally:
        now.at_once -= 1


def leave(number: int) -> None:
    """End the process as click ends one that was interrupted, without any more of Python."""
    with suppress(OSError):
        os.write(2, b"\nAborted!\n")
    os._exit(exit_code(number))


def exit_code(number: int) -> int:
    """Return the exit code of a process that a signal ended."""
    return 1 if number == signal.SIGINT else 128 + number


class Output(io.FileIO):
    """The standard output; an error of it says so."""

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
    """The standard error, which loses what cannot be written: the work is worth more."""

    def write(self, data: Any) -> int:
        """Write bytes, or do as if they were written."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_standard_streams() -> TextIO:
    """Give the process its three standard streams, whatever it was started with.

    The number of a closed one would be that of the next file that is opened, and what a library
    says on stderr would go into it. A closed output is opened to be read, so that writing to it
    fails, as it would have.

    Returns:
        The standard output, which others may put something in front of.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # it gets the lowest free number
    if os.name == "posix":  # elsewhere a terminal is no file of bytes
        # What a terminal cannot show is no reason to end.
        sys.stdout = text_of(Output(1, "w", closefd=False), sys.stdout, "replace")
        sys.stderr = text_of(Messages(2, "w", closefd=False), sys.stderr, "backslashreplace")
    return sys.stdout


def text_of(raw: io.FileIO, before: TextIO | None, errors: str) -> TextIO:
    """Return a stream of text, in the encoding of the one before; a terminal sees each line."""
    encoding = before.encoding if before else "utf-8"
    lines = raw.isatty() or isinstance(raw, Messages)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=lines)


def drop_unwritten(output: TextIO) -> None:
    """Drop what the standard output did not take.

    The command has told of it; Python would try again at the end, and tell it in its own way.
    """
    try:
        output.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def forget_current_folder() -> None:
    """Take the current folder from the places of modules, where `python -m` puts it first.

    What lies there under the name of a package that is imported would run in its place.
    """
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
