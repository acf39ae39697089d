"""Guesses why a module's forward does not give what its parts give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import torch
from hello_train.network.encoding import encode
from hello_train.network.model import Network
from torch import Tensor, nn

from hello_export.errors import IntakeError
from hello_export.proof.reference import Forward
from hello_export.proof.verdict import TOLERANCE

MORE = (
    "it does more than they do, or something else, such as a residual, a scale, a normalisation or "
    "another activation; such a network cannot be exported"
)
REPEATS = 8
"""Runs of one input: on a short one dropout may happen to drop the same."""
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
DROPOUT = "dropout is active: call the module's .eval() before the export"
TWO_ANSWERS = (
    "it gives two answers to one input: it keeps a state between calls, draws random numbers, or "
    "is in training mode"
)
MAX_NORM = (
    "its embedding has max_norm, which changes vectors as they are read: apply it to the weights "
    "before, as in embedding.weight.data.renorm_(2, 0, embedding.max_norm)"
)
BESIDE = (
    "its answer for a row depends on the rows beside it, as if the batch axis were time: is "
    "batch_first=True missing, or a transposition in call?"
)
NOT_FINITE = "its logits are NaN or infinite where those of its parts are not"
SOFTMAX = "it applies softmax: its logits must be the values before, so leave it out in call"
ORDER = "its logits are in another order than the rows of the linear layer"
REVERSED = "it reads or writes the line backwards"


def likely_cause(
    module: nn.Module, forward: Forward, network: Network, codepoints: Sequence[int]
) -> str:
    """Return what may be the cause of a difference for a row, in words."""
    text = "".join(map(chr, codepoints))
    ids = torch.from_numpy(encode([text], network.config.input_alphabet))[None]  # (1, t)
    with torch.no_grad(), suppress(IntakeError):  # an experiment may be beyond the forward
        return next(causes(module, forward, network, ids), MORE)
    return MORE


def causes(module: nn.Module, forward: Forward, network: Network, ids: Tensor) -> Iterator[str]:
    """Yield the causes that an experiment supports, the most certain first."""
    logits, wanted = forward(ids), network(ids)
    if not logits.isfinite().all():
        yield NOT_FINITE
    if not all(is_close(logits, forward(ids)) for _ in range(REPEATS)):
        yield DROPOUT if drops(module) else TWO_ANSWERS
    if any(getattr(part, "max_norm", None) is not None for part in module.modules()):
        yield MAX_NORM
    beside = (ids + 1) % len(network.embedding.weight)
    if not is_close(logits, forward(torch.cat([beside, ids]))[1:]):
        yield BESIDE
    if is_close(logits, wanted.softmax(-1)) or is_close(logits, wanted.log_softmax(-1)):
        yield SOFTMAX
    if is_close(logits.sort(-1)[0], wanted.sort(-1)[0]):
        yield ORDER
    backwards = network(ids.flip(1))
    if any(is_close(logits, like) for like in (backwards, backwards.flip(1), wanted.flip(1))):
        yield REVERSED


def drops(module: nn.Module) -> bool:
    """Tell whether a module is in training mode and drops values there."""
    return any(
        part.training and (isinstance(part, DROPOUTS) or getattr(part, "dropout", 0))
        for part in module.modules()
    )


def is_close(one: Tensor, other: Tensor) -> bool:
    """Tell whether logits are equal, but for rounding."""
    return torch.allclose(one, other, rtol=1e-5, atol=TOLERANCE)
