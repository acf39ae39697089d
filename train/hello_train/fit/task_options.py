"""The defaults and the configuration of the tasks `classify` and `next`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from hello_runtime.model.labels import alphabet_labels
from hello_runtime.text.pairs import AnyPair

from hello_train.errors import DataError
from hello_train.fit.options import TEXT_OPTIONS, TrainOptions
from hello_train.network.config import ModelConfig

LearnedTask = Literal["classify", "next"]

COMMON = replace(TEXT_OPTIONS, guarded=False, case_rate=0.0, keep=False)
TASK_OPTIONS: dict[LearnedTask, TrainOptions] = {
    "classify": replace(COMMON, unknown="label"),
    "next": replace(COMMON, bidirectional=False, unknown="error", rare=0.0),
}
"""The defaults of each task."""


def count_characters(pairs: Sequence[AnyPair], *, targets: bool) -> Counter[str]:
    """Count the characters that are read, and with `targets` those that are predicted."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        counts.update(pair.input)
        if targets:
            counts.update(pair.target[-1:])
    return counts


def alphabet_of(counts: Counter[str], floor: float) -> str:
    """Return the characters in order whose share of the text is at least the floor.

    Raises:
        DataError: fewer than two are left.
    """
    least = floor * counts.total()
    alphabet = "".join(sorted(char for char, count in counts.items() if count >= least))
    if len(alphabet) < 2:
        raise DataError(
            f"of the {len(counts)} different characters of the text {len(alphabet)} would be "
            f"learned, and that is nothing to tell apart; give other text, or a smaller --rare"
        )
    return alphabet


def configure_classes(pairs: Sequence[AnyPair], options: TrainOptions) -> ModelConfig:
    """Return the configuration of a classifier of training lines.

    Raises:
        DataError: they have a single class, or hardly a character.
        ConfigError: the options do not make a network.
    """
    classes = tuple(sorted({pair.target for pair in pairs}))
    if len(classes) < 2:
        raise DataError(
            f"every line has the class {classes[0]!r}, so there is nothing to tell apart; give "
            f"lines of other classes too"
        )
    floor = options.rare if options.unknown == "label" else 0.0
    alphabet = alphabet_of(count_characters(pairs, targets=False), floor)
    return configure_task(options, alphabet, classes)


def configure_next(pairs: Sequence[AnyPair], options: TrainOptions) -> ModelConfig:
    """Return the configuration of a network that continues the training text.

    Raises:
        DataError: the text has hardly a character.
        ConfigError: the options do not make a network.
    """
    floor = options.rare if options.unknown == "label" else 0.0
    return configure_task(options, alphabet_of(count_characters(pairs, targets=True), floor))


def configure_task(
    options: TrainOptions, alphabet: str, classes: tuple[str, ...] = ()
) -> ModelConfig:
    """Return the configuration of a classifier, or without classes of a network of `next`."""
    count = len(classes or alphabet)
    features = options.hidden_size * (2 if options.bidirectional else 1)
    return ModelConfig(
        cell=options.cell,
        input_alphabet=alphabet,
        output_labels=() if classes else alphabet_labels(alphabet),
        embedding_dim=options.embedding_dim,
        hidden_size=options.hidden_size,
        layers=options.layers,
        bidirectional=options.bidirectional,
        projection=bool(options.projection) or features != count,
        unknown=options.unknown or "error",
        guard=None,
        nonlinearity=options.nonlinearity,
        normalization=options.normalization,
        task="classify" if classes else "next",
        classes=classes,
    )
