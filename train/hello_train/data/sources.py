"""Sources: how a line of a file becomes a pair of an input and its target."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from hello_runtime.text.alignment import cut, fewest_changes
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_runtime.text.normal_forms import NormalForm, normalise
from hello_runtime.text.pairs import TAB, AnyPair, Pair, parse_class, split_pair
from hello_runtime.text.passages import PASSAGE, passages_of

from hello_train.data.corruption import CORRUPTIONS, Corruption, corrupt
from hello_train.errors import DataError

SHOWN = 40
"""Characters that an error shows around a difference."""
SEED_IT = (
    "it must make the same of a line each time; let what is random come from random.Random(line)"
)


class Source(NamedTuple):
    """How the lines of files become pairs."""

    pair: Callable[[str], Pair]
    """Returns the pair of a line; raises DataError or InputError if there is none."""
    parts: Callable[[str], Iterable[str]]
    """Cuts a line into lines of at most `LONGEST_ROW` characters."""
    longest: int | None
    """Characters of a line that are read at once; None for the whole line."""
    form: NormalForm = "none"
    """The normal form into which lines are brought."""
    is_checked: bool = False
    """Whether each call of `pair` is compared with the first one for the same line."""
    is_rewritten: bool = False
    """Whether a target is what its input becomes, so that sides of other lengths are aligned."""
    join: Callable[[Iterable[tuple[int, str]]], Iterable[tuple[int, str]]] | None = None
    """Makes passages of the numbered lines; None where each line is learned for itself."""
    units: str = "lines"
    """What is learned, in the plural."""

    def checked_pair(self, line: str) -> Pair:
        """Return the pair of a line; a corruption that may not be ours is called twice.

        Raises:
            DataError: the line makes no pair, or two of them.
            InputError: the line makes no pair.
        """
        pair = self.pair(line)
        if self.is_checked and (again := self.pair(line)) != pair:
            raise DataError(f"the corruption made {difference(pair, again)}; {SEED_IT}")
        return pair


def text_source(corruption: Corruption, form: NormalForm = "none") -> Source:
    """Return the source for lines of text: they are targets, and a corruption makes their inputs.

    The corruption is called whenever a line is used. A user's own may give another input than
    before, so its pairs are compared. What it makes is brought into the normal form again, because
    whoever decodes does that with an input.
    """
    is_ours = any(corruption is known for known in CORRUPTIONS.values())

    def pair(line: str) -> Pair:
        given, target = corrupt(line, corruption)
        return Pair(normalise(given, form), target)

    return Source(
        pair,
        lambda line: (line,),
        LONGEST_ROW,
        form,
        is_checked=not is_ours,
        is_rewritten=True,
    )


def pair_source(form: NormalForm = "none") -> Source:
    """Return the source for lines `input TAB target`."""
    return Source(split_pair, pair_parts, None, form, is_rewritten=True)


def pair_parts(line: str) -> Iterator[str]:
    """Yield the parts of a line `input TAB target`.

    Raises:
        InputError: the line is no pair, or it is too long and its sides cannot be aligned.
    """
    given, target = split_pair(line)
    if len(given) <= LONGEST_ROW:
        yield line
        return
    lengths = [1] * len(given) if len(given) == len(target) else fewest_changes(given, target)
    starts = range(0, len(given), LONGEST_ROW)
    targets = cut(target, [sum(lengths[start : start + LONGEST_ROW]) for start in starts])
    for start, part in zip(starts, targets, strict=True):
        yield f"{given[start : start + LONGEST_ROW]}{TAB}{part}"


def checksum(pair: AnyPair) -> int:
    """Return a checksum of a pair, of 32 bits."""
    return zlib.crc32(f"{pair.input}\t{pair.target}".encode("utf-8", "surrogatepass"))


def difference(one: Pair, other: Pair) -> str:
    """Return where two pairs begin to differ, in words."""
    first, second = (
        (one.input, other.input) if one.input != other.input else (one.target, other.target)
    )
    pairs = enumerate(zip(first, second, strict=False))
    position = next((position for position, (a, b) in pairs if a != b), len(first))
    part = slice(max(0, position - SHOWN // 2), position + SHOWN // 2)
    return f"{first[part]!r} and then {second[part]!r} of one line"


def class_pair(line: str) -> Pair:
    """Return the text and the class of a line.

    Raises:
        InputError: it has no class.
        DataError: the text is too long.
    """
    pair = parse_class(line)
    if len(pair.input) > LONGEST_ROW:
        raise DataError(
            f"the text has {len(pair.input)} characters, and {LONGEST_ROW} are the most that a "
            f"classifier learns at once; shorten it"
        )
    return pair


def passage_pair(passage: str) -> Pair:
    """Return what is read and what is predicted of a passage: each character from those before.

    >>> passage_pair("hello")
    Pair(input='hell', target='ello')
    """
    return Pair(passage[:-1], passage[1:])


def class_source(form: NormalForm = "none") -> Source:
    """Return the source for lines `text TAB class`."""
    return Source(class_pair, lambda line: (line,), None, form)


def passage_source(form: NormalForm = "none") -> Source:
    """Return the source for running text."""
    return Source(
        passage_pair,
        lambda passage: (passage,),
        LONGEST_ROW,
        form,
        join=passages_of,
        units=f"passages of {PASSAGE} characters",
    )
