"""Remarks: sentences on what went wrong in a training, and what to change."""

from __future__ import annotations

from collections.abc import Mapping

from hello_runtime.text.score import Score

from hello_train.data.alphabets import Alphabets
from hello_train.fit.loop import Ending
from hello_train.fit.options import TrainOptions


def remarks(ending: Ending, options: TrainOptions, scores: Mapping[str, Score]) -> list[str]:
    """Return a sentence for each thing that went wrong; none if all is well."""
    found = ending_remarks(ending, options)
    if ahead := simpler_rows_ahead(scores):
        found.append(
            f"the model gets fewer characters right than {' and '.join(map(repr, ahead))}; train "
            f"it longer, with more --minutes or --epochs"
        )
    return found


def ending_remarks(ending: Ending, options: TrainOptions) -> list[str]:
    """Return a sentence for each thing that went wrong with the length of a training."""
    found = []
    if ending.done < 1:
        found.append(
            f"the training ended early, after {ending.done:.0%} of its "
            f"{'minutes' if options.epochs is None else 'epochs'}, because {options.patience} "
            f"evaluations in a row brought no gain; let it go on with a larger --patience, or use "
            f"a lower --learning-rate than {options.learning_rate:g}"
        )
    if ending.epochs < 1:
        found.append(
            f"the training saw only {ending.epochs:.0%} of the lines; give it more --minutes, or a "
            f"smaller --hidden-size"
        )
    return found


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
