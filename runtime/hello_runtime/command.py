"""The command class of all three packages: errors in one line, and help in sections."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from hello_runtime import process
from hello_runtime.errors import HelloRuntimeError, first_line, lacks_memory, printable, reason

NO_THREAD = "can't start new thread"
"""Python's message when the system refuses a thread."""
OPTION_WIDTH = 30
"""Characters of the left column of the help, the same in all sections."""


class Command(click.Command):
    """A command that shows an error as one line on stderr and exits with code 1.

    Shown so are the errors that our packages raise on purpose, and what a system may refuse to any
    program: files, memory, threads, imports. Any other error is a bug and keeps its traceback.
    """

    def __init__(
        self,
        *args: Any,
        errors: tuple[type[Exception], ...] = (HelloRuntimeError,),
        extra: str | None = None,
        sections: Mapping[str, Sequence[str]],
        **settings: Any,
    ) -> None:
        """Make a command.

        Args:
            args: arguments of `click.Command`.
            errors: the classes of errors that are raised on purpose.
            extra: the extra of hello-rnn that installs the packages the command imports.
            sections: the sections of the help: for each title the parameter names of its options,
                in order. Options in no section come last.
            settings: keyword arguments of `click.Command`.
        """
        super().__init__(*args, **settings)
        self.context_settings = {"help_option_names": ["-h", "--help"]}
        self._errors = errors
        self._distribution = f"'hello-rnn[{extra}]'" if extra else "hello-rnn"
        self._sections = sections

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the command line; `--help` and `--version` end here."""
        with self._one_line_errors():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with self._one_line_errors():
            result = super().invoke(ctx)
            sys.stdout.flush()  # an error of this write counts as well
            return result

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the help in sections."""
        rows = {
            option.name: (f"{record[0]:<{OPTION_WIDTH}}", record[1])
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and (record := option.get_help_record(ctx))
        }
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([rows.pop(name) for name in names])
        with formatter.section("Other options"):
            formatter.write_dl([*rows.values()])

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, ImportError) and process.state.number:
                # Ctrl-C while a library was loaded, which made another error of it.
                raise click.Abort from error
            message = self._message(error)
            if message is None:
                raise
            raise click.ClickException(printable(message.replace("\n", " "))) from error

    def _message(self, error: Exception) -> str | None:
        """Return the message for an error; None if it is a bug."""
        if isinstance(error, self._errors):
            return str(error)
        if isinstance(error, BrokenPipeError):
            return None  # click ends the command without a message
        text = str(error)
        if lacks_memory(error):
            return (
                f"there is not enough memory ({first_line(error)}); end other programs, or give "
                f"{self.name} less at once"
            )
        if isinstance(error, OSError):
            return system_message(error)
        if isinstance(error, ImportError):
            return self._import_message(error)
        if isinstance(error, RuntimeError) and NO_THREAD in text:
            return f"{NO_THREAD}; the system limits a user's threads, and ulimit -u shows the limit"
        return None

    def _import_message(self, error: ImportError) -> str | None:
        """Return the message for a package that is missing or broken; None for one of ours."""
        package = (error.name or "").partition(".")[0]
        if package.startswith("hello_"):
            return None
        if isinstance(error, ModuleNotFoundError):
            return (
                f"{self.name} needs {package}, which is not installed; "
                f"run: pip install {self._distribution}"
            )
        return (
            f"{self.name} cannot import a package: {first_line(error)}; "
            f"run: pip install --force-reinstall {self._distribution}"
        )


def system_message(error: OSError) -> str:
    """Return the message for an error of the system, with the file's name if it is known."""
    name = error.filename
    if name is None:
        return reason(error)
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {reason(error)}"
