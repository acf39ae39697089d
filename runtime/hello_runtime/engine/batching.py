"""Groups texts into engine calls: similar lengths together, long lines in windows, none twice."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from hello_runtime.engine.blocks import BlockSize
from hello_runtime.engine.rows import EMPTY, Annotation, Parts, Row
from hello_runtime.engine.windows import Window, windows
from hello_runtime.engine.workers import Workers
from hello_runtime.text.codepoints import LONGEST_ROW

if TYPE_CHECKING:
    from hello_runtime.text.long_text import Text

MIN_FILLED = 0.8
"""Shortest piece that may join a group with enough of them, as a fraction of the longest."""

REMEMBERED = 1 << 22
"""Characters of the lines whose results are kept, in case a line comes again."""

Piece: TypeAlias = "Text | Window"
"""What an engine call reads as one row: a text, or a window of a long one."""

Run: TypeAlias = Callable[[Sequence[str]], Iterator[list[Annotation]]]
"""Runs texts side by side as one batch; yields, for each chunk of them, the rows."""


class PendingBatch(NamedTuple):
    """A batch of texts whose engine calls were started."""

    texts: Sequence[Text]
    groups: deque[list[Piece]]
    """The pieces of each call; the windows of a text are in order."""
    results: deque[Callable[[], list[Row]]]
    """For each call a function that waits for its results."""


def batched(pieces: Iterable[Piece], size: BlockSize) -> Iterator[list[Piece]]:
    """Yield pieces in groups of similar length, so that a group has little padding."""
    group: list[Piece] = []
    longest = most = 0
    for piece in sorted(pieces, key=len, reverse=True):
        short = len(group) >= size.enough and len(piece) < MIN_FILLED * longest
        if group and (len(group) == most or short):
            yield group
            group = []
        if not group:
            longest = len(piece)
            most = size.rows_of(longest)
        group.append(piece)
    if group:
        yield group


def run_ahead(
    run: Run,
    batches: Iterable[Sequence[Text]],
    threads: int,
    size: BlockSize,
    *,
    windowed: bool,
) -> Generator[list[Row], None, None]:
    """Yield the rows of each batch of texts, in order, while the next batch is running.

    Args:
        run: runs texts as one batch; it is called from several threads.
        batches: the texts. Equal texts are run once, unless `REMEMBERED` characters lie between.
        threads: calls of `run` at the same time.
        size: of the blocks in which they are run.
        windowed: whether a text longer than `LONGEST_ROW` is run in windows.
    """
    rows: dict[Text, Row] = {"": EMPTY}
    remembered = 0  # characters of the texts in rows
    pending: deque[PendingBatch] = deque()
    with Workers(threads) as workers:
        start = partial(start_batch, partial(run_pieces, run, workers), workers, size, windowed)
        for texts in batches:
            text = texts[0] if len(texts) == 1 else None
            if isinstance(text, str) and len(text) <= LONGEST_ROW:
                if pending:
                    yield finish(pending.popleft(), rows)
                if text not in rows:  # a lone text: there is nothing to run beside it
                    ((rows[text],),) = run([text])
                    remembered += len(text)
                yield [rows[text]]
            else:
                fresh = [text for text in dict.fromkeys(texts) if text not in rows]
                rows.update(dict.fromkeys(fresh, EMPTY))  # replaced by `finish`
                remembered += sum(map(len, fresh))
                pending.append(start(texts, fresh))
            if len(pending) > 1:
                yield finish(pending.popleft(), rows)
            if remembered > REMEMBERED:
                rows = {"": EMPTY, **{text: rows[text] for text in texts}}
                remembered = sum(map(len, rows))
        while pending:
            yield finish(pending.popleft(), rows)


def start_batch(
    run: Callable[[Sequence[Piece]], list[Row]],
    workers: Workers,
    size: BlockSize,
    windowed: bool,
    texts: Sequence[Text],
    fresh: Sequence[Text],
) -> PendingBatch:
    """Start the engine calls for the fresh texts of a batch, those that have no result yet."""
    pieces: Iterable[list[Piece]] = (
        [*windows(text)] if windowed and len(text) > LONGEST_ROW else [text] for text in fresh
    )
    groups = list(batched(chain.from_iterable(pieces), size))
    return PendingBatch(texts, deque(groups), deque(workers.start(run, groups)))


def run_pieces(run: Run, workers: Workers, pieces: Sequence[Piece]) -> list[Row]:
    """Run pieces as one batch; return the row of each, without the context of windows."""
    texts = [piece.read() if isinstance(piece, Window) else piece for piece in pieces]
    rows: list[Annotation] = []
    long: list[Parts] = []
    for chunk in run(cast("list[str]", texts)):  # a causal model reads slices of a long text
        if rows and not long:  # the second chunk: there is something to join
            long = [Parts([row]) for row in rows]
        rows = chunk
        for parts, row in zip(long, rows, strict=False):
            parts.add(row)
        workers.check()  # ends a long text when the pool stops
    if long:
        return [*long]
    return [
        row.part(piece.first, piece.last) if isinstance(piece, Window) else row
        for piece, row in zip(pieces, rows, strict=True)
    ]


def finish(batch: PendingBatch, rows: dict[Text, Row]) -> list[Row]:
    """Wait for a batch, add its rows to the known ones, and return them.

    Each call's windows are freed as soon as their text has them, so a long line is in memory once.
    """
    long: defaultdict[Text, Parts] = defaultdict(Parts)
    while batch.groups:
        for piece, row in zip(batch.groups.popleft(), batch.results.popleft()(), strict=True):
            if isinstance(piece, Window):
                long[piece.text].add(row)
            elif isinstance(row, Parts):
                long[piece] = row
            else:
                rows[piece] = row
    for text, parts in long.items():
        rows[text] = parts.joined() if isinstance(text, str) else parts
    return [rows[text] for text in batch.texts]
