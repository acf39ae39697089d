"""Weights rounded to what a smaller file can hold, and what that costs in labels.

float16 is IEEE 754's half precision. int8 holds multiples, from -127 to 127, of a scale that each
channel has for itself: a gate's row, a character's vector, a label's row. A scale has at most 16
significant bits, so that its multiples are exact in float32: weights that are rounded once are left
as they are by rounding them again, and a file can be held to that. Biases stay as they are; they
are few.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from hello_train.network.model import Network
from torch import Tensor

from hello_export.errors import ExportError
from hello_export.graph.storage import Storage

LARGEST = 127
SIGNIFICANT_BITS = 16


def round_weights(network: Network, storage: Storage) -> Network:
    """Return a network like this one, with weights that can be stored so without a loss.

    Raises:
        ExportError: a weight is too large for float16, or so small that int8's scale is zero.
    """
    rounded = copy.deepcopy(network)
    for name, tensor in rounded.state_dict().items():
        if "bias" in name or storage == "float32":
            continue
        tensor.copy_(tensor.half().float() if storage == "float16" else quantize(tensor))
        if not tensor.isfinite().all():
            raise ExportError(
                f"{name} has weights too large or too small for {storage}; use --weights float32"
            )
    return rounded


def quantize(matrix: Tensor) -> Tensor:
    """Return a matrix, [channels, inputs], each channel in multiples of its scale."""
    largest = matrix.abs().amax(1, keepdim=True)
    mantissa, exponent = torch.frexp(largest / LARGEST)
    # Upwards, so that the largest value is not beyond 127 times the scale.
    scale = torch.ldexp((mantissa * 2**SIGNIFICANT_BITS).ceil() / 2**SIGNIFICANT_BITS, exponent)
    return torch.where(largest > 0, (matrix / scale).round() * scale, 0.0)


def agreement(network: Network, rounded: Network, lines: Sequence[str]) -> tuple[float, int]:
    """Return the share of the characters, 0 to 1, that both write alike, and how many there are.

    Counted are those that could differ: that are known, and that the guard leaves a choice. Where
    there is none, all of none are alike.
    """
    guard = network.config.guard or {}
    free = {char for char in network.config.input_alphabet if len(guard.get(char, "??")) > 1}
    same = total = 0
    written = zip(lines, network.rewrite_lines(lines), rounded.rewrite_lines(lines), strict=True)
    for read, one, other in written:
        for char, a, b in zip(read, one, other, strict=True):
            if char in free:
                total += 1
                same += a == b
    return same / total if total else 1.0, total
