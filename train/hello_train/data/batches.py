"""Training lines as batches of tensors: segments of one length, in a new order in each epoch.

All random numbers depend on the seed, the epoch and the number of the batch only, so a training can
be resumed at any batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from hello_runtime.text.pairs import Aligned, AnyPair, Pair
from numpy.typing import NDArray
from torch import Tensor

from hello_train.data.augmentation import Augmentation
from hello_train.data.labels import Labels
from hello_train.data.lines import Lines
from hello_train.network.config import ModelConfig
from hello_train.network.encoding import encode

SEGMENT = 256
"""Characters of a segment, at most: a longer line is learned in segments."""
POOL = 1 << 20
"""Segments that are sorted by length at a time; more would take more memory."""

Segments = NDArray[np.uint32]
"""The segments of a batch, by number."""


class Batch(NamedTuple):
    """Some segments of one length."""

    ids: Tensor
    """int64 [batch, time]: ids of the input characters."""
    labels: Tensor
    """int64 [batch, time]: labels of the targets; `IGNORED` where a character does not count."""


class PaddedBatch(NamedTuple):
    """Some lines of a classifier, padded at their ends."""

    ids: Tensor
    """int64 [batch, time]: ids of the input characters."""
    labels: Tensor
    """int64 [batch]: the class of each line."""
    lengths: Tensor
    """int64 [batch]: characters of each line."""


class Batches:
    """Training lines as batches.

    A batch has segments of one length, so it has no padding.
    """

    def __init__(
        self,
        config: ModelConfig,
        pairs: Sequence[AnyPair],
        *,
        characters: int,
        case_rate: float,
        seed: int,
    ) -> None:
        """Cut the lines into segments.

        A batch has at most so many `characters`, unless a single segment has more. `case_rate` is
        that of `TrainOptions`.
        """
        self._pairs = pairs
        self._characters = characters
        self._seed = seed
        self._augment = Augmentation(config, case_rate)
        self._line, self._start, self._length = cut(lengths(pairs))
        self._config = config
        self._labels = Labels(config.output_labels)

    def order(self, epoch: int) -> list[Segments]:
        """Return the segments of each batch of an epoch, in the epoch's order."""
        if len(self._line) == 1:  # hello, which has a thousand epochs
            return [np.zeros(1, np.uint32)]
        random = np.random.default_rng((self._seed, epoch))
        segments = np.arange(len(self._line), dtype=np.uint32)
        random.shuffle(segments)
        batches: list[Segments] = []
        for start in range(0, len(segments), POOL):
            found = list(self._of_one_length(segments[start : start + POOL]))
            batches += [found[number] for number in random.permutation(len(found))]
        return batches

    def _of_one_length(self, segments: Segments) -> Iterator[Segments]:
        lengths = self._length[segments]
        by_length = segments[np.argsort(lengths, kind="stable")]
        sizes = np.bincount(lengths)
        ends = np.cumsum(sizes).tolist()
        for length in np.flatnonzero(sizes).tolist():
            rows = max(1, self._characters // length)
            for start in range(ends[length] - int(sizes[length]), ends[length], rows):
                yield by_length[start : min(start + rows, ends[length])]

    def load(self, segments: Segments, epoch: int, number: int) -> Batch:
        """Return a batch of `order`; `number` is its position there."""
        pairs = [self._pair(int(segment)) for segment in segments]
        shape = len(pairs), -1
        ids = encode((pair.input for pair in pairs), self._config.input_alphabet).reshape(shape)
        labels = self._labels.encode(pairs).reshape(shape)
        self._augment(ids, labels, np.random.default_rng((self._seed, epoch, number)))
        return Batch(torch.from_numpy(ids), torch.from_numpy(labels))

    def _pair(self, segment: int) -> AnyPair:
        start = int(self._start[segment])
        end = start + int(self._length[segment])
        return part_of(self._pairs[int(self._line[segment])], start, end)


def part_of(pair: AnyPair, start: int, end: int) -> AnyPair:
    """Return the part of a pair that has these characters of its input."""
    if isinstance(pair, Pair):
        return Pair(pair.input[start:end], pair.target[start:end])
    first, last = sum(pair.lengths[:start]), sum(pair.lengths[:end])
    return Aligned(pair.input[start:end], pair.target[first:last], pair.lengths[start:end])


def lengths(pairs: Sequence[AnyPair]) -> NDArray[np.int32]:
    """Return the characters of each pair, [pairs]."""
    if isinstance(pairs, Lines):
        return pairs.lengths.astype(np.int32)
    return np.array([len(pair.input) for pair in pairs], np.int32)


def cut(
    lengths: NDArray[np.int32],
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.uint16]]:
    """Cut lines into segments; return the line, the start and the length of each, [segments]."""
    counts = -(-lengths // SEGMENT)
    line = np.repeat(np.arange(len(lengths), dtype=np.uint32), counts)
    first = np.cumsum(counts, dtype=np.int32) - counts
    start = (np.arange(len(line), dtype=np.int32) - np.repeat(first, counts)) * SEGMENT
    length = np.minimum(lengths[line] - start, SEGMENT).astype(np.uint16)
    return line, start, length
