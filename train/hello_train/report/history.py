"""The history of a training: losses, evaluations and outputs, for the report."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the network on the held-out lines."""

    step: int
    """Steps made so far."""
    epoch: int
    """Counted from 1."""
    seconds: float
    """Seconds trained so far."""
    loss: float
    """Mean cross-entropy per character since the last evaluation, in nats."""
    accuracy: float
    """Share of the held-out characters that were right, 0 to 1. Of a classifier that of the lines,
    and of the task `next` 2 to the power of minus the bits per character."""
    by_character: dict[str, tuple[int, int]]
    """For each character of the held-out targets, or class: how many were right, of how many."""
    sample: str = ""
    """What a network of the task `next` drew."""


@dataclass(frozen=True)
class OutputSpan:
    """An output for the example that did not change over some epochs."""

    first: int
    """The first epoch with it, counted from 1."""
    last: int
    """The last one."""
    text: str


@dataclass
class History:
    """What was recorded since the first step; hello has losses and outputs, text evaluations."""

    evaluations: list[Evaluation] = field(default_factory=list)
    """In order; empty if nothing was held out."""
    losses: list[float] = field(default_factory=list)
    """Mean cross-entropy per character of each epoch, in nats."""
    outputs: list[OutputSpan] = field(default_factory=list)
    """In order of the epochs, without gaps."""
