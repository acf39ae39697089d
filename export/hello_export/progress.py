"""Shows the progress of an export on stderr: one line on a terminal, a few lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from threading import Lock

import click

BAR_WIDTH = 16
REFRESH_SECONDS = 0.1
LOG_LINES = 4
"""Lines that a comparison writes to a log, its first line included."""
LEAST_CHARACTERS = 100_000
"""Characters that must be compared before the time left is estimated: two grids of cases. Within a
grid it is not known, because the time of a case is not in proportion to its characters. So an
export, which compares one grid, shows none."""


class Progress:
    """Callbacks of an export; these show nothing."""

    def phase(self, what: str) -> None:
        """Begin a phase of the work, named for people."""

    def begin(self, engines: Sequence[str], characters: int) -> None:
        """Begin to compare engines, each on this many characters."""

    def advance(self, engine: str, characters: int) -> None:
        """Count characters that an engine has finished; called by several threads."""


SILENT = Progress()


class Display(Progress):
    """Callbacks that write to stderr; a context that clears the terminal's line at its end."""

    def __init__(self, first: str) -> None:
        """Show what is done before the first phase, on a terminal only."""
        self._terminal = sys.stderr.isatty()
        self._lock = Lock()
        self._done: dict[str, int] = {}
        self._characters = 0
        self._began = self._shown_at = 0.0
        self._shown_share = 0.0
        if self._terminal:
            self._draw(first)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._draw("")
            click.echo("\r", err=True, nl=False)

    def phase(self, what: str) -> None:
        """Show the phase."""
        if self._terminal:
            self._draw(what)
        else:
            click.echo(what, err=True)

    def begin(self, engines: Sequence[str], characters: int) -> None:
        """Show which engines are compared, and on how many characters."""
        self._done, self._characters = dict.fromkeys(engines, 0), characters
        self._shown_at, self._shown_share = time.monotonic(), 0.0
        self.phase(f"comparing {', '.join(engines)} on {characters} characters")

    def advance(self, engine: str, characters: int) -> None:
        """Show how far the comparison is, unless that was shown just now."""
        with self._lock:
            if not any(self._done.values()):  # until now the engines were opening their files
                self._began = time.monotonic()
            self._done[engine] += characters
            share = sum(self._done.values()) / (len(self._done) * self._characters)
            if self._is_due(share):
                self._show(min(share, 1.0))

    def _is_due(self, share: float) -> bool:
        if self._terminal:
            return time.monotonic() - self._shown_at >= REFRESH_SECONDS
        return int(share * LOG_LINES) > int(self._shown_share * LOG_LINES) and share < 1

    def _show(self, share: float) -> None:
        last = min(self._done, key=lambda engine: self._done[engine])
        left = self._left(share)
        if self._terminal:
            bar = "#" * round(share * BAR_WIDTH)
            self._draw(f"comparing [{bar:-<{BAR_WIDTH}}] {share:4.0%}{left}, waiting for {last}")
        else:
            click.echo(f"{share:.0%} compared{left}, waiting for {last}", err=True)
        self._shown_at, self._shown_share = time.monotonic(), share

    def _left(self, share: float) -> str:
        """Return the estimated time left, in words, or nothing if it is too early."""
        if share * self._characters < LEAST_CHARACTERS:
            return ""
        seconds = (time.monotonic() - self._began) / share * (1 - share)
        return f", about {duration(seconds)} left"

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{text[:columns]:<{columns}}", err=True, nl=False)


def duration(seconds: float) -> str:
    """Return a time in hours, minutes or seconds; at least one second."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
