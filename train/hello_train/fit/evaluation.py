"""Evaluates a network on held-out lines while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from hello_runtime.text.pairs import Pair

from hello_train.fit.score import right_by_character
from hello_train.network.model import Network

MOST_CHARACTERS = 100_000
"""Held-out characters of an evaluation, at most; the score at the end has all of them."""

Counts = dict[str, tuple[int, int]]
"""For each character of the targets how many came out right, and of how many."""


class Evaluator:
    """Has networks rewrite a sample of the held-out lines: the first ones, always the same."""

    def __init__(self, holdout: Sequence[Pair]) -> None:
        self._holdout = holdout
        self.choose_sample(MOST_CHARACTERS)

    def choose_sample(self, characters: int) -> None:
        """Keep to so many characters, but to one line at least."""
        sizes = accumulate(len(pair.input) for pair in self._holdout)
        bound = min(characters, MOST_CHARACTERS)
        fitting = sum(1 for size in sizes if size <= bound)
        self._sample = list(self._holdout[: max(1, fitting)])
        self._inputs = [pair.input for pair in self._sample]

    @property
    def unchanged(self) -> float:
        """Share of the sample's characters that are written as they are read, 0 to 1."""
        return accuracy(right_by_character(self._inputs, self._sample))

    def evaluate(self, network: Network) -> Counts:
        """Return how many characters a network gets right; nothing where no line is held out."""
        return right_by_character(network.rewrite_lines(self._inputs), self._sample)


def accuracy(counts: Counts) -> float:
    """Return the share of the characters that are right, 0 to 1; 0 of none."""
    right, count = map(sum, zip(*counts.values(), strict=True)) if counts else (0, 0)
    return right / count if count else 0.0
