"""The training state: everything that a training needs to continue."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hello_train.fit.adam import Adam
from hello_train.fit.memory import memory_named
from hello_train.fit.options import TrainOptions
from hello_train.fit.parallel import ALONE, Team
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report.history import History


@dataclass
class Position:
    """The counters of a training."""

    epoch: int = 1
    batch: int = 0
    """The next batch of the epoch, counted from 0."""
    step: int = 0
    """Steps made."""
    characters: int = 0
    """Characters learned."""
    seconds: float = 0.0
    """Seconds trained."""
    losses: float = 0.0
    """Sum of the steps' losses since the last evaluation."""
    evaluated_step: int = 0
    """The step of the last evaluation."""
    evaluations: int = 0
    """Evaluations that were due so far."""
    without_gain: int = 0
    """Evaluations since the best one."""
    sample: int = 0
    """Largest number of characters of an evaluation; 0 before the first evaluation."""
    evaluating: float = 0.0
    """Seconds of all evaluations."""
    last_evaluating: float = 0.0
    """Seconds of the last evaluation."""

    def epochs(self, batches: int) -> float:
        """Return the epochs learned, the last one in part; an epoch has so many batches."""
        return self.epoch - 1 + min(self.batch / batches, 1)


@dataclass
class TrainingState:
    """A network with its optimizer, counters and history."""

    network: Network
    optimizer: Adam
    position: Position = field(default_factory=Position)
    history: History = field(default_factory=History)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights of the best evaluation; empty before the first."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def accuracy(self) -> float | None:
        """The accuracy of the last evaluation."""
        evaluations = self.history.evaluations
        return evaluations[-1].accuracy if evaluations else None


def new_state(config: ModelConfig, options: TrainOptions, team: Team = ALONE) -> TrainingState:
    """Return the state at the start of a training.

    Raises:
        FitError: the network does not fit into memory.
    """
    network = new_network(config, options.seed, team.device)
    return TrainingState(network, Adam(network.parameters()))


def new_network(config: ModelConfig, seed: int, device: torch.device = ALONE.device) -> Network:
    """Return a network with the initial weights of a seed.

    Raises:
        FitError: it does not fit into memory.
    """
    with torch.random.fork_rng(devices=[]), memory_named("--hidden-size or --layers"):
        torch.manual_seed(seed)
        return Network(config).to(device)
