"""The defaults and the configuration of the tasks `classify` and `next`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from hello_runtime.model.labels import alphabet_labels
from hello_runtime.text.pairs import AnyPair

from hello_train.data.alphabets import Alphabets, check_alphabet
from hello_train.errors import DataError
from hello_train.fit.options import TEXT_OPTIONS, TrainOptions, configure
from hello_train.network.config import ModelConfig

LearnedTask = Literal["classify", "next"]

COMMON = replace(TEXT_OPTIONS, guarded=False, case_rate=0.0, keep=False)
TASK_OPTIONS: dict[LearnedTask, TrainOptions] = {
    "classify": replace(COMMON, unknown="label"),
    "next": replace(COMMON, bidirectional=False, unknown="error", rare=0.0),
}
"""The defaults of each task."""


def alphabet_of(texts: Iterable[str], floor: float) -> str:
    """Return the characters of texts, in order, whose share of all is at least the floor.

    Raises:
        DataError: fewer than two are left.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    least = floor * counts.total()
    alphabet = "".join(sorted(char for char, count in counts.items() if count >= least))
    check_alphabet(alphabet, counts)
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
    alphabet = alphabet_of((pair.input for pair in pairs), options.floor)
    return configure(options, Alphabets(alphabet, (), guard={}), "classify", classes)


def configure_next(pairs: Sequence[AnyPair], options: TrainOptions) -> ModelConfig:
    """Return the configuration of a network that continues the training text.

    Raises:
        DataError: the text has hardly a character.
        ConfigError: the options do not make a network.
    """
    alphabet = alphabet_of((pair.input + pair.target[-1:] for pair in pairs), options.floor)
    return configure(options, Alphabets(alphabet, alphabet_labels(alphabet), guard={}), "next")
