"""The windows in which a bidirectional model reads a long line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hello_runtime.text.long_text import Text

WINDOW = 1024
"""Characters in a window of a long line."""
OVERLAP = 128
"""Characters at each end of a window that are read as context only, except at an end of the line.

A character that depends on one further away than this may be decoded otherwise than from the whole
line; docs/runtime.md has the measured difference.
"""


class Window:
    """The part `text[start:stop]` of a text. Outside of its `[first:last]` it is only context."""

    __slots__ = ("first", "last", "start", "stop", "text")

    def __init__(self, text: Text, start: int, stop: int, first: int, last: int) -> None:
        self.text = text
        self.start = start
        self.stop = stop
        self.first = first
        self.last = last

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self) -> str:
        """Return the part, with its context."""
        return self.text[self.start : self.stop]


def windows(text: Text) -> list[Window]:
    """Return overlapping windows whose used parts, one after the other, are the text."""
    found = []
    for start in range(0, len(text) - 2 * OVERLAP, WINDOW - 2 * OVERLAP):
        stop = min(start + WINDOW, len(text))
        first = 0 if start == 0 else OVERLAP
        last = stop - start if stop == len(text) else WINDOW - OVERLAP
        found.append(Window(text, start, stop, first, last))
    return found
