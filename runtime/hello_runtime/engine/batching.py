"""How texts reach the engine: in batches of like length, long lines in windows, none twice."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from hello_runtime.engine.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_ROWS = 32
"""Rows of one engine call, at most."""
BATCH_CHARACTERS = 3072
"""Characters of one engine call of more than `ENOUGH_ROWS`, at most, padding included: so few that
what the engine makes of them stays in a core's cache."""
ENOUGH_ROWS = 4
"""With so many rows a batch is fast enough to rather end than be padded by much."""
LEAST_FILLED = 0.8
"""How long a row is that may join such a batch, as a part of the longest."""

WHOLE = 4096
"""Characters that are read at once. A longer line is read in chunks of so many by a causal model,
which carries its state from one to the next, and in windows by a bidirectional one."""
WINDOW = 1024
"""Characters in a window."""
OVERLAP = 128
"""Characters at each end of a window that are read as context only, except at an end of the line.

What is decoded from a window is not what the whole line would give where something decides that is
further away than this; the README has the measured difference.
"""

REMEMBERED = 1 << 22
"""Characters of the lines of a file that are remembered, in case one of them comes again."""


class Annotation(NamedTuple):
    """A decoded text, and how sure the model is of each character."""

    text: str
    confidence: NDArray[np.float32]
    """[characters]: the probability of the label chosen; 1 where the character was copied."""

    def part(self, first: int, last: int) -> Annotation:
        """Return what became of some of the characters."""
        return Annotation(self.text[first:last], self.confidence[first:last])


NO_CONFIDENCE = np.zeros(0, np.float32)
"""In the place of the confidences that were not asked for."""
EMPTY = Annotation("", NO_CONFIDENCE)


class Window:
    """A part of a text, `text[start:stop]`, of which the characters `[first:last]` are wanted."""

    __slots__ = ("first", "last", "start", "stop", "text")

    def __init__(self, text: str, start: int, stop: int, first: int, last: int) -> None:
        self.text = text
        self.start = start
        self.stop = stop
        self.first = first
        self.last = last

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self) -> str:
        """Return what the engine reads."""
        return self.text[self.start : self.stop]


Piece: TypeAlias = "str | Window"
"""What is a row of an engine call."""

Run: TypeAlias = Callable[[Sequence[str]], Iterator[list[Annotation]]]
"""Has the engine run some texts side by side; yields the rows of each part of them."""


class Started(NamedTuple):
    """A batch of texts that is at work."""

    texts: Sequence[str]
    groups: deque[list[Piece]]
    """What is run, call after call; of one text the windows come in order."""
    results: deque[Callable[[], list[Annotation]]]
    """What waits for the rows of each call."""


def windows(text: str) -> list[Window]:
    """Return windows whose wanted parts make up a text."""
    found = []
    for start in range(0, len(text) - 2 * OVERLAP, WINDOW - 2 * OVERLAP):
        stop = min(start + WINDOW, len(text))
        first = 0 if start == 0 else OVERLAP
        last = stop - start if stop == len(text) else WINDOW - OVERLAP
        found.append(Window(text, start, stop, first, last))
    return found


def batched(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces in groups of like length, so that little of a group is padding."""
    batch: list[Piece] = []
    longest = 0
    for piece in sorted(pieces, key=len, reverse=True):
        if batch and (
            len(batch) == BATCH_ROWS
            or (len(batch) >= ENOUGH_ROWS and longest * (len(batch) + 1) > BATCH_CHARACTERS)
            or (len(batch) >= ENOUGH_ROWS and len(piece) < LEAST_FILLED * longest)
        ):
            yield batch
            batch = []
        if not batch:
            longest = len(piece)
        batch.append(piece)
    if batch:
        yield batch


def run_ahead(
    run: Run,
    batches: Iterable[Sequence[str]],
    threads: int,
    *,
    windowed: bool,
) -> Generator[list[Annotation], None, None]:
    """Yield the rows of each batch of texts, while those of the next are at work.

    Args:
        run: has the engine run some texts side by side; it is called from several threads.
        batches: texts, each of which is run once, unless its last time is long ago.
        threads: calls of `run` at the same time.
        windowed: whether a text longer than `WHOLE` is run in windows.
    """
    rows: dict[str, Annotation] = {"": EMPTY}
    remembered = 0  # characters of the texts in rows
    started: deque[Started] = deque()
    with Workers(threads) as workers:
        start = partial(start_batch, partial(run_pieces, run, workers), workers, windowed)
        for texts in batches:
            fresh = [text for text in dict.fromkeys(texts) if text not in rows]
            rows.update(dict.fromkeys(fresh, EMPTY))  # until they are finished
            remembered += sum(map(len, fresh))
            started.append(start(texts, fresh))
            if len(started) > 1:
                yield finish(started.popleft(), rows)
            if remembered > REMEMBERED:
                rows = {"": EMPTY, **{text: rows[text] for text in texts}}
                remembered = sum(map(len, rows))
        while started:
            yield finish(started.popleft(), rows)


def start_batch(
    run: Callable[[Sequence[Piece]], list[Annotation]],
    workers: Workers,
    windowed: bool,
    texts: Sequence[str],
    fresh: Sequence[str],
) -> Started:
    """Set to work on those texts of a batch that were not run yet."""
    pieces: Iterable[list[Piece]] = (
        [*windows(text)] if windowed and len(text) > WHOLE else [text] for text in fresh
    )
    groups = list(batched(chain.from_iterable(pieces)))
    return Started(texts, deque(groups), deque(workers.start(run, groups)))


def run_pieces(run: Run, workers: Workers, pieces: Sequence[Piece]) -> list[Annotation]:
    """Run pieces side by side; return of each what is wanted."""
    parts = []
    for rows in run([piece if isinstance(piece, str) else piece.read() for piece in pieces]):
        parts.append(rows)
        workers.check()  # where nobody waits for the rest, which may be long
    if len(parts) > 1:
        rows = [Parts(row).joined() for row in zip(*parts, strict=True)]
    return [
        row if isinstance(piece, str) else row.part(piece.first, piece.last)
        for piece, row in zip(pieces, rows, strict=True)
    ]


def finish(batch: Started, rows: dict[str, Annotation]) -> list[Annotation]:
    """Wait for a batch, add its rows to those that are known, and return them.

    A window is let go of as soon as its text has it, so that a long line is in memory once.
    """
    long: defaultdict[str, Parts] = defaultdict(Parts)
    while batch.groups:
        for piece, row in zip(batch.groups.popleft(), batch.results.popleft()(), strict=True):
            if isinstance(piece, str):
                rows[piece] = row
            else:
                long[piece.text].add(row)
    rows.update((text, parts.joined()) for text, parts in long.items())
    return [rows[text] for text in batch.texts]


def unshared(rows: Iterable[Annotation]) -> list[Annotation]:
    """Return rows of which each has its own confidences; those of equal texts are one object."""
    taken: set[int] = set()
    own = []
    for row in rows:
        shared = id(row) in taken
        taken.add(id(row))
        own.append(row._replace(confidence=row.confidence.copy()) if shared else row)
    return own


class Parts:
    """The rows of the parts of a text.

    They are kept in UTF-8: in a `str` one astral character makes four bytes of each.
    """

    def __init__(self, rows: Iterable[Annotation] = ()) -> None:
        self._text = bytearray()
        self._confidences: list[NDArray[np.float32]] = []
        for row in rows:
            self.add(row)

    def add(self, row: Annotation) -> None:
        """Take the row of the next part."""
        self._text += row.text.encode("utf-8", "surrogatepass")
        self._confidences.append(row.confidence)

    def joined(self) -> Annotation:
        """Return the row of the text."""
        text = self._text.decode("utf-8", "surrogatepass")
        return Annotation(text, np.concatenate(self._confidences))
