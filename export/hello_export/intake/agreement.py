"""Checks that a module's forward gives what its embedding, recurrence and linear layer give.

A forward may do more: add a residual, scale, normalise, drop values, or read its axes in another
order. Such a module cannot be exported. The error shows an input for which it differs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hello_train.network.cells import CELLS
from hello_train.network.model import Network
from torch import nn

from hello_export.errors import ForwardError, ParityError
from hello_export.intake.causes import likely_cause
from hello_export.proof.cases import Case
from hello_export.proof.condition import MeasuredReference
from hello_export.proof.parity import differences, place_in
from hello_export.proof.reference import Forward, Reference, Row
from hello_export.proof.verdict import LARGEST_SHARE, TOLERANCE, Difference

MOST_CHARACTERS = 4096
"""Characters of a case that is compared, at most, where the proof compares the others."""


def check_forward(
    module: nn.Module,
    forward: Forward,
    network: Network,
    cases: Iterable[Case],
    *,
    most: int | None = MOST_CHARACTERS,
) -> None:
    """Compare a module's forward with its parts in eager PyTorch.

    The largest cases are left to the proof if it compares them with the forward too: they take
    most of the time, and what they show, smaller ones show as well.

    Args:
        module: the module, for what the error says of it.
        forward: its forward.
        network: its parts.
        cases: the batches, the smallest first.
        most: characters of a case that is compared; None for all cases.

    Raises:
        ForwardError: a logit differs by more than rounding does; the text has the input.
    """
    parts, whole = Reference(network), Reference(network, forward)
    for case in cases:
        if most is not None and case.characters > most:
            continue
        wanted, found = parts.run_rows(case.rows), whole.run_rows(case.rows)
        for index in range(len(case.rows)):
            if not is_close(wanted[index], found[index]):
                fault = largest_difference(network, case, index, found[index])
                if not fault.is_allowed(LARGEST_SHARE):
                    cause = likely_cause(module, forward, network, case.rows[index])
                    raise ForwardError(describe(network, fault, cause))


def is_close(one: Row, other: Row) -> bool:
    """Tell whether no logit differs by more than `TOLERANCE`."""
    with np.errstate(invalid="ignore"):
        return bool((np.abs(one["logits"] - other["logits"]) <= TOLERANCE).all())


def largest_difference(network: Network, case: Case, index: int, found: Row) -> Difference:
    """Return the difference of a row's logits that is the largest share of their condition."""
    row = case.rows[index]
    alone = Case(case.codepoints[index : index + 1, : len(row)], case.lengths[index : index + 1])
    try:
        (expected,) = MeasuredReference(network).run(alone)
    except ParityError as error:
        raise ForwardError(str(error)) from error
    place = place_in(network.config, case, index, row)
    every = [each for _, each in differences(expected, {"logits": found["logits"]}, place)]
    return max(every, key=lambda each: each.share)


def describe(network: Network, fault: Difference, cause: str) -> str:
    """Return what differs, for which input, and what may be the cause."""
    linear = " and linear layer" if network.config.projection else ""
    parts = f"embedding, {CELLS[network.config.cell].title}{linear}"
    return (
        f"its forward does not give what its {parts} give: the logits differ by up to "
        f"{fault.size:.3g} (allowed: {fault.allowed(LARGEST_SHARE):.3g}) for {fault.place}; {cause}"
    )
