"""Evaluation on held-out lines during a training, and the choice of the best weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from hello_runtime.text.pairs import AnyPair, output_pieces, pieces

from hello_train.fit.options import EVALUATIONS, TrainOptions
from hello_train.fit.parallel import Team
from hello_train.fit.state import TrainingState
from hello_train.network.model import Network
from hello_train.report.history import Evaluation

MOST_CHARACTERS = 100_000
"""Largest number of held-out characters in an evaluation; the final score uses all of them."""
TIME_SHARE = 0.2
"""Largest share of the time that evaluations take, in a training by the clock."""
PATIENT_EPOCHS = 2
"""In these first epochs an evaluation without a gain does not count against the patience, unless
the network is already better than no change."""

Counts = dict[str, tuple[int, int]]
"""For each character of the targets, or class: how many were right, and how many there were."""


class Outcome(NamedTuple):
    """What an evaluation found."""

    counts: Counts
    """Empty without held-out lines."""
    quality: float
    """What is to be as large as possible, 0 to 1."""
    sample: str = ""
    """What a network of the task `next` draws."""


class Evaluator:
    """Evaluates networks on a sample of the held-out lines: the first ones, always the same."""

    def __init__(self, holdout: Sequence[AnyPair]) -> None:
        self._holdout = holdout
        self.choose_sample(MOST_CHARACTERS)

    def choose_sample(self, characters: int) -> None:
        """Limit the sample to so many characters, but to no less than one line."""
        sizes = accumulate(len(pair.input) for pair in self._holdout)
        bound = min(characters, MOST_CHARACTERS)
        fitting = sum(1 for size in sizes if size <= bound)
        self._sample = list(self._holdout[: max(1, fitting)])
        self._inputs = [pair.input for pair in self._sample]
        self.unchanged = self._measure_unchanged()
        """The quality of no change, of a classifier that of the most frequent class, 0 to 1."""

    def _measure_unchanged(self) -> float:
        return accuracy(right_by_character(self._inputs, self._sample))

    def evaluate(self, network: Network) -> Counts:
        """Return how many characters a network gets right; empty without held-out lines."""
        return right_by_character(network.rewrite_lines(self._inputs), self._sample)

    def outcome(self, network: Network) -> Outcome:
        """Return what `evaluate` finds, with the share that is right."""
        counts = self.evaluate(network)
        return Outcome(counts, accuracy(counts))


def right_by_character(outputs: Sequence[str], pairs: Sequence[AnyPair]) -> Counts:
    """Return for each piece of the targets how many outputs are right, and of how many."""
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for output, pair in zip(outputs, pairs, strict=True):
        count.update(pieces(pair))
        written = zip(output_pieces(pair, output), pieces(pair), strict=True)
        right.update(a for a, b in written if a == b)
    return {char: (right[char], count[char]) for char in sorted(count)}


def accuracy(counts: Counts) -> float:
    """Return the share of the characters that are right, 0 to 1; 0 if there are none."""
    right, count = map(sum, zip(*counts.values(), strict=True)) if counts else (0, 0)
    return right / count if count else 0.0


def is_due(state: TrainingState, options: TrainOptions, team: Team, done: float) -> bool:
    """Return whether to evaluate now.

    A training by epochs makes every evaluation, so that the clock cannot decide which weights are
    kept. A training by the clock skips one if it and the last one would take more than
    `TIME_SHARE` of the time.
    """
    position = state.position
    if done * EVALUATIONS < position.evaluations + 1:
        return False
    if options.epochs is not None:
        return True
    further = 1 if done == 1.0 else 2
    needed = position.evaluating + further * position.last_evaluating
    return bool(team.agree(needed <= TIME_SHARE * position.seconds))


def record(state: TrainingState, outcome: Outcome, unchanged: float) -> None:
    """Add the outcome of an evaluation to the history, and keep the weights if they are the best.

    Nothing is recorded if its counts are empty. `unchanged` is that of the evaluator.
    """
    counts, found, sample = outcome
    if not counts:
        return
    position, rows = state.position, state.history.evaluations
    best = max((row.accuracy for row in rows), default=-1.0)
    loss = position.losses / (position.step - position.evaluated_step)
    now = position.step, position.epoch, position.seconds
    rows.append(Evaluation(*now, loss, found, counts, sample))
    if found > best:
        state.best = {name: t.clone() for name, t in state.network.state_dict().items()}
        position.without_gain = 0
    elif best > unchanged or position.epoch > PATIENT_EPOCHS:
        position.without_gain += 1
