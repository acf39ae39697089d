"""How strongly a network magnifies float32's rounding, measured on each line.

Float32 arithmetic gives what exact arithmetic would give with slightly different weights. So the
weights are perturbed, and the condition of a value is how far it moves, divided by the size of the
perturbation (Higham 2002, "Accuracy and Stability of Numerical Algorithms", 1.5 and 1.6). It
depends on the line: a trained network magnifies a small difference by ten on one line and by a
million on another.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.model import Network

from hello_export.errors import ParityError
from hello_export.proof.cases import Case
from hello_export.proof.engines import Array
from hello_export.proof.reference import Forward, Reference, Row
from hello_export.proof.verdict import NUMBERS

PERTURBATION = 2.0**-20
"""Relative size of a weight's random change: 16 times float32's spacing at 1."""
PERTURBED_NETWORKS = 4
"""More than one, because a single perturbation may happen to move little."""


class Condition(NamedTuple):
    """Change of a row's values, divided by the relative change of the weights; at least 1."""

    steps: Array
    """At each step, [time]: the largest up to there, or of the whole row for two directions. Of a
    classifier there is one, [1]."""
    state: float
    """In the state after the last step; 1 where there is none."""


class Expected(NamedTuple):
    """What the reference gives for a row, and the row's condition."""

    row: Row
    condition: Condition


class MeasuredReference:
    """The reference, with the same network in float64 and with perturbed weights beside it."""

    def __init__(self, network: Network, forward: Forward | None = None) -> None:
        self._config = network.config
        self._reference = Reference(network, forward)
        # A forward that differs from its parts must not look like one that magnifies rounding.
        self._parts = Reference(network) if forward else None
        self._float64 = Reference(copy.deepcopy(network).double())
        self._perturbed = [perturbed(network, seed) for seed in range(PERTURBED_NETWORKS)]

    def run(self, case: Case) -> list[Expected]:
        """Return what the reference gives for each row of a case.

        Raises:
            ParityError: its numbers are not finite.
        """
        rows = self._reference.run_rows(case.rows)
        check_finite(case, rows)
        parts = self._parts.run_rows(case.rows) if self._parts else rows
        others = zip(*(other.run_rows(case.rows) for other in self._perturbed), strict=True)
        return [
            Expected(row, condition(self._config, part, moved))
            for row, part, moved in zip(rows, parts, others, strict=True)
        ]

    def run_float64(self, case: Case) -> list[Row]:
        """Return what the same network gives in float64, whose rounding is negligible beside it."""
        return self._float64.run_rows(case.rows)


def perturbed(network: Network, seed: int) -> Reference:
    """Return the reference of a network with each weight changed by about `PERTURBATION`."""
    other = copy.deepcopy(network)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1 + PERTURBATION * torch.randn(weight.shape, generator=random))
    return Reference(other, numbers_only=True)


def condition(config: ModelConfig, row: Row, perturbed_rows: Sequence[Row]) -> Condition:
    """Return a row's condition, by the outputs of each perturbed network.

    It is no less than the values, which are rounded themselves.
    """
    logits: Array = np.where(row["logits"] == FORBIDDEN_LOGIT, 0, row["logits"])
    steps = np.maximum(np.abs(logits), magnification("logits", row, perturbed_rows)).max(1)
    steps = np.maximum(steps, 1.0)
    if not config.has_state:
        return Condition(np.full_like(steps, steps.max()), 1.0)
    state = np.maximum(np.abs(row["state_out"]), magnification("state_out", row, perturbed_rows))
    return Condition(np.maximum.accumulate(steps), max(1.0, float(state.max())))


def magnification(tensor: str, row: Row, perturbed_rows: Sequence[Row]) -> Array:
    """Return each value's largest change, divided by `PERTURBATION`; 0 where it is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        changes = [
            np.abs(other[tensor].astype(np.float64) - row[tensor]) / PERTURBATION
            for other in perturbed_rows
        ]
    found: Array = np.nan_to_num(np.max(changes, axis=0), nan=0.0, posinf=0.0)
    return found


def check_finite(case: Case, rows: Sequence[Row]) -> None:
    """Raise a ParityError unless the reference's numbers are finite."""
    for row in rows:
        for tensor in row.keys() & set(NUMBERS):
            if not np.isfinite(row[tensor]).all():
                raise ParityError(
                    f"PyTorch itself gives {tensor} that are no finite numbers, for {case}: the "
                    f"network grows beyond float32, so there is nothing to compare with"
                )
