"""The cases of a comparison: random batches of every kind of shape, from a model's alphabet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from hello_runtime.text.normal_forms import normalise
from hello_train.network.config import ModelConfig
from numpy.typing import NDArray

BATCHES = (1, 2, 33)
LENGTHS = (1, 2, 7, 257, 1025)
CHUNKS = (1, 7, 64)
UNKNOWN_SHARE = 0.05
"""Share of the characters that the model does not know."""


@dataclass(frozen=True)
class Case:
    """A batch of rows; the padding behind a row's length is random characters too."""

    codepoints: NDArray[np.int32]
    """[batch, time]"""
    lengths: NDArray[np.int32]
    """[batch], each from 1 to time."""
    chunk: int | None = None
    """Characters per call, if chunks pass the state on to the next; None for a single call."""

    @property
    def characters(self) -> int:
        """The number of characters, without padding."""
        return int(self.lengths.sum())

    @property
    def rows(self) -> list[list[int]]:
        """The code points of each row, without padding."""
        return [
            row[:length].tolist() for row, length in zip(self.codepoints, self.lengths, strict=True)
        ]

    def __str__(self) -> str:
        batch, time = self.codepoints.shape
        chained = f", in chunks of {self.chunk}" if self.chunk else ""
        ragged = ", ragged" if (self.lengths != time).any() else ""
        return f"batch {batch}, length {time}{ragged}{chained}"


def grid_cases(
    config: ModelConfig, characters: int = 0, seed: int = 0, unknown: float = UNKNOWN_SHARE
) -> Iterator[Case]:
    """Yield the cases: every batch size with every length, ragged batches, chunks.

    Args:
        config: the network's configuration.
        characters: the least number; the grid is repeated with new text until it is reached.
        seed: seed of the text.
        unknown: share of the characters that the model does not know.
    """
    source = RandomText(config, seed, unknown)
    chained = config.has_state
    for case in source.grid(chained=chained):
        characters -= case.characters
        yield case
    for case in chain.from_iterable(source.grid(chained=chained) for _ in count()):
        if characters <= 0:
            return
        characters -= case.characters
        yield case


def readable_cases(config: ModelConfig) -> Iterator[Case]:
    """Yield the cases without the unknown characters that a network refuses."""
    return grid_cases(config, unknown=UNKNOWN_SHARE if config.learns_unknown else 0)


def module_cases(config: ModelConfig) -> Iterator[Case]:
    """Yield the cases of a network that came in as a module.

    Of the two grids every second case each: its module cannot read what the network refuses.
    """
    grids = zip(readable_cases(config), grid_cases(config), strict=True)
    for number, (readable, other) in enumerate(grids):
        yield other if number % 2 else readable


def count_characters(config: ModelConfig, characters: int = 0, seed: int = 0) -> int:
    """Return about how many characters `grid_cases` yields: one grid, or as many as asked for."""
    return max(characters, sum(case.characters for case in grid_cases(config, 0, seed)))


class RandomText:
    """Draws cases from a model's alphabet, with some unknown characters among them."""

    def __init__(self, config: ModelConfig, seed: int, unknown: float = UNKNOWN_SHARE) -> None:
        self._share = unknown
        self._random = np.random.default_rng(seed)
        self._form = config.normalization
        self._known = np.array([ord(char) for char in config.input_alphabet], np.int32)
        self._unknown = np.array(unknown_codepoints(config.input_alphabet), np.int32)

    def grid(self, *, chained: bool) -> Iterator[Case]:
        """Yield a case of each shape; chunks only if `chained`, for a model that has a state."""
        for batch in BATCHES:
            for length in LENGTHS:
                yield self.case(batch, length)
        for batch, length in ((33, 2), (33, 7), (33, 257), (2, 1025)):
            yield self.case(batch, length, ragged=True)
        yield self.case(2, 257, ragged=True, longest=7)
        if chained:
            for chunk in CHUNKS:
                yield self.case(2, 257, chunk=chunk)

    def case(
        self,
        batch: int,
        time: int,
        *,
        ragged: bool = False,
        longest: int | None = None,
        chunk: int | None = None,
    ) -> Case:
        """Return a case of this size.

        Args:
            batch: number of rows.
            time: characters in a row, padding included.
            ragged: whether the rows have different lengths, the shortest being 1.
            longest: length of the longest row of a ragged case; None means `time`.
            chunk: characters per call; None for a single call.
        """
        codepoints = self._random.choice(self._known, (batch, time))
        unknown = self._random.random((batch, time)) < self._share
        codepoints[unknown] = self._random.choice(self._unknown, int(unknown.sum()))
        lengths = np.full(batch, time, np.int32)
        if ragged:
            lengths = self._random.integers(1, time + 1, batch, np.int32)
            lengths[:2] = 1, longest or time
            lengths = np.minimum(lengths, longest or time)
        if self._form != "none":
            codepoints = np.array([self._normal_row(row.tolist(), time) for row in codepoints])
        return Case(codepoints.astype(np.int32), lengths, chunk)

    def _normal_row(self, row: list[int], time: int) -> list[int]:
        """Return a row in the model's normal form, [time]; what is then missing is drawn anew.

        Every part of a text in a normal form is in it as well (Unicode Standard Annex 15).
        """
        while True:
            row = list(map(ord, normalise("".join(map(chr, row)), self._form)))
            if len(row) >= time:
                return row[:time]
            row += self._random.choice(self._known, time - len(row)).tolist()


def unknown_codepoints(alphabet: str) -> list[int]:
    """Return code points outside an alphabet: neighbours of its own, and extremes of Unicode."""
    near = {ord(char) + step for char in alphabet for step in (-256, -1, 1, 256)}
    ends = {0, 0x0301, 0x2028, 0xFFFF, 0x1F600, 0x10FFFF}
    surrogates = range(0xD800, 0xE000)
    return sorted(
        code
        for code in near | ends
        if 0 <= code <= 0x10FFFF and code not in surrogates and chr(code) not in alphabet
    )
