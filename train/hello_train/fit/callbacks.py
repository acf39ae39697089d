"""Callbacks: what a training calls at its beginning, after each step, and at its end."""

from __future__ import annotations

from dataclasses import dataclass

from hello_train.network.model import Network


@dataclass(frozen=True)
class Progress:
    """How far a training is after a step."""

    epoch: int
    """Counted from 1."""
    done: float
    """Share of the training that is done, 0 to 1."""
    loss: float
    """Mean cross-entropy per character of the batch, in nats."""
    characters: int = 0
    """Characters learned so far, by all processes, if all batches were as large as those here."""
    seconds: float = 0.0
    """Seconds trained so far."""
    accuracy: float | None = None
    """Share of the held-out characters that were right at the last evaluation, 0 to 1."""
    threads: str = ""
    """How many threads were chosen, and why, in words; empty where none are."""


class Callback:
    """The base of all callbacks; its methods do nothing."""

    def on_begin(self, description: str) -> None:
        """A training begins or is resumed; the description says which."""

    def on_step(self, progress: Progress, network: Network) -> None:
        """The optimizer made a step."""

    def on_restart(self, lost_seed: int, next_seed: int) -> None:
        """A start did not learn its line; another begins."""

    def on_end(self) -> None:
        """The training ended, or was interrupted."""
