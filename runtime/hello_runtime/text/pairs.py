"""Pairs of an input and its target, and files of them: lines `input TAB target`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from hello_runtime.errors import InputError
from hello_runtime.text.files import write_whole
from hello_runtime.text.lines import BYTE_ORDER_MARK, read_lines

TAB = "\t"

Item = TypeVar("Item")


class Pair(NamedTuple):
    """A line: what a network reads and what it shall write, of equal length in characters."""

    input: str
    target: str


def parse_pair(line: str) -> Pair:
    """Return the pair of a line `input TAB target`.

    Raises:
        InputError: the line has no tab or several, or its two sides differ in length.
    """
    sides = line.split(TAB)
    if len(sides) != 2:
        raise InputError(f"{len(sides) - 1} tabs; write input, one tab, target")
    pair = Pair(*sides)
    if len(pair.input) != len(pair.target):
        raise InputError(
            f"the input has {len(pair.input)} characters and the target {len(pair.target)}; they "
            f"must be aligned one for one"
        )
    return pair


def read_pairs(path: Path) -> Iterator[tuple[int, Pair]]:
    """Yield each pair of a file with the number of its line; pairs of nothing are left out.

    Raises:
        InputError: the file cannot be read, or a line is no pair.
    """
    for number, line in read_lines(path):
        try:
            pair = parse_pair(line)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if pair.input:
            yield number, pair


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs as `read_pairs` reads them, without those that are not writable.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = (f"{pair.input}{TAB}{pair.target}\n" for pair in pairs if is_writable(pair))
    write_whole(path, "".join(lines).encode())


def is_writable(pair: Pair) -> bool:
    """Tell whether `read_pairs` would read a pair as it was written."""
    return (
        TAB not in pair.input + pair.target
        and "\n" not in pair.input + pair.target
        and not pair.input.startswith(BYTE_ORDER_MARK)
        and not pair.target.endswith("\r")
    )


def in_blocks(
    items: Iterable[Item], length: Callable[[Item], int], characters: int
) -> Iterator[list[Item]]:
    """Yield items in lists of this many characters or more; `length` returns those of an item."""
    block: list[Item] = []
    size = 0
    for item in items:
        block.append(item)
        size += length(item)
        if size >= characters:
            yield block
            block, size = [], 0
    if block:
        yield block
