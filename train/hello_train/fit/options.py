"""The options of a training run, and their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hello_runtime.model.model_file import Unknown
from hello_runtime.model.tasks import Task
from hello_runtime.text.edits import KEEP
from hello_runtime.text.normal_forms import NormalForm

from hello_train.data.alphabets import Alphabets
from hello_train.errors import ConfigError
from hello_train.network.config import ModelConfig

EVALUATIONS = 20
"""Largest number of evaluations in a training."""


@dataclass(frozen=True)
class TrainOptions:
    """The options of one run; exactly one of `epochs` and `minutes` is set.

    Raises:
        ConfigError: both are set, or neither.
    """

    cell: str = "gru"
    nonlinearity: str = "tanh"
    """For the rnn."""
    embedding_dim: int = 10
    hidden_size: int = 4
    layers: int = 1
    bidirectional: bool = False
    projection: bool | None = None
    """Whether a Linear layer follows the recurrence; there always is one where the sizes differ."""
    unknown: Unknown | None = "error"
    """What an unknown character becomes; None for its label where a label keeps it, otherwise for a
    copy."""
    normalization: NormalForm = "none"
    """The normal form of what the network reads and learns."""
    keep: bool = False
    """Whether a character that stays gets the label that keeps it, and not one that writes it."""
    most_labels: int | None = None
    """Labels, at most; of more the rarest are not learned."""
    guarded: bool = False
    """Whether only substitutions of the training lines are possible."""
    epochs: int | None = None
    minutes: float | None = None
    learning_rate: float = 1e-3
    decay: bool = False
    """Whether the learning rate falls to zero along a cosine (Loshchilov and Hutter 2017,
    arXiv:1608.03983)."""
    max_gradient_norm: float | None = None
    """Gradients are clipped to this norm (Pascanu et al. 2013, arXiv:1211.5063)."""
    batch_characters: int = 256
    """Largest number of characters in a batch of one process; a batch has at least one segment."""
    case_rate: float = 0.0
    """Augmentation: share of the lines that are learned in upper case, and as many in lower case.
    It needs targets that keep the case of their input."""
    rare: float = 0.0
    """Characters with a smaller share of the text are unknown, and labels with one are not learned;
    0 if `unknown` is "error"."""
    patience: int | None = None
    """The training ends early after so many evaluations without a gain."""
    seed: int = 0
    """For the split, the initial weights and the order of the batches."""
    holdout: float = 0.0
    """Share of the lines that are held out for evaluation."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise ConfigError("a training ends by epochs or by minutes: give one of them")

    @property
    def floor(self) -> float:
        """The share of the text below which a character is unknown; 0 if none may be."""
        return 0.0 if self.unknown == "error" else self.rare


HELLO_OPTIONS = TrainOptions(epochs=1000)
"""The defaults for hello."""

TEXT_OPTIONS = TrainOptions(
    embedding_dim=48,
    hidden_size=128,
    bidirectional=True,
    unknown=None,
    normalization="nfc",
    keep=True,
    most_labels=2000,
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
"""The defaults for text: good results within minutes on two cores."""


def run_folder(name: str, cell: str) -> Path:
    """Return the default folder of a run."""
    return Path("runs") / f"{name}-{cell}"


def configure(
    options: TrainOptions,
    alphabets: Alphabets,
    task: Task = "rewrite",
    classes: tuple[str, ...] = (),
) -> ModelConfig:
    """Return the configuration of a network with these alphabets, or of a classifier.

    Raises:
        ConfigError: the options do not make a network.
    """
    features = options.hidden_size * (2 if options.bidirectional else 1)
    labels = alphabets.labels
    return ModelConfig(
        cell=options.cell,
        input_alphabet=alphabets.inputs,
        output_labels=labels,
        embedding_dim=options.embedding_dim,
        hidden_size=options.hidden_size,
        layers=options.layers,
        bidirectional=options.bidirectional,
        projection=bool(options.projection) or features != len(classes or labels),
        unknown=options.unknown or ("label" if (KEEP,) in labels else "copy"),
        guard=alphabets.guard if options.guarded else None,
        nonlinearity=options.nonlinearity,
        normalization=options.normalization,
        task=task,
        classes=classes,
    )
