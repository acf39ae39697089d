"""Where text may be cut: in front of a character that is not drawn on the one before it."""

from __future__ import annotations

import unicodedata


def is_mark(char: str) -> bool:
    """Tell whether a character is a mark by its general category, as vowel signs are too."""
    return unicodedata.category(char).startswith("M")


def cut_at(text: str, at: int, step: int) -> int:
    r"""Return the place nearest to `at` at which no mark loses its base, in steps of 1 or -1.

    >>> cut_at("z\u0307a", 1, 1), cut_at("z\u0307a", 1, -1), cut_at("z\u0307a", 9, -1)
    (2, 0, 9)
    """
    while 0 < at < len(text) and is_mark(text[at]):
        at += step
    return at
