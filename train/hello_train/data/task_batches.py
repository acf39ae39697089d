"""Training lines of the tasks `classify` and `next` as batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from hello_runtime.text.pairs import AnyPair

from hello_train.data.augmentation import UNKNOWN_RATE
from hello_train.data.batches import Batch, Batches, PaddedBatch, Segments, lengths
from hello_train.network.config import ModelConfig
from hello_train.network.encoding import encode

MOST_ROWS = 64
"""Lines of a batch of a classifier, at most: with more of them, few steps are left."""
SIMILAR = 32
"""Batches whose lines are sorted by length together, so that they have little padding."""


class NextBatches(Batches):
    """Running text as batches; where the network reads unknown characters, some are hidden."""

    def load(self, segments: Segments, epoch: int, number: int) -> Batch:
        """Return a batch of `order`; `number` is its position there."""
        batch = super().load(segments, epoch, number)
        hide(batch, self._config, np.random.default_rng((self._seed, epoch, number, 1)))
        return batch


class ClassBatches:
    """Lines with a class as batches: whole lines of similar length, padded at their ends."""

    def __init__(
        self, config: ModelConfig, pairs: Sequence[AnyPair], *, characters: int, seed: int
    ) -> None:
        """Prepare the batches of lines with their classes.

        A batch has at most so many `characters`, with padding, unless a single line has more.
        """
        self._config = config
        self._pairs = pairs
        self._lengths = lengths(pairs)
        self._characters = characters
        self._seed = seed
        self._numbers = {name: number for number, name in enumerate(config.classes)}

    def order(self, epoch: int) -> list[Segments]:
        """Return the lines of each batch of an epoch, in the epoch's order."""
        random = np.random.default_rng((self._seed, epoch))
        lines = random.permutation(len(self._pairs)).astype(np.uint32)
        batches: list[Segments] = []
        for start in range(0, len(lines), SIMILAR * MOST_ROWS):
            similar = lines[start : start + SIMILAR * MOST_ROWS]
            batches += self._cut(similar[np.argsort(-self._lengths[similar], kind="stable")])
        return [batches[number] for number in random.permutation(len(batches))]

    def _cut(self, longest_first: Segments) -> Iterator[Segments]:
        start = 0
        while start < len(longest_first):
            fitting = self._characters // int(self._lengths[longest_first[start]])
            stop = start + max(1, min(MOST_ROWS, fitting))
            yield longest_first[start:stop]
            start = stop

    def load(self, segments: Segments, epoch: int, number: int) -> PaddedBatch:
        """Return a batch of `order`; `number` is its position there."""
        pairs = [self._pairs[int(line)] for line in segments]
        sizes = np.array([len(pair.input) for pair in pairs])
        ids = np.full((len(pairs), sizes.max()), self._config.unknown_id, np.int64)
        inside = np.arange(sizes.max()) < sizes[:, None]
        ids[inside] = encode((pair.input for pair in pairs), self._config.input_alphabet)
        labels = np.array([self._numbers[pair.target] for pair in pairs])
        batch = PaddedBatch(*map(torch.from_numpy, (ids, labels, sizes)))
        hide(batch, self._config, np.random.default_rng((self._seed, epoch, number)))
        return batch


def hide(batch: Batch | PaddedBatch, config: ModelConfig, random: np.random.Generator) -> None:
    """Give some characters the unknown id, so that its embedding is learned, if there is one."""
    if config.learns_unknown:
        hidden = random.random(batch.ids.shape) < UNKNOWN_RATE
        batch.ids[torch.from_numpy(hidden)] = config.unknown_id
