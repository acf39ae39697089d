"""Copies the characters that a model would refuse, for callers who want them copied instead.

The graph of such a model leaves this to its runtime: it labels them, by whatever its network makes
of a vector of zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.text.edits import NOTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.text.codepoints import Codepoints


def with_copies(
    found: Mapping[str, NDArray[Any]], codepoints: Codepoints, alphabet: Codepoints
) -> dict[str, NDArray[Any]]:
    """Return outputs with copies of the characters outside an alphabet; their confidence is 1.

    Args:
        found: the outputs by name; those but `decoded` and `confidence` stay as they are.
        codepoints: what was read, [batch, time].
        alphabet: the code points of the alphabet, in ascending order.
    """
    known = alphabet.take(alphabet.searchsorted(codepoints), mode="clip") == codepoints
    if known.all():
        return dict(found)
    copied = dict(found)
    if "confidence" in found:
        copied["confidence"] = np.where(known, found["confidence"], np.float32(1))
    if "decoded" in found:
        copied["decoded"] = with_decoded_copies(found["decoded"], known, codepoints)
    return copied


def with_decoded_copies(
    decoded: NDArray[Any], known: NDArray[np.bool_], codepoints: Codepoints
) -> NDArray[Any]:
    """Return `decoded`, [batch, time] or [batch, time, width], with what is not known copied."""
    if decoded.ndim == 2:
        return np.where(known, decoded, codepoints)
    copies = np.full_like(decoded, NOTHING)
    copies[:, :, 0] = codepoints
    return np.where(known[:, :, None], decoded, copies)
