"""Characters as ids: their positions in an alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from hello_runtime.text.codepoints import to_codepoints
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hello_runtime.text.codepoints import Codepoints


@cache
def positions(alphabet: str) -> NDArray[np.int64]:
    """Return the position of each code point in an alphabet, up to the last one that is in it.

    All others, and the last entry of the table, have the alphabet's length.
    """
    codes = to_codepoints(alphabet)
    table = np.full(int(codes.max(initial=0)) + 2, len(alphabet), np.int64)
    table[codes] = np.arange(len(alphabet))
    return table


def encode(texts: Iterable[str], alphabet: str) -> NDArray[np.int64]:
    """Return the positions in an alphabet of the characters of all texts, int64 [characters].

    A character that is not in the alphabet gets `len(alphabet)`.
    """
    return find(to_codepoints("".join(texts)), alphabet)


def find(codepoints: Codepoints, alphabet: str) -> NDArray[np.int64]:
    """Return the positions in an alphabet of code points, int64 of the same shape."""
    return np.take(positions(alphabet), codepoints, mode="clip")
