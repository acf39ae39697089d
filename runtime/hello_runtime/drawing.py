"""How characters are drawn: one rule, in float64, that any language can follow.

For the character number n of a sample, counted from 1, with the sample's seed s and the logits of
the step before:

1. With a temperature of 0 the character is that of the largest logit, of equal ones the first.
2. Otherwise the logits become float64 and are divided by the temperature. With `top`, only that
   many of the largest stay, of equal ones the first; the others have no share.
3. Each label's weight is e to the power of its logit less the largest one. The weights are added up
   in the order of the labels.
4. u is the n-th number of SplitMix64 from s (Steele, Lea and Flood 2014, "Fast Splittable
   Pseudorandom Number Generators"), of which the upper 53 bits are a fraction, 0 <= u < 1. The
   character is the first whose sum is larger than u times the sum of all.

Sample number k of a call, counted from 0, has the seed s + k modulo 2^64. The n-th number depends
on s and n alone, so samples that are drawn side by side are the same as one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEEDS = 1 << 64
"""The number of seeds: 0 to 2^64 - 1."""
GAMMA, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of SplitMix64."""
AHEAD = 64
"""Numbers that are made at once."""


def sample_seeds(seed: int, samples: int) -> NDArray[np.uint64]:
    """Return the seeds of so many samples, uint64 [samples]."""
    return np.array([(seed + sample) % SEEDS for sample in range(samples)], np.uint64)


def uniforms(seeds: NDArray[np.uint64]) -> Iterator[NDArray[np.float64]]:
    """Yield the numbers of each seed, [samples], from the first on; 0 <= u < 1.

    >>> [float(u) for u in next(uniforms(np.array([0], np.uint64)))]
    [0.8833108082136426]
    """
    for start in count(0, AHEAD):
        numbers = [[number * GAMMA % SEEDS] for number in range(start + 1, start + 1 + AHEAD)]
        z = seeds + np.array(numbers, np.uint64)  # this and the products are modulo 2^64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
        z ^= z >> np.uint64(31)
        yield from (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(
    logits: NDArray[Any], numbers: NDArray[np.float64], temperature: float, top: int | None
) -> NDArray[np.intp]:
    """Draw a label for each row of logits.

    >>> draw(np.array([[0.0, 2.0, 1.0]]), np.array([0.5]), temperature=0, top=None).tolist()
    [1]

    Args:
        logits: of each sample, [samples, labels].
        numbers: the number of each sample, [samples]; 0 <= u < 1.
        temperature: at least 0.
        top: the number of the largest logits that count, at least 1; None for all.

    Returns:
        The label of each sample, [samples].
    """
    if temperature == 0:
        best: NDArray[np.intp] = logits.argmax(1)
        return best
    scaled = logits.astype(np.float64)
    scaled /= temperature
    weights = np.exp(scaled - scaled.max(1, keepdims=True))
    if top is not None and top < logits.shape[1]:
        dropped = (-scaled).argsort(1, kind="stable")[:, top:]
        weights[np.arange(len(weights))[:, None], dropped] = 0.0
    sums = weights.cumsum(1)
    found: NDArray[np.intp] = (sums <= numbers[:, None] * sums[:, -1:]).sum(1)
    return found
