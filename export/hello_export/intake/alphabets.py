"""Alphabets and labels of a network from outside: which entry has which id.

They are given as text, one character for each id; as a `.txt` file, one entry a line; or as a
`.json` file or value, a list of entries, an object of entries and their ids, or one of ids and
entries. Labels may be edits too: in JSON a list such as `[null, "\u064e"]`, in which null is the
character that was read.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hello_runtime.errors import InputError, first_line
from hello_runtime.text.edits import Edit, from_json, to_json
from hello_runtime.text.lines import BYTE_ORDER_MARK, block_of, reading

from hello_export.errors import IntakeError

Given: TypeAlias = "str | Path | Sequence[str] | Mapping[str, int] | Mapping[int, str]"
"""An alphabet: text, a file, or the entries themselves."""
GivenLabels: TypeAlias = "Given | Sequence[str | Sequence[str | None]]"
"""Labels likewise; an entry may be an edit with KEEP in it."""
Entry: TypeAlias = "str | Edit"
"""An entry as it was given: a text, or an edit with KEEP in it."""
SUFFIXES = (".txt", ".json")
"""Of the files; a text that ends so is the name of one."""
MOST_IDS = 2**21
"""More entries than any alphabet has: Unicode has 1,114,112 code points."""
DIGITS = 9
"""Digits of an id that are read; it is too large if it has as many."""
SHOWN = 8
"""Entries that an error names, at most."""


@dataclass(frozen=True)
class Entries:
    """The entries of an alphabet or of labels, in the order of their ids."""

    source: str
    """Where they come from, for errors: the file, or the text in quotes."""
    values: tuple[Entry | None, ...]
    """The entry of each id; None for an id that has none."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def characters(self) -> dict[str, int]:
        """The entries that are one character, with their ids."""
        return {
            value: id_
            for id_, value in enumerate(self.values)
            if isinstance(value, str) and len(value) == 1
        }

    @property
    def reserved(self) -> dict[int, Entry | None]:
        """The ids that no character has, with their entries, such as `<pad>`."""
        known = self.characters.values()
        return {id_: value for id_, value in enumerate(self.values) if id_ not in known}


def read_entries(given: Given) -> Entries:
    """Return the entries of an alphabet.

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
    found = read_labels(given)
    if edits := [value for value in found.values if isinstance(value, tuple)]:
        shown = first_line(repr(list(edits[0])), 60)
        raise IntakeError(f"{found.source}: {shown} is no text, as an entry of an alphabet is")
    return found


def read_labels(given: GivenLabels) -> Entries:
    """Return the entries of labels: those of an alphabet, and edits with KEEP in them.

    Raises:
        IntakeError: as in `read_entries`, or a list is no edit.

    Example:
        >>> read_labels(["ł", "", [None, "-"]]).values
        ('ł', '', (None, '-'))
    """
    if isinstance(given, Path) or (isinstance(given, str) and is_file(given)):
        source = str(given)
        values = read_file(Path(given))
    elif isinstance(given, str):
        source = repr(given[:40]) + "..." * (len(given) > 40)
        values = tuple(given)
    else:
        source = "the given entries"
        values = parse_entries(source, given)
    check_entries(source, values)
    return Entries(source, values)


def is_file(text: str) -> bool:
    """Tell whether a text is the name of a file and not the entries themselves."""
    # Path.is_file raises an error if the text is too long for a name.
    return text.lower().endswith(SUFFIXES) or os.path.isfile(text)  # noqa: PTH113


def read_file(file: Path) -> tuple[Entry | None, ...]:
    """Return the entries in a file.

    Raises:
        IntakeError: it is missing, not UTF-8, or no list or object of entries.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise IntakeError(
            f"{file}: a file of entries ends in .txt or .json, which says how to read it"
        )
    try:
        with reading(file):
            content = file.read_bytes()
        if file.suffix.lower() == ".txt":
            lines = content.removesuffix(b"\n").split(b"\n")
            texts = [*map(str, block_of(lines, f"{file}, line").texts)]
            return (texts[0].removeprefix(BYTE_ORDER_MARK), *texts[1:]) if content else ()
        text = content.decode("utf-8-sig")
        return parse_entries(str(file), json.loads(text, object_pairs_hook=Pairs))
    except InputError as error:
        raise IntakeError(str(error)) from error
    except (RecursionError, ValueError) as error:
        raise IntakeError(f"{file}: no JSON in UTF-8 ({first_line(error)})") from error


def parse_entries(source: str, content: Any) -> tuple[Entry | None, ...]:
    """Return the entries of a list or a mapping; JSON's object comes as a `Pairs`.

    Raises:
        IntakeError: it is neither, two entries have one id, or an entry is neither text nor edit.
    """
    if isinstance(content, Mapping):
        content = Pairs(content.items())
    if isinstance(content, Pairs):
        return by_id(source, content)
    if not isinstance(content, (list, tuple)):
        raise IntakeError(f"{source}: neither a list of entries nor an object of entries and ids")
    return tuple([parse_entry(source, entry) for entry in content])


def parse_entry(source: str, entry: Any) -> Entry:
    """Return an entry: a text, or an edit with KEEP in it, which is a list of texts and None.

    Raises:
        IntakeError: it is neither.
    """
    if isinstance(entry, str):
        return entry
    edit = entry
    if isinstance(entry, (list, tuple)):
        edit = [
            element for part in entry for element in (part if isinstance(part, str) else [part])
        ]
    try:
        return from_json(edit)
    except ValueError as error:
        shown = first_line(repr(entry), 60)
        raise IntakeError(f"{source}: {shown} is no text, as an entry is ({error})") from error


class Pairs(list[tuple[Any, Any]]):
    """The entries of a JSON object with their ids; an entry may stand there twice."""


def by_id(source: str, pairs: Sequence[tuple[Any, Any]]) -> tuple[str | None, ...]:
    """Return entries in the order of their ids; None for an id that no entry has.

    The pairs are entries and ids, or ids and entries; in JSON those ids are texts.

    Raises:
        IntakeError: an id is no id, or stands twice.
    """
    if not pairs:
        return ()
    if all(str(key).isdecimal() and isinstance(value, str) for key, value in pairs):
        pairs = [(value, int(str(key)[:DIGITS])) for key, value in pairs]
    odd = [
        (entry, id_)
        for entry, id_ in pairs
        if not isinstance(entry, str) or type(id_) is not int or not 0 <= id_ < MOST_IDS
    ]
    if odd:
        shown = [f"{entry!r}: {first_line(repr(id_), 20)}" for entry, id_ in odd[:SHOWN]]
        raise IntakeError(
            f"{source}: {', '.join(shown)}: an entry's value must be its id, a whole number from 0"
        )
    ids = Counter(id_ for _, id_ in pairs)
    if twice := [id_ for id_, count in ids.items() if count > 1]:
        shown = [
            f"id {id_} to {' and '.join(shown_entry(entry) for entry, own in pairs if own == id_)}"
            for id_ in twice[:SHOWN]
        ]
        raise IntakeError(f"{source}: it gives {', '.join(shown)}")
    entries = {id_: entry for entry, id_ in pairs}
    return tuple(entries.get(id_) for id_ in range(max(ids) + 1))


def check_entries(source: str, values: Sequence[Entry | None]) -> None:
    """Raise an IntakeError unless there are entries, each once, and UTF-8 can hold them."""
    if not values:
        raise IntakeError(f"{source}: it has no entries")
    ids: dict[Entry, list[int]] = {}
    for id_, value in enumerate(values):
        if value is not None:
            ids.setdefault(value, []).append(id_)
    faults = [
        f"{shown_entry(value)} has the ids {' and '.join(map(str, own[:3]))}; an entry has one"
        for value, own in ids.items()
        if len(own) > 1
    ]
    faults += [
        f"{value!r} has half of a surrogate pair, which is no character"
        for value in ids
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value)
    ]
    if faults:
        raise IntakeError(f"{source}: {listed(faults, '; ')}")


def listed(values: Sequence[str], separator: str = ", ") -> str:
    """Return the first values, and how many more there are."""
    more = [f"and {len(values) - SHOWN} more"] * (len(values) > SHOWN)
    return separator.join([*values[:SHOWN], *more])


def shown_entry(entry: Entry | None) -> str:
    """Return an entry for people, in the form of JSON if it has KEEP."""
    if entry is None:
        return "without an entry"
    return repr(entry) if isinstance(entry, str) else json.dumps(to_json(entry))
