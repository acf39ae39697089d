"""What a training run can be asked for, and what it does when it is not asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hello_runtime.model.model_file import Unknown

from hello_train.data.alphabets import Alphabets
from hello_train.errors import ConfigError
from hello_train.network.config import ModelConfig

EVALUATIONS = 20
"""How often a network is evaluated on held-out lines while it learns, at most."""


@dataclass(frozen=True)
class TrainOptions:
    """The network and the training of one run; exactly one of `epochs` and `minutes` ends it.

    Raises:
        ConfigError: both of them are given, or neither.
    """

    cell: str = "gru"
    nonlinearity: str = "tanh"
    """Of the rnn."""
    embedding_dim: int = 10
    hidden_size: int = 4
    layers: int = 1
    bidirectional: bool = False
    projection: bool | None = None
    """A Linear layer before the labels; it is there in any case where the sizes need it."""
    unknown: Unknown = "error"
    guarded: bool = False
    """Whether only substitutions seen in training are possible."""
    epochs: int | None = None
    minutes: float | None = None
    learning_rate: float = 1e-3
    decay: bool = False
    """Whether the learning rate falls to zero along a cosine (Loshchilov and Hutter 2017,
    arXiv:1608.03983)."""
    max_gradient_norm: float | None = None
    """Longer gradients are cut to this norm (Pascanu et al. 2013, arXiv:1211.5063)."""
    batch_characters: int = 256
    """Characters in a batch of a process, at most, unless a single segment is longer."""
    case_rate: float = 0.0
    """Share of the lines that are learned in upper case, and of those in lower case, where every
    character is written in the case in which it is read."""
    rare: float = 0.0
    """A character with a smaller share of the text is unknown; 0 where unknown ones are refused."""
    patience: int | None = None
    """A training ends early after so many evaluations without a gain."""
    seed: int = 0
    """Of the split, the weights and the order of the batches."""
    holdout: float = 0.0
    """Share of the lines that is held out for evaluation."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise ConfigError("a training ends by epochs or by minutes: give one of them")


HELLO_OPTIONS = TrainOptions(epochs=1000)
"""The post's network and training."""

TEXT_OPTIONS = TrainOptions(
    embedding_dim=48,
    hidden_size=128,
    bidirectional=True,
    unknown="copy",
    guarded=True,
    minutes=5.0,
    learning_rate=4e-3,
    decay=True,
    max_gradient_norm=1.0,
    batch_characters=4096,
    case_rate=0.02,
    rare=1e-6,
    patience=10,
    holdout=0.1,
)
"""What does well on lines of real text, in minutes on two cores."""


def run_folder(name: str, cell: str) -> Path:
    """Return the folder of a run that is not told where to go."""
    return Path("runs") / f"{name}-{cell}"


def configure(options: TrainOptions, alphabets: Alphabets) -> ModelConfig:
    """Return the configuration of a network with these alphabets.

    Raises:
        ConfigError: the options do not make a network.
    """
    features = options.hidden_size * (2 if options.bidirectional else 1)
    return ModelConfig(
        cell=options.cell,
        input_alphabet=alphabets.inputs,
        output_alphabet=alphabets.outputs,
        embedding_dim=options.embedding_dim,
        hidden_size=options.hidden_size,
        layers=options.layers,
        bidirectional=options.bidirectional,
        projection=bool(options.projection) or features != len(alphabets.outputs),
        unknown=options.unknown,
        guard=alphabets.guard if options.guarded else None,
        nonlinearity=options.nonlinearity,
    )
