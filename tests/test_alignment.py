"""Alignment: the edits that make a target of its input, and that they are the fewest."""

from __future__ import annotations

import random
import sys
from functools import cache
from unicodedata import category

import pytest
from hello_runtime.errors import AlignmentError
from hello_runtime.text import alignment
from hello_runtime.text.alignment import (
    align,
    common_start,
    cut,
    edit_of,
    piece_lengths,
)
from hello_runtime.text.edits import KEEP, Edit, rewrite
from hello_runtime.text.pairs import output_pieces, parse_aligned, pieces

KEPT: Edit = (KEEP,)


def expected(given: str, target: str) -> list[int]:
    """Return the slots between the common ends, word by word as the module says it."""

    @cache
    def distance(row: int, column: int) -> int:
        if row == len(given) or column == len(target):
            return len(given) - row + len(target) - column
        return min(
            distance(row + 1, column + 1) + (given[row] != target[column]),
            distance(row, column + 1) + 1,
            distance(row + 1, column) + 1,
        )

    slots, row, column = [0], 0, 0
    while row < len(given) or column < len(target):
        left = distance(row, column)
        both = row < len(given) and column < len(target)
        equal = both and given[row] == target[column]
        replaces = both and distance(row + 1, column + 1) + 1 == left
        inserts = column < len(target) and distance(row, column + 1) + 1 == left
        deletes = row < len(given) and distance(row + 1, column) + 1 == left
        if replaces and (inserts or deletes):
            replaces = category(given[row])[0] == category(target[column])[0]
        if equal or replaces:
            slots.append(1)
            row, column = row + 1, column + 1
        elif inserts:
            slots[-1] += 1
            column += 1
        else:
            slots.append(0)
            row += 1
    return slots


def all_slots(given: str, target: str) -> list[int]:
    """Return the slots of a line, after its common start and before its common end."""
    start = end = 0
    while start < min(len(given), len(target)) and given[start] == target[start]:
        start += 1
    while end < min(len(given), len(target)) - start and given[-1 - end] == target[-1 - end]:
        end += 1
    before, *middle = expected(given[start : len(given) - end], target[start : len(target) - end])
    slots = [0, *[1] * start]
    slots[-1] += before
    slots += [*middle, *[1] * end]
    return [slots[0] + slots[1], *slots[2:]]


def changed(source: random.Random, text: str, share: float, letters: str) -> str:
    """Return a text in which a share of the characters is replaced, deleted or followed."""
    made = []
    for char in text:
        chosen = source.random() / share
        if chosen < 1:
            other = source.choice(letters)
            made.append(("", other, char + other, other + char)[int(chosen * 4)])
        else:
            made.append(char)
    return "".join(made)


EXAMPLES: dict[str, tuple[str, str, list[Edit]]] = {
    "equal": ("ab", "ab", [KEPT, KEPT]),
    "empty": ("", "", []),
    "replaced": ("ale", "alę", [KEPT, KEPT, ("ę",)]),
    "appended": ("ab", "a b", [(KEEP, " "), KEPT]),
    "at the end": ("ab", "ab.", [KEPT, (KEEP, ".")]),
    "at the start": ("ab", "¿ab", [("¿", KEEP), KEPT]),
    "deleted": ("a b", "ab", [KEPT, (), KEPT]),
    "everything deleted": ("ab", "", [(), ()]),
    "at both ends": ("b", "abc", [("a", KEEP, "c")]),
    "a space and a letter": ("domow", "dom ów", [*[KEPT] * 2, (KEEP, " "), ("ó",), KEPT]),
    "no space and a letter": ("m .ow", "mów", [KEPT, (), (), ("ó",), KEPT]),
    "another kind": ("a1b", "a-b", [KEPT, ("-",), KEPT]),
    "one becomes two": ("Straße", "Strasse", [KEPT] * 4 + [("s", "s"), KEPT]),
    "two become one": ("aex", "äx", [("ä",), (), KEPT]),
    "first deleted, then put before": ("xab", "-ab", [("-",), KEPT, KEPT]),
    "a mark": ("zólw", "zóŀ\u0300w", [KEPT, KEPT, ("ŀ", "\u0300"), KEPT]),
    "several marks": ("ba", "b\u0323\u0307a", [(KEEP, "\u0323", "\u0307"), KEPT]),
    "after the earliest": ("aab", "aaab", [KEPT, (KEEP, "a"), KEPT]),
    "astral": ("😀b", "😀 b", [(KEEP, " "), KEPT]),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_pair_becomes_edits(name: str) -> None:
    given, target, edits = EXAMPLES[name]
    assert align(given, target) == edits


@pytest.mark.parametrize("letters", ["ab", "abcdefgh", "a\u0301\u0323😀 -\0", "ab 1-"])
def test_the_fewest_characters_change(letters: str) -> None:
    source = random.Random(len(letters))
    for _ in range(400):
        given = "".join(source.choices(letters, k=source.randint(1, 9)))
        if source.random() < 0.5:
            target = "".join(source.choices(letters, k=source.randint(0, 8)))
        else:
            target = changed(source, given, 0.4, letters)[:8]
        assert list(piece_lengths(given, target)) == all_slots(given, target), (given, target)


def test_aligned_and_applied_again_gives_the_target() -> None:
    source = random.Random(0)
    refused = 0
    for _ in range(1000):
        letters = "".join(chr(source.randrange(sys.maxunicode + 1)) for _ in range(6))
        given = "".join(source.choices(letters, k=source.randint(1, 200)))
        target = changed(source, given, source.choice([0.05, 0.3, 1.0]), letters)
        try:
            edits = align(given, target)
        except AlignmentError:
            refused += 1
            continue
        assert len(edits) == len(given)
        assert rewrite(given, edits) == target
        lengths = piece_lengths(given, target)
        assert [edit_of(*item) for item in zip(given, cut(target, lengths), strict=True)] == edits
    assert refused < 50


def test_a_text_that_loses_characters_gets_them_back() -> None:
    source = random.Random(1)
    for _ in range(300):
        parts = ("".join(source.choices("ab \u0301", k=7)) for _ in range(source.randint(0, 700)))
        target = "x" + "x".join(parts)
        given = "".join(char for char in target if char not in " \u0301")
        assert rewrite(given, align(given, target)) == target


def test_common_start() -> None:
    source = random.Random(2)
    for _ in range(300):
        start = "".join(source.choices("ab", k=source.randint(0, 40)))
        one, other = (start + "".join(source.choices("ab", k=source.randint(0, 3))) for _ in "ab")
        pairs = zip(one, other, strict=False)
        found = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
        assert common_start(one, other) == found


def test_what_is_not_within_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert align("a", "a" + "b" * 7) == [(KEEP, *"b" * 7)]
    with pytest.raises(AlignmentError, match="character 1 of the input, 'a', would become 9 char"):
        align("a", "a" + "b" * 8)
    with pytest.raises(AlignmentError, match="character 2 of the input, 'c', would become 300"):
        align("ac", "a" + "b" * 300)
    with pytest.raises(AlignmentError, match="the input is empty, and the target is not"):
        align("", "a")
    monkeypatch.setattr(alignment, "MOST_DISTANCES", 100)
    assert rewrite("a" * 10, align("a" * 10, "b" * 10)) == "b" * 10
    assert len(align("a" * 100, "ab" * 100)) == 100
    with pytest.raises(AlignmentError, match="11 characters of the input lie between the first ch"):
        align("xa" + "c" * 10 + "x", "xb" + "d" * 10 + "x")


def test_an_output_is_wrong_where_its_piece_is_not_the_targets() -> None:
    def wrong(given: str, target: str, output: str) -> list[int]:
        pair = parse_aligned(f"{given}\t{target}")
        both = zip(pieces(pair), output_pieces(pair, output), strict=True)
        return [place for place, (wanted, written) in enumerate(both) if wanted != written]

    assert wrong("theend", "the end", "the end") == []
    assert wrong("theend", "the end", "theend") == [2]
    assert wrong("theend", "the end", "thee nd") == [2, 3]
    assert wrong("zolw", "żółw", "zólw") == [0, 2]
    assert wrong("ab", "ab", "") == [0, 1]
    assert wrong("ab", "ab", "a" + "b" * 20) == [1]
    assert wrong("aB", "B", "aB") == [0]
