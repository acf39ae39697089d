"""Lines with a class, `text TAB class`, and how many of them a model classifies right."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.errors import InputError, UnknownCharacterError
from hello_runtime.text.lines import read_lines
from hello_runtime.text.pairs import TAB, Pair, in_blocks

if TYPE_CHECKING:
    from hello_runtime.decoder import Decoder
    from hello_runtime.text.measures import Measures

BLOCK = 1 << 18
"""Characters that are classified at a time, at least."""
MOST_FREQUENT, MODEL = "most frequent class", "model"


def parse_class(line: str) -> Pair:
    r"""Return the text and the class of a line; the text may have tabs of its own.

    >>> parse_class("Kowalski\tPolish")
    Pair(input='Kowalski', target='Polish')

    Raises:
        InputError: the line has no tab, or nothing behind its last one.
    """
    text, tab, name = line.rpartition(TAB)
    if not tab:
        raise InputError("there is no tab; write text, tab, class")
    if not name:
        raise InputError("there is no class behind the tab; write text, tab, class")
    return Pair(text, name)


def read_classes(path: Path) -> Iterator[tuple[int, Pair]]:
    """Yield each text with its class and the number of its line; lines without text are left out.

    Raises:
        InputError: the file cannot be read, or a line has no class.
    """
    for number, line in read_lines(path):
        try:
            pair = parse_class(line)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if pair.input:
            yield number, pair


def score_classes(decoder: Decoder, path: Path) -> dict[str, Measures]:
    """Return the accuracy of a classifier on a file, beside that of its most frequent class.

    Raises:
        InputError: the file holds no such line or cannot be read, or a line has a character that
            the model refuses.
        TaskError: the model's task is `next`.
        EngineError: onnxruntime failed.
    """
    waiting: deque[list[tuple[int, Pair]]] = deque()
    classes: Counter[str] = Counter()
    right = 0

    def inputs() -> Iterator[list[str]]:
        for block in in_blocks(read_classes(path), lambda row: len(row[1].input), BLOCK):
            waiting.append(block)
            yield [pair.input for _, pair in block]

    try:
        with closing(decoder.decode_batches(inputs())) as batches:
            for outputs in batches:
                targets = [pair.target for _, pair in waiting.popleft()]
                classes.update(targets)
                right += sum(map(str.__eq__, targets, outputs))
    except UnknownCharacterError as error:
        number, _ = waiting[-1][error.index]
        raise InputError(f"{path}, line {number}: {error}") from error
    count = classes.total()
    if not count:
        raise InputError(f"{path}: the file is empty; it must hold lines of text, tab, class")
    ((_, most),) = classes.most_common(1)
    return {
        MOST_FREQUENT: {"accuracy": most / count, "line_count": count},
        MODEL: {"accuracy": right / count, "line_count": count},
    }
