"""Rows: what texts became, the results of engine calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_CONFIDENCE = np.zeros(0, np.float32)
"""Stands for confidences that were not asked for."""
NO_LENGTHS = np.zeros(0, np.uint8)
"""Stands for lengths that are all 1, and were not asked for."""


class Annotation(NamedTuple):
    """A decoded text, with what the model made of each character that it read."""

    text: str
    confidence: NDArray[np.float32]
    """[characters read]: the probability of the label chosen; 1 for a copied character."""
    lengths: NDArray[np.uint8] = NO_LENGTHS
    """[characters read]: how many characters of `text` it became. They follow one another."""

    def part(self, first: int, last: int) -> Annotation:
        """Return what the characters `[first:last]` of those read became."""
        start, stop = first, last
        if len(self.lengths):
            start = int(self.lengths[:first].sum())
            stop = start + int(self.lengths[first:last].sum())
        return Annotation(
            self.text[start:stop], self.confidence[first:last], self.lengths[first:last]
        )


EMPTY = Annotation("", NO_CONFIDENCE)


class Parts:
    """Joins the rows of consecutive parts of a text: the row of a long one.

    Its text is kept in UTF-8, as a `LongText` is.
    """

    def __init__(self, rows: Iterable[Annotation] = ()) -> None:
        self.content = bytearray()
        """The text in UTF-8."""
        self._confidence = bytearray()
        self._lengths = bytearray()
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Append the row of the next part."""
        self.content += row.text.encode("utf-8", "surrogatepass")
        self._confidence += row.confidence.tobytes()
        self._lengths += row.lengths.tobytes()

    @property
    def text(self) -> str:
        """The whole text."""
        return self.content.decode("utf-8", "surrogatepass")

    @property
    def confidence(self) -> NDArray[np.float32]:
        """As in `Annotation`; not a copy, so that no row can be added after it."""
        return np.frombuffer(self._confidence, np.float32)

    @property
    def lengths(self) -> NDArray[np.uint8]:
        """As in `Annotation`; not a copy either."""
        return np.frombuffer(self._lengths, np.uint8)

    def joined(self) -> Annotation:
        """Return the row of the whole text; none can be added after it."""
        return Annotation(self.text, self.confidence, self.lengths)


Row: TypeAlias = "Annotation | Parts"
"""What a text became: of a `str` an annotation, of a `LongText` mostly `Parts`."""


def unshared(rows: Iterable[Row]) -> list[Annotation]:
    """Return rows that share no array; without this, equal texts share theirs."""
    taken: set[int] = set()
    own = []
    for row in rows:
        if isinstance(row, Parts) or id(row) in taken:
            row = Annotation(row.text, row.confidence.copy(), row.lengths.copy())
        taken.add(id(row))
        own.append(row)
    return own
