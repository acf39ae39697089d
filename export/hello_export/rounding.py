"""Weights rounded to what a smaller file can hold, and what that costs in labels.

float16 is IEEE 754's half precision. int8 counts steps from -127 to 127, and what a step is worth
is set for each channel: a gate's row, a character's vector, a label's row. Steps are worth numbers
of at most 16 significant bits, so that each multiple of them is exact in float32: weights that are
rounded once are left as they are by rounding them again, and a file can be held to that.
Biases stay as they are; they are few.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from hello_train.model import Network
from torch import Tensor

from hello_export.errors import ExportError
from hello_export.storage import Storage

STEPS = 127
SIGNIFICANT_BITS = 16


def round_weights(network: Network, storage: Storage) -> Network:
    """Return a network like this one, with weights that can be stored so without a loss.

    Raises:
        ExportError: a weight is too large for float16.
    """
    rounded = copy.deepcopy(network)
    for name, tensor in rounded.state_dict().items():
        if "bias" in name or storage == "float32":
            continue
        tensor.copy_(tensor.half().float() if storage == "float16" else in_steps(tensor))
        if not tensor.isfinite().all():
            raise ExportError(f"{name} has weights too large for float16; use --weights float32")
    return rounded


def in_steps(matrix: Tensor) -> Tensor:
    """Return a matrix, [channels, inputs], in whole steps of each channel."""
    largest = matrix.abs().amax(1, keepdim=True)
    mantissa, exponent = torch.frexp(largest / STEPS)
    # Upwards, so that the largest value is not more than 127 steps.
    worth = torch.ldexp((mantissa * 2**SIGNIFICANT_BITS).ceil() / 2**SIGNIFICANT_BITS, exponent)
    return torch.where(largest > 0, (matrix / worth).round() * worth, 0.0)


def agreement(network: Network, rounded: Network, lines: Sequence[str]) -> float:
    """Return the share of the characters of these lines, 0 to 1, that both write alike.

    Raises:
        ExportError: there is no character.
    """
    total = sum(map(len, lines))
    if not total:
        raise ExportError("no character was compared, which says nothing of the rounding")
    pairs = zip(network.rewrite_lines(lines), rounded.rewrite_lines(lines), strict=True)
    same = sum(a == b for one, other in pairs for a, b in zip(one, other, strict=True))
    return same / total
