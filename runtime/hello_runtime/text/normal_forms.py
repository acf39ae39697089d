"""Normal forms of Unicode (Standard Annex 15): of a text, and of one that arrives in pieces."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from typing import Final, Literal, TypeAlias, cast

NormalForm: TypeAlias = Literal["nfc", "nfd", "none"]
NORMAL_FORMS: Final[tuple[NormalForm, ...]] = ("nfc", "nfd", "none")
"""Composed, decomposed, and the text as it is."""

FIRST_MARK = "\u0300"
"""Every character below it begins a cluster."""
VOWELS_AND_TAILS = ((0x1161, 0x1176), (0x11A8, 0x11C3))
"""The Hangul jamo that join the jamo before them; Unicode composes them by arithmetic."""
LAST_COMPOSITE = 0x20000
"""No character from here on is composed of two."""
BLOCK = 1000
"""Characters; a text that has as many marks in a row is put in canonical order here. Python's own
way takes the square of their number: minutes for a megabyte of marks, which no Ctrl-C ends."""


def normalise(text: str, form: NormalForm) -> str:
    r"""Return a text in a normal form; one that is in it already is returned as it is.

    >>> normalise("z\u0307", "nfc"), len(normalise("ż", "nfd")), len(normalise("ż", "none"))
    ('ż', 2, 1)
    """
    if form == "none" or text.isascii():
        return text
    name = cast(Literal["NFC", "NFD"], form.upper())
    if unicodedata.is_normalized(name, text):
        return text
    blocks = (text[start : start + BLOCK] for start in range(0, len(text) - BLOCK + 1, BLOCK))
    if any(all(map(unicodedata.combining, block)) for block in blocks):
        text = in_order(text)
    return unicodedata.normalize(name, text)


def in_order(text: str) -> str:
    r"""Return a text with its marks in canonical order, by their classes; equal ones stay in turn.

    >>> in_order("a\u0301\u0323") == "a\u0323\u0301"
    True
    """
    runs = groupby(text, lambda char: unicodedata.combining(char) > 0)
    return "".join(
        "".join(sorted(run, key=unicodedata.combining) if is_mark else run) for is_mark, run in runs
    )


class Normaliser:
    r"""Brings a text that arrives in pieces into a normal form.

    The pieces may be cut anywhere, and what is returned is, put together, what `normalise` returns
    for the whole. So the last letter and its marks are held back, because more marks may follow,
    which join the letter or change places. They are held back however many they are: a limit, such
    as the 30 marks of the Stream-Safe Text Format, would change what longer clusters become.

    >>> normaliser = Normaliser("nfc")
    >>> normaliser.feed("oz"), normaliser.feed("\u0307"), normaliser.finish()
    ('o', '', 'ż')
    """

    def __init__(self, form: NormalForm) -> None:
        self._form = form
        self.held: list[str] = []
        """The pieces that are held back."""
        self.changed = False
        """Whether anything that was returned is not as it was fed."""

    def feed(self, piece: str) -> str:
        """Return what is settled by the next piece of the text."""
        if self._form == "none":
            return piece
        for start in range(len(piece) - 1, -1, -1):
            if begins_cluster(piece[start]):
                settled = "".join([*self.held, piece[:start]])
                self.held = [piece[start:]]
                return self._normal(settled)
        self.held.append(piece)
        return ""

    def finish(self) -> str:
        """Return what is held back, at the end of the text; then another text may follow."""
        rest = "".join(self.held)
        self.held = []
        return self._normal(rest)

    def normalised(self, pieces: Iterable[str]) -> Iterator[str]:
        """Yield what is settled by each piece of a text, and then the rest."""
        yield from map(self.feed, pieces)
        yield self.finish()

    def _normal(self, text: str) -> str:
        normal = normalise(text, self._form)
        self.changed = self.changed or normal != text
        return normal


def begins_cluster(char: str) -> bool:
    """Tell whether text before a character and text from it on have independent normal forms.

    That is so if its decomposition begins with a starter that is composed with nothing before it.
    """
    if char < FIRST_MARK:
        return True
    first = unicodedata.normalize("NFD", char)[0]
    return unicodedata.combining(first) == 0 and first not in joining_starters()


@cache
def joining_starters() -> frozenset[str]:
    """Return the starters that are composed with a character before them."""
    found = {chr(code) for start, end in VOWELS_AND_TAILS for code in range(start, end)}
    for code in range(ord(FIRST_MARK), LAST_COMPOSITE):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return frozenset(char for char in found if unicodedata.combining(char) == 0)
