"""Rounds weights to the values that a smaller model file can hold.

float16 is IEEE 754's half precision. int8 holds multiples, from -127 to 127, of a scale for each
channel: a gate's row, a character's vector or a label's row. A scale has at most 16 significant
bits, so that its multiples are exact in float32 and rounding twice changes nothing. Biases are few
and stay in float32.
"""

from __future__ import annotations

import copy

import torch
from hello_train.network.model import Network
from torch import Tensor

from hello_export.errors import ExportError
from hello_export.graph.storage import Storage

LARGEST_MULTIPLE = 127
SIGNIFICANT_BITS = 16


def round_weights(network: Network, storage: Storage) -> Network:
    """Return a copy of a network, with weights that `storage` can hold exactly.

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
    """Round a matrix, [channels, inputs], to multiples of each channel's scale."""
    largest = matrix.abs().amax(1, keepdim=True)
    mantissa, exponent = torch.frexp(largest / LARGEST_MULTIPLE)
    # Rounded up, so that the largest value is at most 127 times the scale.
    scale = torch.ldexp((mantissa * 2**SIGNIFICANT_BITS).ceil() / 2**SIGNIFICANT_BITS, exponent)
    return torch.where(largest > 0, (matrix / scale).round() * scale, 0.0)
