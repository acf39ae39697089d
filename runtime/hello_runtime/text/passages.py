"""Running text in passages, which a model of the task `next` learns from and is scored on.

A passage has the character before it, so each of its characters has one to be predicted from. The
first passage of a file begins behind LF. Each passage is read from a zero state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PASSAGE = 1024
"""Characters of a passage that are predicted, at most."""


def passages_of(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield each passage of a text with the character before it, and the line in which it ends.

    Args:
        lines: the lines with their numbers, in parts or whole; empty ones are counted and left out.
    """
    held, last = "\n", 1
    for number, piece in lines:
        held += "\n" * (number - last) + piece
        last = number
        while len(held) > PASSAGE:
            yield number, held[: PASSAGE + 1]
            held = held[PASSAGE:]
    if len(held) > 1:
        yield last, held
