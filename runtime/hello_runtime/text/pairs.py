"""Pairs of an input and its target, and files of them, such as lines `input TAB target`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from hello_runtime.errors import AlignmentError, InputError
from hello_runtime.text.alignment import cut, fewest_changes
from hello_runtime.text.files import write_whole
from hello_runtime.text.lines import BYTE_ORDER_MARK, read_lines
from hello_runtime.text.normal_forms import NormalForm, normalise

TAB = "\t"
BLOCK = 1 << 18
"""Characters that are decoded at a time, at least."""

Item = TypeVar("Item")


class Pair(NamedTuple):
    """A line: what a network reads and what it shall write, one character for each character."""

    input: str
    target: str


class Aligned(NamedTuple):
    """A line whose target is cut into pieces, one for each character of the input."""

    input: str
    target: str
    lengths: Sequence[int]
    """Characters of each piece."""


AnyPair: TypeAlias = "Pair | Aligned"


def pieces(pair: AnyPair) -> Iterable[str]:
    """Return the piece of the target for each character of the input.

    >>> list(pieces(Pair("ab", "cd"))), list(pieces(Aligned("ab", "a b", (2, 1))))
    (['c', 'd'], ['a ', 'b'])
    """
    return cut(pair.target, pair.lengths) if isinstance(pair, Aligned) else pair.target


def target_places(pair: AnyPair) -> Sequence[int]:
    """Return where the piece of each input character starts in the target, and where it ends."""
    if isinstance(pair, Aligned):
        return [*accumulate(pair.lengths, initial=0)]
    return range(len(pair.input) + 1)


def output_pieces(pair: AnyPair, output: str) -> Iterable[str]:
    """Return the piece of an output for each character of the input of a pair.

    An output is aligned like a target, so a right one has the target's pieces.

    Raises:
        AlignmentError: it cannot be aligned.
    """
    if output == pair.target or isinstance(pair, Pair):
        return pieces(pair._replace(target=output))
    return cut(output, fewest_changes(pair.input, output))


def split_pair(line: str) -> Pair:
    """Return the two sides of a line `input TAB target`, of whatever length.

    Raises:
        InputError: the line has no tab or several.
    """
    sides = line.split(TAB)
    if len(sides) != 2:
        raise InputError(f"{len(sides) - 1} tabs; write input, one tab, target")
    return Pair(*sides)


def parse_aligned(line: str) -> Aligned:
    """Return the pair of a line `input TAB target`, aligned.

    Raises:
        InputError: the line has no tab or several, or its two sides cannot be aligned.
    """
    pair = split_pair(line)
    try:
        return Aligned(*pair, fewest_changes(*pair))
    except AlignmentError as error:
        raise InputError(f"{error}; leave the line out") from error


def parse_either(line: str) -> AnyPair:
    """Return the pair of a line: one for one where its sides have the same length, else aligned.

    Raises:
        InputError: the line has no tab or several, or its two sides cannot be aligned.
    """
    pair = split_pair(line)
    return pair if len(pair.input) == len(pair.target) else parse_aligned(line)


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


def normalising(parse: Callable[[str], AnyPair], form: NormalForm) -> Callable[[str], AnyPair]:
    """Return what parses a line that is brought into a normal form first."""
    return lambda line: parse(normalise(line, form))


def read_pairs(
    path: Path, parse: Callable[[str], AnyPair] = parse_either
) -> Iterator[tuple[int, AnyPair]]:
    """Yield each pair of a file, plain or gzip, with the number of its line.

    `parse` returns the pair of a line. Pairs without an input are left out.

    Raises:
        InputError: the file cannot be read, or a line is no pair.
    """
    for number, line in read_lines(path):
        try:
            pair = parse(line)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if pair.input:
            yield number, pair


def write_pairs(path: Path, pairs: Iterable[AnyPair]) -> None:
    """Write pairs as `read_pairs` reads them, without those that are not writable.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = (f"{pair.input}{TAB}{pair.target}\n" for pair in pairs if is_writable(pair))
    write_whole(path, "".join(lines).encode())


def is_writable(pair: AnyPair) -> bool:
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
