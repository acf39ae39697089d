"""Corruptions: functions from a line of text to the input from which a network restores it.

A corruption whose target is not the line itself returns both, input and target. If the two sides
of a line differ in length they are aligned, so a corruption may remove and merge characters.

`--corrupt module:function` names a corruption of your own. The module is imported from the current
folder, or else from the installed ones. The function is called each time that a line is used, in
either of two threads. It must return the same each time, so random numbers need a generator that
the line seeds:

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

from hello_runtime.errors import first_line

from hello_train.data.clusters import is_mark
from hello_train.errors import ConfigError, DataError

LONGEST_INPUT = 0xFFFF
"""Characters that a corruption may make of a line, at most."""

Corruption: TypeAlias = "Callable[[str], str | tuple[str, str]]"
"""Returns the input of a line, or its input and its target."""


class Characters(dict[int, str]):
    """A table for `str.translate`, filled by calling a function once for each character."""

    def __init__(self, change: Callable[[str], str]) -> None:
        super().__init__()
        self._change = change

    def __missing__(self, codepoint: int) -> str:
        changed = self[codepoint] = self._change(chr(codepoint))
        return changed


def each(change: Callable[[str], str]) -> Callable[[str], str]:
    """Return the corruption that applies a function to each character."""
    table = Characters(change)
    return lambda line: line.translate(table)


def strip_diacritics(char: str) -> str:
    """Return a letter without its marks: `ż` is `z`, `Ł` is `L`, `ø` is `o`.

    Combining marks are removed by canonical decomposition (Unicode Standard Annex 15). Letters with
    a stroke, hook or bar have no decomposition; their plain letter is found by name ("LATIN SMALL
    LETTER L WITH STROKE"). A letter that would become several characters stays as it is, and so
    does every character that is not a letter.
    """
    if char in DOTLESS:
        return DOTLESS[char]
    if not unicodedata.category(char).startswith("L"):
        return char
    parts = unicodedata.normalize("NFD", char)
    stripped = "".join(part for part in parts if not unicodedata.combining(part))
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
"""Letters without a dot, which neither decomposition nor name relates to i and j."""


def lowercase(char: str) -> str:
    """Return a character in lower case, or itself if its lower case is longer (`İ`)."""
    lowered = char.lower()
    return lowered if len(lowered) == 1 else char


def strip_marks(line: str) -> str:
    """Remove all combining marks, of any script: those of the letters in which they are composed.

    So `żółw` becomes `zołw`: the stroke of `ł` is part of the letter.
    """
    return "".join(c for c in unicodedata.normalize("NFD", line) if not is_mark(c))


def drop_all(pattern: str) -> Callable[[str], str]:
    """Return the corruption that removes what matches a regular expression."""
    expression = re.compile(pattern)
    return lambda line: expression.sub("", line)


LETTER = r"[^\W\d_]"

CORRUPTIONS: dict[str, Corruption] = {
    "strip-diacritics": each(strip_diacritics),
    "strip-marks": strip_marks,
    "lowercase": each(lowercase),
    # Of a run of marks, of spaces or of leaders only what one edit can put back is removed.
    "drop-punctuation": drop_all(r"(?<=\w)[.,;:!?…]{1,3}(?=\s|$)"),
    "drop-spaces": drop_all(r"(?<=\S) (?=\S)"),
    "drop-hyphens": drop_all(rf"(?<={LETTER})[-\u00ad\u2010](?={LETTER})"),
}


DECOMPOSING = ("strip-marks",)
"""Corruptions of decomposed text."""


def check_corruption(name: str) -> None:
    """Check that a corruption exists, without importing its module.

    Raises:
        ConfigError: its name has another form, or its package does not exist.
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
    """Return one of `CORRUPTIONS`, or the function `module:function`.

    Import all other modules before: a file in the current folder hides an installed package of the
    same name.

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
    except Exception as error:  # the module may raise anything
        raise ConfigError(
            f"the corruption {name!r} cannot be imported: {first_line(error)}"
        ) from error
    if not callable(found):
        raise ConfigError(f"the corruption {name!r} is {found!r}, not a function")
    corruption: Corruption = found
    return corruption


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Look for modules in the current folder first, inside this context."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def corrupt(line: str, corruption: Corruption) -> tuple[str, str]:
    """Return the input and the target of a line.

    Raises:
        DataError: the corruption raises an error, or returns something else.
    """
    try:
        made = corruption(line)
    except Exception as error:  # it may be of the user
        raise DataError(f"the corruption failed with {error!r}") from error
    given, target = made if isinstance(made, tuple) and len(made) == 2 else (made, line)
    if not (isinstance(given, str) and isinstance(target, str)):
        raise DataError(f"the corruption returned {made!r}, which is no text")
    if len(given) > LONGEST_INPUT:
        raise DataError(
            f"the corruption made {len(given)} characters of {len(target)}; {LONGEST_INPUT} are "
            f"possible"
        )
    if "\n" in given + target:
        raise DataError("the corruption made LF, which would make two lines of one")
    try:
        (given + target).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the corruption made U+{ord(error.object[error.start]):04X}, a surrogate, which is no "
            f"character"
        ) from error
    return given, target
