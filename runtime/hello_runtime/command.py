"""What the commands of all three packages share: one line for each error, and help in sections."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from hello_runtime.errors import HelloRuntimeError, first_line, printable, reason

MEMORY = ("allocate memory", "not enough memory", "failed to map segment")
"""How the system and PyTorch, which have no class for it, say that memory is lacking."""
WIDTH = 30
"""Of the left column of the help, in all sections."""
THREADS = "can't start new thread"
"""How Python says that it may start no more threads."""


class Command(click.Command):
    """A command that tells an error in one line on stderr, with exit code 1.

    The errors are those that are raised on purpose, and what a system may refuse to any program:
    files, memory, threads, packages. Others are mistakes of ours and keep their traceback.
    """

    def __init__(
        self,
        *args: Any,
        errors: tuple[type[Exception], ...] = (HelloRuntimeError,),
        extra: str | None = None,
        sections: Mapping[str, Sequence[str]],
        **settings: Any,
    ) -> None:
        """Make a command as click does.

        Args:
            args: click's.
            errors: those that are raised on purpose.
            extra: the extra of the distribution that brings the packages that it imports.
            sections: titles of the help, and under each the options, by their parameters' names, in
                the order in which they are shown; what is in none comes last.
            settings: click's.
        """
        super().__init__(*args, **settings)
        self.context_settings = {"help_option_names": ["-h", "--help"]}
        self._errors = errors
        self._distribution = f"'hello-rnn[{extra}]'" if extra else "hello-rnn"
        self._sections = sections

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Read the command line, and answer what only asks for help."""
        with self._one_line_errors():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with self._one_line_errors():
            result = super().invoke(ctx)
            sys.stdout.flush()  # what is not written is an error too
            return result

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the help in sections."""
        rows = {
            option.name: (f"{record[0]:<{WIDTH}}", record[1])
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
            words = self._words(error)
            if words is None:
                raise
            raise click.ClickException(printable(words.replace("\n", " "))) from error

    def _words(self, error: Exception) -> str | None:
        """Return what to tell of an error; None where only a traceback can tell it."""
        if isinstance(error, self._errors):
            return str(error)
        if isinstance(error, BrokenPipeError):
            return None  # click ends the command without a word
        text = str(error)
        if isinstance(error, MemoryError) or any(said in text for said in MEMORY):
            return (
                f"there is not enough memory ({first_line(error)}); end other programs, or give "
                f"{self.name} less at once"
            )
        if isinstance(error, OSError):
            return words_of(error)
        if isinstance(error, ImportError):
            return self._words_of_import(error)
        if isinstance(error, RuntimeError) and THREADS in text:
            return f"{THREADS}; the system has a limit for a user's threads, which ulimit -u shows"
        return None

    def _words_of_import(self, error: ImportError) -> str | None:
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


def words_of(error: OSError) -> str:
    """Return what an error of the system concerns, where that is known, and what is wrong."""
    name = error.filename
    if name is None:
        return reason(error)
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {reason(error)}"
