"""The alphabets of a network: the characters of its training lines, without rare ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from hello_runtime.text.codepoints import to_codepoints
from hello_runtime.text.pairs import Pair, in_blocks

from hello_train.errors import DataError

UNICODE = 0x110000
BLOCK = 1 << 20
"""Characters that are counted at a time, at least."""

Substitutions = Mapping[tuple[str, str], int]
"""How often each pair of an input character and its target character occurs."""


class Alphabets(NamedTuple):
    """The input and output characters of a network, in the order of their code points."""

    inputs: str
    outputs: str
    guard: dict[str, str]
    """The targets of each input character that occur in the training lines."""


def count_substitutions(pairs: Iterable[Pair]) -> Counter[tuple[str, str]]:
    """Count the pairs of characters in these lines."""
    same = np.zeros(UNICODE, np.int64)
    changed: Counter[int] = Counter()
    for block in in_blocks(pairs, lambda pair: len(pair.input), BLOCK):
        given = to_codepoints("".join(pair.input for pair in block))
        target = to_codepoints("".join(pair.target for pair in block))
        equal = given == target
        same += np.bincount(given[equal], minlength=UNICODE)
        keys = given[~equal].astype(np.int64) * UNICODE + target[~equal]
        kinds, counts = np.unique(keys, return_counts=True)
        changed.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
    found = Counter({(chr(code),) * 2: int(same[code]) for code in np.flatnonzero(same).tolist()})
    found.update(
        {(chr(key // UNICODE), chr(key % UNICODE)): count for key, count in changed.items()}
    )
    return found


def choose_alphabets(substitutions: Substitutions, floor: float) -> Alphabets:
    """Return the alphabets of a network that learns these substitutions.

    Args:
        substitutions: those of the training lines.
        floor: the share of all characters below which a character is rare, as an input or as a
            target; 0 to leave none out.

    Raises:
        DataError: fewer than two characters are left.
    """
    inputs: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    for (given, target), count in substitutions.items():
        inputs[given] += count
        targets[target] += count
    least = floor * inputs.total()
    guard: dict[str, str] = {}
    for given, target in sorted(substitutions):
        if inputs[given] >= least and targets[target] >= least:
            guard[given] = guard.get(given, "") + target
    if len(guard) < 2:
        raise DataError(
            f"of the {len(inputs)} different characters of the text {len(guard)} would be learned, "
            f"and that is nothing to tell apart; give other text, or a smaller --rare"
        )
    outputs = "".join(sorted(set("".join(guard.values()))))
    return Alphabets("".join(guard), outputs, guard)


def check_changes(substitutions: Substitutions) -> None:
    """Check that some characters change.

    Raises:
        DataError: every target is its input.
    """
    if not changeable(substitutions):
        raise DataError(
            "every character of the text is written as it is read, so there is nothing to learn; "
            "is it the right text, and in composed form (NFC)?"
        )


def changeable(substitutions: Substitutions) -> frozenset[str]:
    """Return the input characters with a target other than themselves."""
    return frozenset(given for given, target in substitutions if given != target)


def keeps_case(guard: Mapping[str, str]) -> bool:
    """Tell whether every target has the case of its input."""
    return all(
        (given.isupper(), given.islower()) == (target.isupper(), target.islower())
        for given, targets in guard.items()
        for target in targets
    )


def fingerprint(substitutions: Substitutions) -> str:
    """Return a digest of substitutions; in hexadecimal."""
    counted = sorted((*pair, count) for pair, count in substitutions.items())
    return blake2b(json.dumps(counted).encode(), digest_size=8).hexdigest()
