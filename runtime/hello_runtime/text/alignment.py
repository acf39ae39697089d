"""Alignment: which characters of a target line each character of its input becomes.

An alignment cuts the target into pieces, one for each input character; a piece may be empty. It has
the fewest changes: characters of the target that are not the input's, and characters of the input
that are not the target's, a replaced character counting once (Levenshtein 1966). Of several such
alignments it is the one that

- keeps the longest common start of the lines, and then the longest common end;
- and between them, from left to right, keeps a character where it can, or else replaces it by one
  of its kind (Unicode's major categories: letters, marks, numbers and so on), or else inserts one,
  or else deletes one, and replaces one by another kind only where nothing else is as good.

So of `domow` and `dom ów` the space is behind `m` and `ó` is for `o`, and not both of them for `o`.
What is inserted belongs to the character before it; at the start of a line, to the one behind it.

The distances are computed by bits, all rows of a column at once (Myers 1999, "A fast bit-vector
algorithm for approximate string matching based on dynamic programming", in the form of Hyyrö 2003).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import category

from hello_runtime.errors import AlignmentError
from hello_runtime.text.edits import KEEP, LONGEST_EDIT, Edit

MOST_DISTANCES = 1 << 27
"""The product of the characters of both sides, between the common start and the common end, at
most, unless all changes are insertions. It is enough for a line of 4096 characters that becomes
eight times as long, and takes about 40 MB and 0.1 s."""


def align(given: str, target: str) -> list[Edit]:
    """Return the edit of each character of an input that makes its target.

    >>> align("hallo", "hello,")
    [(None,), ('e',), (None,), (None,), (None, ',')]

    Raises:
        AlignmentError: there is no alignment within the limits.
    """
    pieces = cut(target, piece_lengths(given, target))
    return list(map(edit_of, given, pieces))


def edit_of(char: str, piece: str) -> Edit:
    """Return the edit that makes a piece of a character: its first occurrence there is kept.

    >>> edit_of("a", "a-a"), edit_of("a", "b"), edit_of("a", "")
    ((None, '-', 'a'), ('b',), ())
    """
    before, found, behind = piece.partition(char)
    return (*before, KEEP, *behind) if found else tuple(piece)


def cut(target: str, lengths: Sequence[int]) -> Iterator[str]:
    """Yield the pieces of a target, with these lengths."""
    start = 0
    for length in lengths:
        yield target[start : start + length]
        start += length


def piece_lengths(given: str, target: str) -> bytes:
    """Return the length of the target's piece for each character of an input, a byte each.

    >>> list(piece_lengths("hallo", "hello,"))
    [1, 1, 1, 1, 2]

    Raises:
        AlignmentError: there is no alignment, or an edit would be too long.
    """
    lengths = fewest_changes(given, target)
    longest = max(lengths, default=0)
    if longest > LONGEST_EDIT:
        position = lengths.index(longest)
        raise AlignmentError(
            f"character {position + 1} of the input, {given[position]!r}, would become {longest} "
            f"characters; {LONGEST_EDIT} are possible"
        )
    return bytes(lengths)


def fewest_changes(given: str, target: str) -> list[int]:
    """Return the length of the target's piece for each character of an input.

    Raises:
        AlignmentError: the input is empty and the target is not, or they are too long.
    """
    if not given and target:
        raise AlignmentError("the input is empty, and the target is not")
    start = common_start(given, target)
    rest, wanted = given[start:], target[start:]
    end = common_start(rest[::-1], wanted[::-1])
    rest, wanted = rest[: len(rest) - end], wanted[: len(wanted) - end]
    before, *middle = insertions(rest, wanted) or changes(rest, wanted)
    slots = [0] + [1] * start  # see `insertions`
    slots[-1] += before
    slots += middle + [1] * end
    first, *lengths = slots
    if first:
        lengths[0] += first
    return lengths


def common_start(one: str, other: str) -> int:
    """Return the length of the longest common start of two texts."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:  # the starts of length `low` are equal, those longer than `high` are not
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def insertions(given: str, target: str) -> list[int] | None:
    """Return the slots of an input of which nothing is replaced or deleted; None if something is.

    Slots are the number of characters that are inserted before the first character, and then the
    length of the piece of each.
    """
    slots, position = [0], 0
    for char in given:
        found = target.find(char, position)
        if found < 0:
            return None
        slots[-1] += found - position
        slots.append(1)
        position = found + 1
    slots[-1] += len(target) - position
    return slots


def changes(given: str, target: str) -> list[int]:
    """Return the slots of an input, by the distances between all ends of the two lines.

    Raises:
        AlignmentError: a line is too long.
    """
    rows, columns = len(given), len(target)
    if rows * columns > MOST_DISTANCES:
        raise AlignmentError(
            f"{rows} characters of the input lie between the first change and the last, and "
            f"{columns} of the target; their product may be {MOST_DISTANCES} at most"
        )
    steps = distances(given, target)
    slots = [0]
    row = column = 0
    while row < rows and column < columns:
        char, wanted, bit = given[row], target[column], rows - 1 - row
        replaces, inserts, deletes = (step >> bit & 1 for step in steps[column])
        if char == wanted or (replaces and (of_one_kind(char, wanted) or not inserts | deletes)):
            slots.append(1)
            row, column = row + 1, column + 1
        elif inserts:
            slots[-1] += 1
            column += 1
        else:
            slots.append(0)
            row += 1
    slots[-1] += columns - column
    return slots + [0] * (rows - row)


def of_one_kind(one: str, other: str) -> bool:
    """Tell whether two characters are in one major category of Unicode."""
    return category(one)[0] == category(other)[0]


def distances(given: str, target: str) -> list[tuple[int, int, int]]:
    """Return how the distances between ends of two lines differ, for each end of the target.

    D(i, j) is the distance between the last i characters of the input and the last j of the target.

    Returns:
        For each character of the target, which begins an end of length j, three numbers of which
        bit i - 1 says that D(i, j) is D(i - 1, j - 1) + 1, D(i, j - 1) + 1 and D(i - 1, j) + 1: a
        character may be replaced, inserted and deleted.
    """
    every = (1 << len(given)) - 1
    occurrences: dict[str, int] = {}
    for bit, char in enumerate(reversed(given)):
        occurrences[char] = occurrences.get(char, 0) | 1 << bit
    down, up = every, 0  # where D(i, j) - D(i - 1, j) is 1, and where it is -1
    steps = []
    for char in reversed(target):
        match = occurrences.get(char, 0)
        equal = ((((match & down) + down) ^ down) | match | up) & every
        grows = up | every & ~(equal | down)
        shrinks = down & equal
        above = grows << 1 | 1  # row 0 grows by 1 in each column
        down = (shrinks << 1 | ~(equal | above)) & every
        up = above & equal
        steps.append((every & ~equal, grows, down))
    return steps[::-1]
