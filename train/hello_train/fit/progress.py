"""The progress of a training on stderr: a bar on a terminal, a few lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from hello_train.fit.callbacks import Callback, Progress
from hello_train.network.model import Network

STEPS = 1000
"""Units of the bar."""
BAR_WIDTH = 16
OTHER_WIDTH = BAR_WIDTH + 24
"""Columns that the bar, the percentage and the time left need."""
REFRESH_SECONDS = 0.1
LOG_LINES = 10
"""Lines that a training writes to a log, after one for its first step."""


class ProgressDisplay(Callback):
    """Prints epoch and loss, with the output for an example or the accuracy and speed."""

    def __init__(
        self,
        example: str | None = None,
        every: int | None = None,
        quality: Callable[[float], str] | None = None,
    ) -> None:
        """Prepare the display.

        Args:
            example: an input whose output each line shows; None to show accuracy and speed.
            every: print a line every so many epochs; None for a bar or a log.
            quality: returns what an evaluation found, in words; None for the share that is right.
        """
        self._quality = quality or "{:.2%} right".format
        self._example = example
        self._every = every
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None
        self._forget()

    def _forget(self) -> None:
        self._shown_at = 0.0
        self._shown_part = -1

    def on_begin(self, description: str) -> None:
        """Print the description."""
        click.echo(description, err=True)

    def on_end(self) -> None:
        """End the line of the bar, and show the cursor again."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None
        self._forget()

    def on_step(self, progress: Progress, network: Network) -> None:
        """Print the progress if it is time to."""
        if not self._is_due(progress):
            return
        parts = self._parts(progress, network)
        if self._terminal and not self._every:
            self._draw(progress.done, parts)
        elif self._example is not None:
            click.echo("  ".join(parts), err=True)
        else:
            when = f"{progress.done:4.0%}  {clock(progress.seconds)}"
            click.echo("  ".join([when, *parts]), err=True)
        self._shown_at = time.monotonic()
        self._shown_part = int(progress.done * LOG_LINES)

    def _parts(self, progress: Progress, network: Network) -> list[str]:
        """Return what is shown of a step, the most important first."""
        parts = [f"epoch {progress.epoch}", f"loss {progress.loss:.4g}"]
        if self._example is not None:
            parts.append(repr(network.eval().rewrite(self._example)))
        if progress.accuracy is not None:
            parts.append(self._quality(progress.accuracy))
        if self._example is None:
            parts.append(rate(progress.characters, progress.seconds))
        if progress.threads:
            parts.append(progress.threads)
        return parts

    def on_restart(self, lost_seed: int, next_seed: int) -> None:
        """Print that a start was lost."""
        click.echo(
            f"seed {lost_seed} did not learn; starting again from seed {next_seed}", err=True
        )

    def _is_due(self, progress: Progress) -> bool:
        if self._every:
            return progress.epoch % self._every == 0
        if progress.done == 1.0:
            return True
        if self._terminal:
            return time.monotonic() - self._shown_at >= REFRESH_SECONDS
        return int(progress.done * LOG_LINES) > self._shown_part

    def _draw(self, done: float, parts: Sequence[str]) -> None:
        if self._bar is None:
            self._bar = click.progressbar(
                length=STEPS, file=sys.stderr, width=BAR_WIDTH, item_show_func=lambda item: item
            )
        columns = shutil.get_terminal_size().columns - OTHER_WIDTH
        self._bar.update(round(done * STEPS) - self._bar.pos, fitting(parts, columns))


def fitting(parts: Sequence[str], columns: int) -> str:
    """Return those of the first parts that fit into a line, whole.

    >>> fitting(["epoch 3", "loss 0.01", "96.36% right"], 20)
    'epoch 3  loss 0.01'
    """
    lines = ("  ".join(parts[:number]) for number in range(len(parts), 0, -1))
    return next((line for line in lines if len(line) <= columns), "")


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, or hours, minutes and seconds.

    >>> clock(75.4), clock(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rate(characters: int, seconds: float) -> str:
    """Return the characters learned per second; a dash while a coarse clock shows 0 seconds.

    >>> rate(31_234, 1), rate(900, 2), rate(900, 0)
    ('31.2k characters/s', '450 characters/s', '- characters/s')
    """
    if seconds <= 0:
        return "- characters/s"
    found = characters / seconds
    return f"{found / 1000:.1f}k characters/s" if found >= 1000 else f"{found:.0f} characters/s"
