"""Which characters a network was slow to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hello_train.fit.history import Evaluation

LEARNED = 0.95
"""Share of a character's places that must be right for it to count as learned."""
OFTEN = 20
"""Places that a character must have: with fewer, one mistake alone would make it not learned."""
SHOWN = 12
"""Characters that are told, at most."""


@dataclass(frozen=True)
class Slow:
    """A character that was not learned by the first evaluation."""

    char: str
    """Of the targets."""
    places: int
    """How often it was in the held-out lines."""
    learned: Evaluation | None
    """The first evaluation from which on, to the end, it was learned; None if it is not."""
    shares: tuple[float, ...]
    """How much of it was right at each evaluation, 0 to 1."""


def slowest(evaluations: Sequence[Evaluation]) -> list[Slow]:
    """Return the characters that were learned last, the slowest first.

    A character counts as learned from the evaluation on after which it never fell below `LEARNED`
    again. So one that was right for a while and then forgotten is slow, and one that is still not
    learned is slower than any that is, the worse the slower. Rare characters, of fewer than `OFTEN`
    places, are left out, and so are those that were learned by the first evaluation.
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
    """Return how much of a character was right, 0 if it was not there."""
    right, places = evaluation.by_character.get(char, (0, 0))
    return right / places if places else 0.0
