"""The labels of a model and its guard, and how files hold them.

A label is an edit. Format 1 holds labels that are one character each as the text `output_alphabet`,
and the guard as an object: `{"a": "aą"}`. Format 2 holds any edits as the list `output_labels`, and
the guard as a list of classes, each with its characters and the numbers of their labels:
`[["a", [0, 1]], ["bc", [0]]]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from hello_runtime.errors import need
from hello_runtime.text.edits import KEEP, check_edit, from_json, to_json

if TYPE_CHECKING:
    from hello_runtime.model.model_file import Unknown
    from hello_runtime.model.tasks import Task
    from hello_runtime.text.edits import Edit
    from hello_runtime.text.normal_forms import NormalForm

Guard: TypeAlias = "Mapping[str, tuple[int, ...]]"
"""For each character that a model reads, the numbers of the labels that it may get. Characters with
equal tuples are a class."""
Format: TypeAlias = Literal[1, 2]

LABELS_KEYS: Mapping[int, str] = {1: "output_alphabet", 2: "output_labels"}
"""The name under which files of a format hold the labels."""


def alphabet_labels(alphabet: Iterable[str]) -> tuple[Edit, ...]:
    """Return the labels that write one character each.

    >>> alphabet_labels("ab")
    (('a',), ('b',))
    """
    return tuple([(char,) for char in alphabet])


def alphabet_guard(guard: Mapping[str, str], alphabet: str) -> Guard:
    """Return a guard given by characters as one by the numbers of an alphabet's labels.

    >>> alphabet_guard({"l": "lł", "z": "z"}, "lłz")
    {'l': (0, 1), 'z': (2,)}

    Raises:
        ValueError: it allows a character that is not in the alphabet.
    """
    number = {char: label for label, char in enumerate(alphabet)}
    classes: dict[str, tuple[int, ...]] = {}
    for outputs in guard.values():
        if outputs not in classes:
            need(number.keys() >= set(outputs), "guard gives what it does not write")
            classes[outputs] = tuple([number[char] for char in outputs])
    return {char: classes[outputs] for char, outputs in guard.items()}


def characters_of(labels: Iterable[Edit]) -> str:
    """Return the characters that labels write, besides those that they keep, each once.

    >>> characters_of([(KEEP,), ("ł",), (KEEP, "-", "ł")])
    'ł-'
    """
    return "".join(dict.fromkeys(char for label in labels for char in label if char is not KEEP))


def width_of(labels: Iterable[Edit]) -> int | None:
    """Return the most characters that a label writes; None if every label writes exactly one.

    >>> width_of([(KEEP,), ("ł",)]), width_of([(KEEP,), (KEEP, " ")]), width_of([(KEEP,), ()])
    (None, 2, 1)
    """
    lengths = {len(label) for label in labels}
    return None if lengths == {1} else max(lengths)


def oldest_format(
    labels: Iterable[Edit],
    unknown: Unknown,
    normalization: NormalForm = "none",
    task: Task = "rewrite",
) -> Format:
    """Return the oldest format whose files can hold such a model."""
    if task != "rewrite" or unknown == "label" or normalization != "none":
        return 2
    return 1 if all(len(label) == 1 and label[0] is not KEEP for label in labels) else 2


def check_labels(labels: Sequence[Edit]) -> None:
    """Raise a ValueError unless labels are edits, each once."""
    need(labels, "it has no labels")
    for number, label in enumerate(labels):
        with of_label(number):
            check_edit(label)
    need(len(set(labels)) == len(labels), "it has a label twice")


@contextmanager
def of_label(number: int) -> Iterator[None]:
    """Add the number of a label to the ValueErrors of this context."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"label {number}: {error}") from error


def check_guard(guard: Guard, alphabet: str, labels: Sequence[Edit]) -> None:
    """Raise a ValueError unless a guard gives each character of an alphabet some labels."""
    need(guard.keys() == set(alphabet), "guard is not of the characters that it reads")
    for numbers in set(guard.values()):
        known = all(0 <= number < len(labels) for number in numbers)
        need(numbers and known, "guard gives what it does not write")


def labels_to_json(labels: Sequence[Edit], version: Format) -> Any:
    """Return labels as a file of a format holds them."""
    if version == 1:
        return characters_of(labels)
    return [to_json(label) for label in labels]


def labels_from_json(value: object, version: int) -> tuple[Edit, ...]:
    """Return the labels that a file holds.

    Raises:
        ValueError: they are none.
    """
    if version == 1:
        need(isinstance(value, str), "an alphabet is not a text")
        labels = alphabet_labels(str(value))
    else:
        if not isinstance(value, list):
            raise ValueError("its labels are not a list")
        found = []
        for number, label in enumerate(value):
            with of_label(number):
                found.append(from_json(label))
        labels = tuple(found)
    check_labels(labels)
    return labels


def guard_to_json(guard: Guard | None, labels: Sequence[Edit], version: Format) -> Any:
    """Return a guard as a file of a format holds it."""
    if guard is None:
        return None
    if version == 1:
        return {
            char: "".join(str(labels[number][0]) for number in numbers)
            for char, numbers in guard.items()
        }
    classes: dict[tuple[int, ...], list[str]] = {}
    for char, numbers in guard.items():
        classes.setdefault(numbers, []).append(char)
    return [["".join(chars), list(numbers)] for numbers, chars in classes.items()]


def guard_from_json(
    value: object, version: int, alphabet: str, labels: Sequence[Edit]
) -> Guard | None:
    """Return the guard that a file holds.

    Raises:
        ValueError: it is no guard of such a model.
    """
    if value is None:
        return None
    if version == 1:
        if not isinstance(value, dict):
            raise ValueError("guard is neither an object nor null")
        need(all(isinstance(outputs, str) for outputs in value.values()), "guard gives no text")
        guard = alphabet_guard(value, characters_of(labels))
    else:
        guard = guard_of_classes(value)
    check_guard(guard, alphabet, labels)
    return guard


def guard_of_classes(value: object) -> Guard:
    """Return the guard of classes `[characters, [numbers]]`.

    Raises:
        ValueError: it is no list of these, or has a character twice.
    """
    if not isinstance(value, list):
        raise ValueError("guard is neither a list nor null")
    guard: dict[str, tuple[int, ...]] = {}
    count = 0
    for item in value:
        match item:
            case [str(characters), [*numbers]] if all(type(number) is int for number in numbers):
                guard |= dict.fromkeys(characters, tuple(numbers))
                count += len(characters)
            case _:
                raise ValueError("guard has what is no class of characters")
    need(count == len(guard), "guard has a character twice")
    return guard
