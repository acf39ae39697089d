"""How texts are cut and put together for the engine: into pieces, and pieces into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

BATCH_ROWS = 32
"""Pieces in one engine call, at most; larger batches were no faster."""
BATCH_CHARACTERS = 16384
"""Characters in one engine call of several pieces, at most, padding included."""
ENOUGH_ROWS = 8
"""With so many pieces a batch is fast enough to rather end than be padded by much."""
LEAST_FILLED = 0.8
"""How long a piece is that may join such a batch, as a part of the longest."""

WHOLE = 4096
"""Characters that are read at once. A longer line is read in chunks of so many by a causal model,
which carries its state from one to the next, and in windows by a bidirectional one."""
WINDOW = 2048
"""Characters in a window."""
OVERLAP = 256
"""Characters at each end of a window that are read as context only, except at an end of the line.

What is decoded from a window is not what the whole line would give where something more than this
far away decides; the README has the measured difference.
"""


class Piece(NamedTuple):
    """A part of a text that the engine reads, and which of it is wanted."""

    text: str
    start: int
    stop: int
    """It reads `text[start:stop]`."""
    wanted: slice
    """The characters whose outputs are kept, counted from `start`."""

    def __len__(self) -> int:
        return self.stop - self.start


def whole(text: str) -> list[Piece]:
    """Return a text as one piece, or as none if it is empty."""
    return [Piece(text, 0, len(text), slice(0, len(text)))] if text else []


def windows(text: str) -> list[Piece]:
    """Return a text as windows whose wanted parts make up the text, or whole if it is short."""
    if len(text) <= WHOLE:
        return whole(text)
    pieces = []
    for start in range(0, len(text) - 2 * OVERLAP, WINDOW - 2 * OVERLAP):
        stop = min(start + WINDOW, len(text))
        first = 0 if start == 0 else OVERLAP
        last = stop - start if stop == len(text) else WINDOW - OVERLAP
        pieces.append(Piece(text, start, stop, slice(first, last)))
    return pieces


def batched(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces in groups of like length, so that little of a group is padding.

    Pieces of one length stay in their order, and so do the windows of a text, of which none is
    longer than the one before.
    """
    batch: list[Piece] = []
    longest = 0
    for piece in sorted(pieces, key=len, reverse=True):
        if batch and (
            len(batch) == BATCH_ROWS
            or longest * (len(batch) + 1) > BATCH_CHARACTERS
            or (len(batch) >= ENOUGH_ROWS and len(piece) < LEAST_FILLED * longest)
        ):
            yield batch
            batch = []
        if not batch:
            longest = len(piece)
        batch.append(piece)
    if batch:
        yield batch
