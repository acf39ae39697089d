"""Text for a page in which every character can be seen, whatever it is."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

from hello_train.data.clusters import is_mark

DOTTED_CIRCLE = "\u25cc"
"""Stands before a combining mark that has no base."""


def show(content: object) -> object:
    """Return a text as HTML, with invisible characters as code points; other values unchanged.

    >>> show("a & b")
    Markup('a &amp; b')
    """
    if not isinstance(content, str) or isinstance(content, Markup):
        return content
    shown = (code(char) if is_unseen(char) else escape(char) for char in content)
    return Markup("").join([lone_mark(content), *shown])


def plain(content: str) -> str:
    """Return a text with invisible characters as code points; it is not escaped."""
    return lone_mark(content) + "".join(
        code_point(char) if is_unseen(char) else char for char in content
    )


def character(piece: str) -> Markup:
    """Return what a character becomes as HTML, with the names of what cannot be seen alone."""
    shown = (code(char) if char == " " or is_unseen(char) else escape(char) for char in piece)
    named = (char for char in piece if char == " " or is_unseen(char) or is_mark(char))
    names = ", ".join(filter(None, (unicodedata.name(char, "") for char in named)))
    return Markup('<span class="character">{}</span><small>{}</small>').format(
        Markup("").join([lone_mark(piece), *shown]), names if piece else "nothing"
    )


def code(char: str) -> Markup:
    """Return the code point of a character as HTML."""
    return Markup('<span class="code">{}</span>').format(code_point(char))


def is_unseen(char: str) -> bool:
    """Return whether a character is invisible and not a plain space.

    Those are controls, formats, surrogates, private and unassigned characters, and all other spaces
    (Unicode's general categories C and Z).
    """
    return char != " " and unicodedata.category(char)[0] in "CZ"


def code_point(char: str) -> str:
    """Return the code point of a character in Unicode's notation."""
    return f"U+{ord(char):04X}"


def lone_mark(content: str) -> str:
    """Return a dotted circle if a text starts with a combining mark, else nothing."""
    return DOTTED_CIRCLE if content and is_mark(content[0]) else ""
