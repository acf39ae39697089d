"""Augmentation of training batches: lines in another case, and characters hidden as unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hello_runtime.model.labels import alphabet_labels
from hello_runtime.text.edits import KEEP, Edit
from numpy.typing import NDArray

from hello_train.network.config import ModelConfig
from hello_train.network.model import label_classes

IGNORED = -100
"""The label of a character that does not count in the loss."""
UNKNOWN_RATE = 0.01
"""Share of the characters that get the unknown id, so that its embedding is learned."""

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Augmentation:
    """Changes the ids and labels of a batch, in place.

    Some lines are put into upper case, and as many into lower case. Unless the model refuses
    unknown characters, some characters get the unknown id. Where it labels them, their labels still
    count if they keep the character: of what else it could become nothing can be learned.
    """

    def __init__(self, config: ModelConfig, case_rate: float) -> None:
        """Prepare the tables; `case_rate` is that of `TrainOptions`."""
        self._unknown_id = config.unknown_id
        self._hides = config.unknown != "error"
        self._case_rate = case_rate
        labels = config.output_labels
        keeps = np.array([KEEP in label for label in labels] + [False])
        self._fits_any_case = keeps | np.array([not label for label in labels] + [False])
        # Neither an unknown character that is copied nor a target that is no label counts.
        self._classes, allowed = label_classes(config)
        self._counts: Flags = np.pad(allowed, ((0, 0), (0, 1)))
        self._counts_unknown: Flags = keeps & (config.unknown == "label")
        characters = alphabet_labels(config.input_alphabet)
        self._upper, self._lower = (
            (in_case(characters, change), in_case(labels, change))
            for change in (str.upper, str.lower)
        )

    def __call__(self, ids: Integers, labels: Integers, random: np.random.Generator) -> None:
        """Change ids and labels, both [batch, time]."""
        if self._case_rate:
            drawn = random.random(len(ids))
            self._put_into_case(ids, labels, drawn < self._case_rate, *self._upper)
            self._put_into_case(ids, labels, drawn > 1 - self._case_rate, *self._lower)
        counts = self._are_allowed(ids, labels)
        if self._hides:
            hidden = random.random(ids.shape) < UNKNOWN_RATE
            counts &= ~hidden | self._counts_unknown[labels]
            ids[hidden] = self._unknown_id
        labels[~counts] = IGNORED

    def _are_allowed(self, ids: Integers, labels: Integers) -> Flags:
        """Tell which labels count, [batch, time]."""
        known = ids != self._unknown_id
        allowed: Flags = self._counts[self._classes[ids], labels]
        return np.where(known, allowed, self._counts_unknown[labels])

    def _put_into_case(
        self,
        ids: Integers,
        labels: Integers,
        rows: Flags,
        id_cases: Integers,
        label_cases: Integers,
    ) -> None:
        """Put rows into another case, except characters whose target would not be allowed.

        A label that replaces a character must change with it; one that keeps or deletes it need
        not.
        """
        new_ids, new_labels = id_cases[ids[rows]], label_cases[labels[rows]]
        changed_together = (new_ids != ids[rows]) == (new_labels != labels[rows])
        fits = changed_together | self._fits_any_case[new_labels]
        fits &= self._are_allowed(new_ids, new_labels)
        ids[rows] = np.where(fits, new_ids, ids[rows])
        labels[rows] = np.where(fits, new_labels, labels[rows])


def in_case(labels: Sequence[Edit], change: Callable[[str], str]) -> Integers:
    """Return the number of each label with its characters in another case, [labels + 1].

    It is the label's own number if there is no such label. The last entry, for what is no label, is
    its own number too.
    """
    number = {label: position for position, label in enumerate(labels)}
    changed = (
        tuple(element if element is KEEP else change(element) for element in label)
        for label in labels
    )
    others = np.array([*(number.get(label, -1) for label in changed), -1])
    return np.where(others < 0, np.arange(len(labels) + 1), others)
