"""The alphabet and labels of a network: those of its training lines, without rare ones."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hello_runtime.text.alignment import edit_of
from hello_runtime.text.edits import KEEP, Edit, apply
from hello_runtime.text.pairs import AnyPair, in_blocks

from hello_train.data.labels import take_apart
from hello_train.errors import DataError

if TYPE_CHECKING:
    from hello_runtime.model.labels import Guard

UNICODE = 0x110000
BLOCK = 1 << 20
"""Characters that are counted at a time, at least."""

Substitutions = Mapping[tuple[str, str], int]
"""How often each pair of an input character and its piece of the target occurs."""


class Alphabets(NamedTuple):
    """What a network reads and may write."""

    inputs: str
    """Its characters, in the order of their code points."""
    labels: tuple[Edit, ...]
    """Its edits, those that keep the character first."""
    guard: Guard
    """The labels of each input character that occur in the training lines."""
    changeable: frozenset[str] = frozenset()
    """The characters with a piece other than themselves, in the training lines."""
    dropped: int = 0
    """Labels that are not learned because there would be too many."""
    dropped_share: float = 0.0
    """Share of the characters that have these labels."""


def count_substitutions(pairs: Iterable[AnyPair]) -> Counter[tuple[str, str]]:
    """Count the pairs of an input character and its piece of the target in these lines."""
    same = np.zeros(UNICODE, np.int64)
    changed: Counter[int] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for block in in_blocks(pairs, lambda pair: len(pair.input), BLOCK):
        given, written, others, pieces = take_apart(block)
        found.update(zip(map(chr, given[others].tolist()), pieces, strict=True))
        single = np.ones(len(given), np.bool_)
        single[others] = False
        equal = given == written
        same += np.bincount(given[single & equal], minlength=UNICODE)
        keys = given.astype(np.int64) * UNICODE + written
        kinds, counts = np.unique(keys[single & ~equal], return_counts=True)
        changed.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
    found.update({(chr(code),) * 2: int(same[code]) for code in np.flatnonzero(same).tolist()})
    found.update(
        {(chr(key // UNICODE), chr(key % UNICODE)): count for key, count in changed.items()}
    )
    return found


def choose_alphabets(
    substitutions: Substitutions, floor: float, most_labels: int | None = None, *, keep: bool = True
) -> Alphabets:
    """Return the alphabet and labels of a network that learns these substitutions.

    Args:
        substitutions: those of the training lines.
        floor: the share of all characters below which a character is rare, as an input, and a label
            is; 0 to leave none out.
        most_labels: how many labels there may be; of more the rarest are left out.
        keep: whether a character that stays has a label that keeps it, and not one that writes it.

    Raises:
        DataError: fewer than two characters are left.
    """
    inputs: Counter[str] = Counter()
    counts: Counter[Edit] = Counter()
    possible: defaultdict[str, set[Edit]] = defaultdict(set)
    for (char, piece), count in substitutions.items():
        edit = edit_of(char, piece) if keep else tuple(piece)
        inputs[char] += count
        counts[edit] += count
        possible[char].add(edit)
    total = inputs.total()
    frequent = {edit for edit, count in counts.items() if count >= floor * total}
    chosen = set(sorted(frequent, key=lambda edit: (-counts[edit], sort_key(edit)))[:most_labels])
    learned = {
        char: possible[char] & chosen
        for char in sorted(inputs)
        if inputs[char] >= floor * total and possible[char] & chosen
    }
    check_alphabet(learned, inputs)
    labels = tuple(sorted(set().union(*learned.values()), key=sort_key))
    dropped = frequent - chosen
    return Alphabets(
        "".join(learned),
        labels,
        guard_of(learned, labels),
        changeable(substitutions),
        len(dropped),
        sum(counts[edit] for edit in dropped) / total,
    )


def check_alphabet(learned: Collection[str], counts: Counter[str]) -> None:
    """Raise a DataError if fewer than two of the characters that were counted are learned."""
    if len(learned) < 2:
        raise DataError(
            f"of the {len(counts)} different characters of the text {len(learned)} would be "
            f"learned, and that is nothing to tell apart; give other text, or a smaller --rare"
        )


def sort_key(edit: Edit) -> tuple[bool, tuple[str, ...]]:
    """Return the key that sorts labels: first those with KEEP, and KEEP before characters."""
    return KEEP not in edit, tuple(element or "" for element in edit)


def guard_of(possible: Mapping[str, set[Edit]], labels: Iterable[Edit]) -> Guard:
    """Return the numbers of the possible labels of each character; equal ones are one tuple."""
    number = {edit: label for label, edit in enumerate(labels)}
    classes = {
        edits: tuple(sorted(number[edit] for edit in edits))
        for edits in set(map(frozenset, possible.values()))
    }
    return {char: classes[frozenset(edits)] for char, edits in possible.items()}


def check_changes(substitutions: Substitutions, data: str) -> None:
    """Raise a DataError if every target is its input; `data` has the names of the files."""
    if not changeable(substitutions):
        raise DataError(
            f"{data}: every character is written as it is read, so there is nothing to learn; give "
            f"text that --corrupt changes, or pairs whose two sides differ"
        )


def changeable(substitutions: Substitutions) -> frozenset[str]:
    """Return the input characters with a target other than themselves."""
    return frozenset(given for given, target in substitutions if given != target)


def keeps_case(alphabets: Alphabets) -> bool:
    """Tell whether every label that replaces a character writes one of the same case."""
    return all(
        KEEP in label or not label or case_of(char) == case_of(apply(label, char))
        for char, numbers in alphabets.guard.items()
        for label in (alphabets.labels[number] for number in numbers)
    )


def case_of(text: str) -> tuple[bool, bool]:
    """Return whether a text is in upper case, and whether in lower case."""
    return text.isupper(), text.islower()


def fingerprint(substitutions: Substitutions) -> str:
    """Return a digest of substitutions; in hexadecimal."""
    counted = sorted((*pair, count) for pair, count in substitutions.items())
    return blake2b(json.dumps(counted).encode(), digest_size=8).hexdigest()
