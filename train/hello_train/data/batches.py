"""Lines as batches of tensors: windows of one length, in a new order in each epoch.

Everything random here comes from the seed, the epoch and the batch's place in it alone, so that a
training can go on at any batch as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from hello_runtime.text.pairs import Pair
from numpy.typing import NDArray
from torch import Tensor

from hello_train.data.lines import Lines
from hello_train.fit.options import TrainOptions
from hello_train.network.config import ModelConfig
from hello_train.network.encoding import encode
from hello_train.network.model import allowed_labels

WINDOW = 256
"""Longer lines are learned in pieces of this many characters."""
POOL = 1 << 20
"""Windows among which those of one length are sought, so that the order of many takes no memory."""
IGNORED = -100
"""The label of a character that does not count."""
UNKNOWN_RATE = 0.01
"""Share of the characters that are hidden behind the unknown id, so that its vector is learned."""

Integers = NDArray[np.int64]
Windows = NDArray[np.uint32]
"""The windows of a batch, by number."""


class Batch(NamedTuple):
    """Some windows of one length."""

    ids: Tensor
    """int64 [batch, time]: the characters' ids."""
    labels: Tensor
    """int64 [batch, time]: what they shall become; `IGNORED` where that does not count."""


class Batches:
    """The lines of a training as batches.

    A batch holds windows of one length, so that nothing in it is padding and a line of up to
    `WINDOW` characters is learned just as it will be read.
    """

    def __init__(self, config: ModelConfig, pairs: Sequence[Pair], options: TrainOptions) -> None:
        self._pairs = pairs
        self._characters = options.batch_characters
        self._seed = options.seed
        self._wear = Wear(config, options.case_rate)
        self._line, self._start, self._length = cut(lengths(pairs))
        self._config = config

    def order(self, epoch: int) -> list[Windows]:
        """Return the batches of an epoch as the windows that are in them."""
        random = np.random.default_rng((self._seed, epoch))
        windows = np.arange(len(self._line), dtype=np.uint32)
        random.shuffle(windows)
        batches: list[Windows] = []
        for start in range(0, len(windows), POOL):
            found = list(self._of_one_length(windows[start : start + POOL]))
            batches += [found[place] for place in random.permutation(len(found))]
        return batches

    def _of_one_length(self, windows: Windows) -> Iterator[Windows]:
        lengths = self._length[windows]
        by_length = windows[np.argsort(lengths, kind="stable")]
        sizes = np.bincount(lengths)
        ends = np.cumsum(sizes).tolist()
        for length in np.flatnonzero(sizes).tolist():
            rows = max(1, self._characters // length)
            for start in range(ends[length] - int(sizes[length]), ends[length], rows):
                yield by_length[start : min(start + rows, ends[length])]

    def load(self, windows: Windows, epoch: int, place: int) -> Batch:
        """Return a batch of `order`, which stands at this place of its epoch."""
        pieces = [self._piece(int(window)) for window in windows]
        shape = len(pieces), -1
        ids = encode((piece.input for piece in pieces), self._config.input_alphabet).reshape(shape)
        labels = encode((piece.target for piece in pieces), self._config.output_alphabet)
        labels = labels.reshape(shape)
        self._wear(ids, labels, np.random.default_rng((self._seed, epoch, place)))
        return Batch(torch.from_numpy(ids), torch.from_numpy(labels))

    def _piece(self, window: int) -> Pair:
        pair = self._pairs[int(self._line[window])]
        start = int(self._start[window])
        part = slice(start, start + int(self._length[window]))
        return Pair(pair.input[part], pair.target[part])


class Wear:
    """Changes what is learned, so that a network also learns what its lines have too little of.

    Some lines are put into upper case as a whole, and as many into lower case, where the case says
    nothing about the target; and where unknown characters are copied, some characters are hidden as
    if they were unknown.
    """

    def __init__(self, config: ModelConfig, case_rate: float) -> None:
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
        """Change ids and labels, both [batch, time], in place."""
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
        """Put rows into another case, but for the characters that may not become their targets."""
        new_ids, new_labels = id_cases[ids[rows]], label_cases[labels[rows]]
        moved_together = (new_ids != ids[rows]) == (new_labels != labels[rows])
        fits = self._counts[new_ids, new_labels] & moved_together
        ids[rows] = np.where(fits, new_ids, ids[rows])
        labels[rows] = np.where(fits, new_labels, labels[rows])


def lengths(pairs: Sequence[Pair]) -> NDArray[np.int32]:
    """Return the characters of each pair, [pairs]."""
    if isinstance(pairs, Lines):
        return pairs.lengths.astype(np.int32)
    return np.array([len(pair.input) for pair in pairs], np.int32)


def cut(
    lengths: NDArray[np.int32],
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.uint16]]:
    """Cut lines into windows; return of each window its line, its start and its length."""
    counts = -(-lengths // WINDOW)
    line = np.repeat(np.arange(len(lengths), dtype=np.uint32), counts)
    first = np.cumsum(counts, dtype=np.int32) - counts
    start = (np.arange(len(line), dtype=np.int32) - np.repeat(first, counts)) * WINDOW
    length = np.minimum(lengths[line] - start, WINDOW).astype(np.uint16)
    return line, start, length


def in_case(alphabet: str, change: Callable[[str], str]) -> Integers:
    """Return for each position of an alphabet that of the character in another case.

    Where that is not in the alphabet, or is more than one character, it is the same; so it is for
    the position behind the alphabet.
    """
    position = {char: number for number, char in enumerate(alphabet)}
    others = [position.get(change(char), -1) for char in alphabet]
    own = np.arange(len(alphabet) + 1)
    return np.where(np.array([*others, -1]) < 0, own, [*others, -1])
