"""How a target text is worn down to the input that the network shall restore.

A corruption maps one character to one character, so that both texts stay aligned.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

Corruption = Callable[[str], str]
"""From a target character to its input character."""


def strip_diacritics(char: str) -> str:
    """Return a letter without its marks: `ż` is `z`, `Ł` is `L`, `ø` is `o`.

    Marks that Unicode takes apart are removed by canonical decomposition (Unicode Standard Annex
    15); a stroke, hook or bar is part of the letter there, so those letters are found by their
    names ("LATIN SMALL LETTER L WITH STROKE"). What does not strip to one character stays as it
    is, and so does everything that is not a letter.
    """
    if char in DOTLESS:
        return DOTLESS[char]
    if not unicodedata.category(char).startswith("L"):
        return char
    stripped = "".join(c for c in unicodedata.normalize("NFD", char) if not is_mark(c))
    if len(stripped) != 1:
        return char
    plain_name, _, mark = unicodedata.name(stripped, "").partition(" WITH ")
    if not mark:
        return stripped
    try:
        return unicodedata.lookup(plain_name)
    except KeyError:
        return stripped


DOTLESS = {"ı": "i", "ȷ": "j"}
"""Letters that lack a dot, which neither decomposition nor name relates to i and j."""


def is_mark(char: str) -> bool:
    """Tell whether a character is a combining mark."""
    return unicodedata.combining(char) != 0


def lowercase(char: str) -> str:
    """Return a character in lower case; one whose lower case is longer (`İ`) stays as it is."""
    lowered = char.lower()
    return lowered if len(lowered) == 1 else char


CORRUPTIONS: dict[str, Corruption] = {
    "strip-diacritics": strip_diacritics,
    "lowercase": lowercase,
}


def corrupt(text: str, corruption: Corruption) -> str:
    """Return the input text of a target text, of the same length."""
    table = {ord(char): corruption(char) for char in set(text)}
    return text.translate(table)
