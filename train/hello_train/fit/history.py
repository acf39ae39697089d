"""What happened while a network learned: numbers to save with a run and to draw in its report."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Evaluation:
    """How a network did on the held-out lines at one moment of its training."""

    step: int
    """Batches learned until then."""
    epoch: int
    """Counted from 1."""
    seconds: float
    """Of training until then."""
    loss: float
    """Mean cross-entropy of a character learned since the evaluation before, in nats."""
    accuracy: float
    """Share of the held-out characters that were right, 0 to 1."""
    by_character: dict[str, tuple[int, int]]
    """For each character of the held-out targets: how many were right, and of how many."""


@dataclass(frozen=True)
class Saying:
    """What the network said to the example from one epoch to another; for the post's network."""

    first: int
    """The first epoch of it, counted from 1."""
    last: int
    text: str


@dataclass
class History:
    """A training, from its first step on."""

    evaluations: list[Evaluation] = field(default_factory=list)
    """In order; none where nothing was held out."""
    losses: list[float] = field(default_factory=list)
    """Of each epoch its mean cross-entropy of a character, in nats; for the post's network."""
    sayings: list[Saying] = field(default_factory=list)
    """In order of the epochs, without gaps; for the post's network."""
