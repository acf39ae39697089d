"""Texts as arrays of code points, and back."""

from __future__ import annotations

from codecs import utf_32_le_decode, utf_32_le_encode  # str.encode and decode look them up anew
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codepoints = NDArray[np.int32]

LITTLE_ENDIAN = np.dtype("<i4")
LONGEST_ROW = 4096
"""Characters that a network reads at once, at most. Training cuts a longer line into parts. In
decoding, a causal model reads it in chunks of this many, and a bidirectional one in windows."""


def check_type(text: object, index: int = 0) -> None:
    """Raise a TypeError unless a text is a str; `index` is its index in its batch."""
    if not isinstance(text, str):
        raise TypeError(f"text {index} is of type {type(text).__name__}, not str")


def to_codepoints(text: str) -> Codepoints:
    """Return the code points of a text, int32 [characters]; a lone surrogate counts as one."""
    return np.frombuffer(utf_32_le_encode(text, "surrogatepass")[0], LITTLE_ENDIAN)


def ascending_codepoints(alphabet: str) -> Codepoints:
    """Return the code points of an alphabet, int32 [characters], in ascending order.

    >>> ascending_codepoints("ba").tolist()
    [97, 98]
    """
    return to_codepoints("".join(sorted(alphabet)))


def to_text(codepoints: NDArray[Any]) -> str:
    """Return the text of code points, int32 [characters].

    Raises:
        UnicodeDecodeError: an item is no code point.
    """
    content = codepoints.astype(LITTLE_ENDIAN, copy=False).tobytes()
    return utf_32_le_decode(content, "surrogatepass", True)[0]


def padded(texts: Sequence[str]) -> Codepoints:
    """Return the code points of texts, int32 [batch, time], with zeros behind the shorter ones.

    >>> padded(["abc", "a"]).tolist()
    [[97, 98, 99], [97, 0, 0]]
    """
    time = max(map(len, texts))
    rows = to_codepoints("".join([text.ljust(time, "\0") for text in texts]))
    return rows.reshape(len(texts), time)
