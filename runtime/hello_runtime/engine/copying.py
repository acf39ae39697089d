"""Copies the characters that a model would refuse, for callers who want them copied instead.

The graph of such a model leaves this to its runtime: it labels them, by whatever its network makes
of a vector of zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.text.edits import NOTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.text.codepoints import Codepoints


def with_copies(
    name: str, values: NDArray[Any], codepoints: Codepoints, alphabet: Codepoints
) -> NDArray[Any]:
    """Return an output with copies of the characters outside an alphabet, sure to the full.

    Args:
        name: the name of the output; those but `decoded` and `confidence` stay as they are.
        values: the output, [batch, time] or [batch, time, width].
        codepoints: what was read, [batch, time].
        alphabet: the code points of the alphabet.
    """
    if name not in ("decoded", "confidence"):
        return values
    known = np.isin(codepoints, alphabet)
    if name == "confidence":
        return np.where(known, values, np.float32(1))
    if values.ndim == 2:
        return np.where(known, values, codepoints)
    copied = np.full_like(values, NOTHING)
    copied[:, :, 0] = codepoints
    return np.where(known[:, :, None], values, copied)
