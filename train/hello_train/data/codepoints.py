"""Text as arrays: of code points, and of positions in an alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray


def codepoints(texts: Iterable[str]) -> NDArray[np.int32]:
    """Return the code points of texts, one behind the other, [characters]."""
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.dtype("<i4"))


def text_of(codes: NDArray[np.int32]) -> str:
    """Return the text of code points, [characters]."""
    return codes.astype("<i4").tobytes().decode("utf-32-le", "surrogatepass")


@cache
def positions(alphabet: str) -> NDArray[np.int64]:
    """Return the position of each code point in an alphabet, up to the last one that is in it.

    All others, and the last entry of the table, have the alphabet's length. It is worked out once
    for all the lines of an alphabet.
    """
    codes = codepoints([alphabet])
    table = np.full(int(codes.max()) + 2, len(alphabet), np.int64)
    table[codes] = np.arange(len(alphabet))
    return table


def encode(texts: Iterable[str], alphabet: str) -> NDArray[np.int64]:
    """Return the position in an alphabet of each character of texts, one behind the other.

    A character that is not there gets `len(alphabet)`.
    """
    return np.take(positions(alphabet), codepoints(texts), mode="clip")
