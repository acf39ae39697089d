"""The characters that a network learned last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hello_train.report.history import Evaluation

LEARNED = 0.95
"""Share of a character's places that must be right to count as learned."""
OFTEN = 20
"""Smallest number of places of a character: with fewer, one mistake alone would decide."""
SHOWN = 12
"""Largest number of characters."""


@dataclass(frozen=True)
class Slow:
    """A character that was not yet learned at the first evaluation."""

    char: str
    places: int
    """How often it is in the targets."""
    learned: Evaluation | None
    """The first evaluation after which it stayed learned; None if it is not learned."""
    shares: tuple[float, ...]
    """Share of its places that were right at each evaluation, 0 to 1."""


def slowest(evaluations: Sequence[Evaluation]) -> list[Slow]:
    """Return the characters that were learned last, the slowest first.

    A character is learned at the first evaluation after which its share never falls below `LEARNED`
    again. Those not learned come first, the least accurate at the top. Characters with fewer than
    `OFTEN` places are left out, and so are those learned at the first evaluation.
    """
    if not evaluations:
        return []
    found = []
    for char, (_, places) in evaluations[-1].by_character.items():
        if places < OFTEN:
            continue
        shares = tuple(share(evaluation, char) for evaluation in evaluations)
        since = max(
            (index for index, value in enumerate(shares, start=1) if value < LEARNED), default=0
        )
        if since > 0:
            learned = evaluations[since] if since < len(evaluations) else None
            found.append((-since, shares[-1], Slow(char, places, learned, shares)))
    return [slow for *_, slow in sorted(found, key=lambda item: (*item[:2], item[2].char))][:SHOWN]


def share(evaluation: Evaluation, char: str) -> float:
    """Return the accuracy of a character, 0 to 1; 0 if it did not occur."""
    right, places = evaluation.by_character.get(char, (0, 0))
    return right / places if places else 0.0
