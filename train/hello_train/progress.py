"""Shows a training while it runs, on stderr: a bar on a terminal, a few lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click

from hello_train.fit import Progress, Watcher
from hello_train.model import Network

STEPS = 1000
"""Parts that the bar counts."""
BAR_WIDTH = 16
OTHER_WIDTH = BAR_WIDTH + 24
"""Columns of a terminal that the bar, the percentage and the time left take."""
REFRESH_SECONDS = 0.1
LOG_LINES = 10
"""Lines that a whole training writes to a log."""


class ProgressDisplay(Watcher):
    """Prints epoch, loss, and what the network says now to the example, or how well it does."""

    def __init__(self, example: str | None = None) -> None:
        self._example = example
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._shown_at = 0.0
        self._shown_done = 0.0

    def begin(self, learned: int, held_out: int, device: str) -> None:
        """Say what is learned."""
        click.echo(f"{learned} lines to learn, {held_out} held out, on {device}", err=True)

    def step(self, progress: Progress, network: Network) -> None:
        """Show the progress, if it is time to."""
        if not self._is_due(progress.done):
            return
        if self._example is None:
            status = self._well_done(progress)
        else:
            network.eval()
            said = network.rewrite(self._example)
            status = f"epoch {progress.epoch}  loss {progress.loss:.4f}  {said!r}"
        if self._terminal:
            self._draw(progress.done, status)
        else:
            click.echo(status, err=True)
        self._shown_at, self._shown_done = time.monotonic(), progress.done

    def _well_done(self, progress: Progress) -> str:
        """Return the loss, how much of the held-out text was right at last, and the speed."""
        right = "" if progress.accuracy is None else f"{progress.accuracy:.2%} right  "
        speed = progress.characters / progress.seconds / 1000
        return f"loss {progress.loss:.4f}  {right}{speed:.1f}k chars/s"

    def restart(self, lost_seed: int, next_seed: int) -> None:
        """Say that a start was lost."""
        self._bar, self._shown_done = None, 0.0
        click.echo(
            f"seed {lost_seed} did not learn; starting again from seed {next_seed}", err=True
        )

    def _is_due(self, done: float) -> bool:
        if done == 1.0:
            return True
        if self._terminal:
            return time.monotonic() - self._shown_at >= REFRESH_SECONDS
        return int(done * LOG_LINES) > int(self._shown_done * LOG_LINES)

    def _draw(self, done: float, status: str) -> None:
        if self._bar is None:
            self._bar = click.progressbar(
                length=STEPS, file=sys.stderr, width=BAR_WIDTH, item_show_func=lambda item: item
            )
        columns = max(0, shutil.get_terminal_size().columns - OTHER_WIDTH)
        self._bar.update(round(done * STEPS) - self._bar.pos, status[:columns])
        if done == 1.0:
            self._bar.render_finish()
