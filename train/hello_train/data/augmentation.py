"""Augmentation of training batches: lines in another case, and characters hidden as unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hello_train.network.config import ModelConfig
from hello_train.network.model import allowed_labels

IGNORED = -100
"""The label of a character that does not count in the loss."""
UNKNOWN_RATE = 0.01
"""Share of the characters that get the unknown id, so that its embedding is learned."""

Integers = NDArray[np.int64]


class Augmentation:
    """Changes the ids and labels of a batch, in place.

    Some lines are put into upper case, and as many into lower case. Where the model copies unknown
    characters, some characters get the unknown id.
    """

    def __init__(self, config: ModelConfig, case_rate: float) -> None:
        """Prepare the tables.

        Args:
            config: of the network that is trained.
            case_rate: share of the lines that are put into upper case, and into lower case.
        """
        self._unknown_id = config.unknown_id
        self._hides = config.unknown == "copy"
        self._case_rate = case_rate
        # Neither an unknown character nor a target that is no label counts.
        counts = allowed_labels(config).numpy()
        counts[config.unknown_id] = False
        self._counts = np.pad(counts, ((0, 0), (0, 1)))
        self._upper, self._lower = (
            (in_case(config.input_alphabet, change), in_case(config.output_alphabet, change))
            for change in (str.upper, str.lower)
        )

    def __call__(self, ids: Integers, labels: Integers, random: np.random.Generator) -> None:
        """Change ids and labels, both [batch, time]."""
        if self._case_rate:
            drawn = random.random(len(ids))
            self._put_into_case(ids, labels, drawn < self._case_rate, *self._upper)
            self._put_into_case(ids, labels, drawn > 1 - self._case_rate, *self._lower)
        labels[~self._counts[ids, labels]] = IGNORED
        if self._hides:
            hidden = random.random(ids.shape) < UNKNOWN_RATE
            ids[hidden], labels[hidden] = self._unknown_id, IGNORED

    def _put_into_case(
        self,
        ids: Integers,
        labels: Integers,
        rows: NDArray[np.bool_],
        id_cases: Integers,
        label_cases: Integers,
    ) -> None:
        """Put rows into another case, except characters whose target would not be allowed."""
        new_ids, new_labels = id_cases[ids[rows]], label_cases[labels[rows]]
        changed_together = (new_ids != ids[rows]) == (new_labels != labels[rows])
        fits = self._counts[new_ids, new_labels] & changed_together
        ids[rows] = np.where(fits, new_ids, ids[rows])
        labels[rows] = np.where(fits, new_labels, labels[rows])


def in_case(alphabet: str, change: Callable[[str], str]) -> Integers:
    """Return the position of each character of an alphabet in another case, [alphabet + 1].

    It is the character's own position if the other case is not in the alphabet or has more than one
    character. The last entry, for characters outside the alphabet, is its own position too.
    """
    position = {char: number for number, char in enumerate(alphabet)}
    others = np.array([*(position.get(change(char), -1) for char in alphabet), -1])
    return np.where(others < 0, np.arange(len(alphabet) + 1), others)
