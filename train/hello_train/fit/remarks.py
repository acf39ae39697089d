"""Remarks: sentences on what went wrong in a training, and what to change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hello_runtime.text.score import Score

from hello_train.data.alphabets import Alphabets
from hello_train.fit.loop import Ending
from hello_train.fit.options import TrainOptions
from hello_train.words import count, percent, rounded_up

ENOUGH_EPOCHS = 4
"""Epochs to train at first. Polish and Thai of `docs/languages.md` were ahead of the most frequent
target in their first epoch, Hebrew in its fourth."""


def remarks(
    ending: Ending, options: TrainOptions, ahead: Sequence[str], *, perfect: bool = False
) -> list[str]:
    """Return a sentence for each thing that went wrong; none if all is well.

    Args:
        ending: how far the training came.
        options: its options.
        ahead: the names of the simpler models that are better than the trained one.
        perfect: whether the trained model is right on all of the held-out lines.
    """
    if perfect:
        return []
    found = []
    is_early = ending.done < 1
    if is_early:
        found.append(
            f"the training ended early, after {percent(ending.done)} of its "
            f"{'minutes' if options.epochs is None else 'epochs'}, because "
            f"{count(options.patience or 0, 'evaluation')} in a row brought no gain; let it go on "
            f"with a larger --patience, or use a lower --learning-rate than "
            f"{options.learning_rate:g}"
        )
    elif ending.epochs < 1:
        found.append(
            f"the training saw only {percent(ending.epochs)} of its text; with "
            f"{length_for(1, ending, options)} it would see all of it, with a smaller "
            f"--hidden-size sooner"
        )
    if ahead:
        behind = f"the model is not as good as {' and '.join(map(repr, ahead))}"
        # Patience ends a long training because more of it would not help.
        is_long = ending.epochs >= ENOUGH_EPOCHS * ending.done
        found.append(behind if is_early and is_long else f"{behind}; {longer(ending, options)}")
    return found


def longer(ending: Ending, options: TrainOptions) -> str:
    """Return how long to train a model that is behind simpler ones: twice, or a few epochs."""
    epochs = max(ENOUGH_EPOCHS, math.ceil(2 * ending.epochs))
    length = length_for(epochs, ending, options)
    return f"train it longer, with {length}" + f" for {epochs} epochs" * (options.epochs is None)


def length_for(epochs: int, ending: Ending, options: TrainOptions) -> str:
    """Return the option with which a training as fast as this one has so many epochs."""
    if options.minutes is None:
        return f"--epochs {epochs}"
    return f"--minutes {rounded_up(max(0.01, epochs * ending.minutes / ending.epochs))}"


def dropped_labels(alphabets: Alphabets) -> list[str]:
    """Return a sentence on the labels that were too many to be learned; none if all are."""
    if not alphabets.dropped:
        return []
    learned = len(alphabets.labels)
    return [
        f"of {alphabets.dropped + learned} labels the rarest {alphabets.dropped} are not learned, "
        f"those of {alphabets.dropped_share:.2%} of the characters; learn more with a larger "
        f"--most-labels, or give lines whose two sides are more alike"
    ]


def simpler_rows_ahead(scores: Mapping[str, Score]) -> list[str]:
    """Return the names of the rows that get more characters right than the model."""
    if not scores:
        return []
    model = scores["model"].characters
    return [name for name, row in scores.items() if row.characters > model]
