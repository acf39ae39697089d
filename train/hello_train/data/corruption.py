"""Corruptions: functions from a line of text to the input from which a network restores it.

An input has as many characters as its line, for the network writes one for each that it reads. A
corruption that cannot leave the line itself as the target returns both, input and target.
`--corrupt module:function` names one of your own. Its module is looked for in the current folder
first, which is a place of modules only while it is imported. The function is called whenever a line
is used, from two threads, now one and now the other, so it must return the same for a line each
time; what is random in it comes from a generator of the line's own:

    def misspell(line: str) -> str:
        source = random.Random(line)
        return "".join(char if source.random() > 0.02 else "x" for char in line)
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from hello_train.errors import ConfigError, DataError

Corruption: TypeAlias = "Callable[[str], str | tuple[str, str]]"
"""From a line of text to its input, or to its input and its target."""


class Characters(dict[int, str]):
    """A table for `str.translate` that asks a function once for each character that it meets."""

    def __init__(self, change: Callable[[str], str]) -> None:
        super().__init__()
        self._change = change

    def __missing__(self, codepoint: int) -> str:
        changed = self[codepoint] = self._change(chr(codepoint))
        return changed


def each(change: Callable[[str], str]) -> Callable[[str], str]:
    """Return the corruption that changes each character by itself."""
    table = Characters(change)
    return lambda line: line.translate(table)


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


def drop_punctuation(line: str) -> tuple[str, str]:
    """Drop the punctuation behind words, and write it as the label of the character before it.

    `Yes, she said.` has the input `Yes she said` and the target `Ye, she sai.`: a character that
    is written as it was read has nothing behind it, and any other is the mark that stood there. Of
    several marks in a row the first one counts. Marks inside a word, as in `3.14`, stay.
    """
    return MARKS.sub(r"\1", line), MARKS.sub(r"\2", line)


MARKS = re.compile(r"(\w)([.,;:!?…])[.,;:!?…]*(?=\s|$)")
"""The last character of a word, and the marks between it and the next space."""


CORRUPTIONS: dict[str, Corruption] = {
    "strip-diacritics": each(strip_diacritics),
    "lowercase": each(lowercase),
    "drop-punctuation": drop_punctuation,
}


def check_corruption(name: str) -> None:
    """Check that there is such a corruption, as far as that shows without running any of it.

    Raises:
        ConfigError: there is none.
    """
    if name in CORRUPTIONS:
        return
    module, _, function = name.partition(":")
    if not (module and function):
        raise ConfigError(
            f"the corruption {name!r} is none of {', '.join(CORRUPTIONS)}; for a function of your "
            f"own write module:function"
        )
    package = module.partition(".")[0]
    with current_folder_first():
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            found = None
    if not found:
        raise ConfigError(
            f"the corruption {name!r} cannot be imported: there is no module {package!r} here or "
            f"installed"
        )


def find_corruption(name: str) -> Corruption:
    """Return one of `CORRUPTIONS`, or the function `module:function`, from here or installed.

    Whatever else will be imported should be so before: what lies in the current folder under the
    name of an installed package runs in its place.

    Raises:
        ConfigError: there is no such function.
    """
    if name in CORRUPTIONS:
        return CORRUPTIONS[name]
    check_corruption(name)
    module, _, function = name.partition(":")
    try:
        with current_folder_first():
            found = getattr(importlib.import_module(module), function)
    except Exception as error:  # the module is not ours
        raise ConfigError(f"the corruption {name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ConfigError(f"the corruption {name!r} is {found!r}, not a function")
    corruption: Corruption = found
    return corruption


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Give a context in which modules are looked for in the current folder first."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def corrupt(line: str, corruption: Corruption) -> tuple[str, str]:
    """Return the input and the target of a line, of the same length.

    Raises:
        DataError: the corruption fails, or gives something else.
    """
    try:
        made = corruption(line)
    except Exception as error:  # it may be the user's own
        raise DataError(f"the corruption failed with {error!r}") from error
    given, target = made if isinstance(made, tuple) and len(made) == 2 else (made, line)
    if not (isinstance(given, str) and isinstance(target, str)):
        raise DataError(f"the corruption returned {made!r}, which is no text")
    if len(given) != len(target):
        raise DataError(
            f"the corruption made {len(given)} characters of {len(target)}; it must give one for "
            f"each, {given!r} for {target!r}"
        )
    try:
        (given + target).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the corruption made U+{ord(error.object[error.start]):04X}, a surrogate, which is no "
            f"character"
        ) from error
    return given, target
