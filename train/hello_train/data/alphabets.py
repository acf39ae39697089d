"""Which characters a network knows: counted in the lines that it learns, the rare ones left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hello_train.data.codepoints import codepoints
from hello_train.data.lines import Pair
from hello_train.errors import DataError

UNICODE = 0x110000
BLOCK = 1 << 20
"""Characters that are counted at a time, at least."""

Substitutions = Mapping[tuple[str, str], int]
"""How often each input character, first, stands for each target character."""


class Alphabets(NamedTuple):
    """The characters that a network reads and writes, in the order of their code points."""

    inputs: str
    outputs: str
    guard: dict[str, str]
    """For each input character the outputs that were seen in its place."""


def count_substitutions(pairs: Iterable[Pair]) -> Counter[tuple[str, str]]:
    """Count which characters stand for which in these lines."""
    same = np.zeros(UNICODE, np.int64)
    changed: Counter[int] = Counter()
    for given, target in joined(pairs):
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


def joined(pairs: Iterable[Pair]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Yield the code points of inputs and targets, one line behind the other, in blocks."""
    block: list[Pair] = []
    size = 0
    for pair in pairs:
        block.append(pair)
        size += len(pair.input)
        if size >= BLOCK:
            yield codepoints(pair.input for pair in block), codepoints(p.target for p in block)
            block, size = [], 0
    if block:
        yield codepoints(pair.input for pair in block), codepoints(p.target for p in block)


def choose_alphabets(substitutions: Substitutions, floor: float) -> Alphabets:
    """Return the alphabets of a network that learns these substitutions.

    Args:
        substitutions: what was counted.
        floor: the share of all characters that a character must have, as an input or as a target,
            not to be rare; 0 for all of them.

    Raises:
        DataError: no more than one character is left.
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
    """Check that there is something to learn.

    Raises:
        DataError: every character is written as it is read.
    """
    if not changeable(substitutions):
        raise DataError(
            "every character of the text is written as it is read, so there is nothing to learn; "
            "is it the right text, and in composed form (NFC)?"
        )


def changeable(substitutions: Substitutions) -> frozenset[str]:
    """Return the input characters that are not always written as they are read."""
    return frozenset(given for given, target in substitutions if given != target)


def keeps_case(guard: Mapping[str, str]) -> bool:
    """Tell whether every character is written in the case in which it is read."""
    return all(
        (given.isupper(), given.islower()) == (target.isupper(), target.islower())
        for given, targets in guard.items()
        for target in targets
    )


def fingerprint(substitutions: Substitutions) -> str:
    """Return a digest of what was counted; in hexadecimal."""
    counted = sorted((*pair, count) for pair, count in substitutions.items())
    return blake2b(json.dumps(counted).encode(), digest_size=8).hexdigest()
