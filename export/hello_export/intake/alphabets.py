"""Alphabets and labels of a network from outside: which entry has which id.

They are given as text, one character for each id; as a `.txt` file, one entry a line; or as a
`.json` file or value, a list of entries or an object of entries and their ids.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hello_runtime.errors import InputError, first_line, printable
from hello_runtime.text.lines import BYTE_ORDER_MARK, block_of, reading

from hello_export.errors import IntakeError

Given: TypeAlias = "str | Path | Sequence[str] | Mapping[str, int]"
"""An alphabet or labels: text, a file, or the entries themselves."""
SUFFIXES = (".txt", ".json")
"""Of the files; a text that ends so is the name of one."""
MOST_IDS = 2**21
"""More entries than any alphabet has: Unicode has 1,114,112 code points."""
SHOWN = 8
"""Entries that an error names, at most."""


@dataclass(frozen=True)
class Entries:
    """The entries of an alphabet or of labels, in the order of their ids."""

    source: str
    """Where they come from, for errors: the file, or the text in quotes."""
    values: tuple[str | None, ...]
    """The entry of each id; None for an id that has none."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def characters(self) -> dict[str, int]:
        """The entries that are one character, with their ids."""
        return {value: id_ for id_, value in enumerate(self.values) if value and len(value) == 1}

    @property
    def reserved(self) -> dict[int, str | None]:
        """The ids that no character has, with their entries, such as `<pad>`."""
        return {
            id_: value for id_, value in enumerate(self.values) if value is None or len(value) != 1
        }


def read_entries(given: Given) -> Entries:
    """Return the entries of an alphabet or of labels.

    Args:
        given: a text with one character for each id, or the name of a file that ends in `.txt` or
            `.json`; a path; or a list of entries, or a mapping of entries to ids.

    Raises:
        IntakeError: the file cannot be read, an entry stands twice, or the ids are no ids.

    Example:
        >>> read_entries("ehlo").characters
        {'e': 0, 'h': 1, 'l': 2, 'o': 3}
        >>> read_entries(["<pad>", "a", "b"]).reserved
        {0: '<pad>'}
    """
    if isinstance(given, Path) or (isinstance(given, str) and given.lower().endswith(SUFFIXES)):
        source = str(given)
        values = read_file(Path(given))
    elif isinstance(given, str):
        source = repr(printable(given[:40])) + "..." * (len(given) > 40)
        values = tuple(given)
    else:
        source = "the given entries"
        values = parse_entries(source, given)
    check_entries(source, values)
    return Entries(source, values)


def read_file(file: Path) -> tuple[str | None, ...]:
    """Return the entries in a file.

    Raises:
        IntakeError: it is missing, not UTF-8, or no list or object of entries.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise IntakeError(f"{file}: entries are read from a .txt or a .json file")
    try:
        with reading(file):
            content = file.read_bytes()
        if file.suffix.lower() == ".txt":
            lines = content.removesuffix(b"\n").split(b"\n")
            texts = block_of(lines, f"{file}, line").texts
            return (texts[0].removeprefix(BYTE_ORDER_MARK), *texts[1:]) if content else ()
        text = content.decode("utf-8-sig")
        return parse_entries(str(file), json.loads(text, object_pairs_hook=list))
    except InputError as error:
        raise IntakeError(str(error)) from error
    except (RecursionError, ValueError) as error:
        raise IntakeError(f"{file}: no JSON in UTF-8 ({first_line(error)})") from error


def parse_entries(source: str, content: Any) -> tuple[str | None, ...]:
    """Return the entries of a list, or of a mapping or list of pairs of entries and ids.

    Raises:
        IntakeError: it is neither, or two entries have one id.
    """
    pairs = list(content.items()) if isinstance(content, Mapping) else content
    if not isinstance(pairs, (list, tuple)):
        raise IntakeError(f"{source}: neither a list of entries nor an object of entries and ids")
    if all(isinstance(entry, str) for entry in pairs):
        return tuple(pairs)
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        odd = next(entry for entry in pairs if not isinstance(entry, (str, tuple)))
        raise IntakeError(f"{source}: {first_line(repr(odd), 60)} is no text, as each entry is")
    return by_id(source, pairs)


def by_id(source: str, pairs: Sequence[tuple[str, Any]]) -> tuple[str | None, ...]:
    """Return entries in the order of their ids; None for an id that no entry has.

    Raises:
        IntakeError: an id is no id, or stands twice.
    """
    odd = [pair for pair in pairs if type(pair[1]) is not int or not 0 <= pair[1] < MOST_IDS]
    if odd:
        shown = [f"{entry!r}: {first_line(repr(id_), 20)}" for entry, id_ in odd[:SHOWN]]
        raise IntakeError(
            f"{source}: {', '.join(shown)}: an entry's value must be its id, a whole number from 0"
        )
    ids = Counter(id_ for _, id_ in pairs)
    if twice := [id_ for id_, count in ids.items() if count > 1]:
        shown = [
            f"id {id_} to {' and '.join(repr(entry) for entry, own in pairs if own == id_)}"
            for id_ in twice[:SHOWN]
        ]
        raise IntakeError(f"{source}: it gives {', '.join(shown)}")
    entries = {id_: entry for entry, id_ in pairs}
    return tuple(entries.get(id_) for id_ in range(max(ids) + 1))


def check_entries(source: str, values: Sequence[str | None]) -> None:
    """Check that each entry stands there once and can be written as UTF-8.

    Raises:
        IntakeError: one does not, or there are no entries.
    """
    if not values:
        raise IntakeError(f"{source}: it has no entries")
    ids: dict[str, list[int]] = {}
    for id_, value in enumerate(values):
        if value is not None:
            ids.setdefault(value, []).append(id_)
    faults = [
        f"{value!r} has the ids {' and '.join(map(str, own[:3]))}; an entry has one"
        for value, own in ids.items()
        if len(own) > 1
    ]
    faults += [
        f"{value!r} has half of a surrogate pair, which is no character"
        for value in ids
        if any("\ud800" <= char <= "\udfff" for char in value)
    ]
    if faults:
        raise IntakeError(f"{source}: {listed(faults, '; ')}")


def listed(values: Sequence[str], separator: str = ", ") -> str:
    """Return the first values, and how many more there are."""
    more = [f"and {len(values) - SHOWN} more"] * (len(values) > SHOWN)
    return separator.join([*values[:SHOWN], *more])
