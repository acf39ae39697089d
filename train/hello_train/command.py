"""What the commands of the torch side share: how an error reaches the person who caused it."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any, ClassVar

import click

from hello_train.errors import TrainError


class OneLineErrors(click.Command):
    """A command that turns errors into one line on stderr and exit code 1."""

    errors: ClassVar[tuple[type[Exception], ...]] = (TrainError,)
    """The errors that are raised on purpose."""
    extra = "train"
    """The extra of the distribution that brings the packages in `needs`."""
    needs: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "matplotlib")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # what a terminal cannot show is no reason to end
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except self.errors as error:
            raise click.ClickException(str(error).replace("\n", " ")) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            name = error.filename or "the standard output"
            raise click.ClickException(f"{name}: {error.strerror}") from error
        except ModuleNotFoundError as error:
            if error.name not in self.needs:
                raise
            raise click.ClickException(
                f"{ctx.info_name} needs {error.name}, which is not installed; "
                f"run: pip install 'hello-rnn[{self.extra}]'"
            ) from error
