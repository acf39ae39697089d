"""One optimizer step: learning rate, loss, gradients, update."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from hello_train.data.augmentation import IGNORED
from hello_train.data.batches import Batch, PaddedBatch
from hello_train.errors import FitError
from hello_train.fit.options import TrainOptions
from hello_train.fit.state import TrainingState


def optimizer_step(
    state: TrainingState,
    forward: Callable[..., Tensor],
    batch: Batch | PaddedBatch,
    options: TrainOptions,
    done: float,
) -> float:
    """Learn a batch.

    Args:
        state: the training state; its weights and optimizer change.
        forward: its network, or what synchronizes the gradients of several processes around it;
            int64 [batch, time] to float32 [batch, time, labels]; for a classifier with lengths,
            int64 [batch], to float32 [batch, classes].
        batch: on any device.
        options: the learning rate and the largest norm of the gradient.
        done: share of the training that is done, 0 to 1.

    Returns:
        The mean loss of the batch before the step, in nats.

    Raises:
        FitError: the loss is not finite.
    """
    rate = options.learning_rate * (cosine(done) if options.decay else 1)
    if not state.network.training:
        state.network.train()
    ids, labels = batch.ids.to(state.device), batch.labels.to(state.device)
    logits = forward(ids, batch.lengths) if isinstance(batch, PaddedBatch) else forward(ids)
    loss = mean_loss(logits, labels)
    state.optimizer.forget_gradients()
    loss.backward()  # type: ignore[no-untyped-call]
    if options.max_gradient_norm is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), options.max_gradient_norm)
    state.optimizer.step(rate)
    value = loss.item()
    if not math.isfinite(value):
        raise FitError(
            f"the loss became {value} in step {state.position.step + 1} (epoch "
            f"{state.position.epoch}) at a learning rate of {rate:g}; use a lower "
            f"--learning-rate than {options.learning_rate:g}"
        )
    return value


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over all labels but `IGNORED`; 0 if there are no others.

    The logits are float32 [..., labels], and the labels int64 [...].
    """
    total = nn.functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (labels != IGNORED).sum().clamp(min=1)


def cosine(done: float) -> float:
    """Return the learning rate as a share of the initial one: 1 at the start, 0 at the end."""
    return (1 + math.cos(math.pi * done)) / 2
