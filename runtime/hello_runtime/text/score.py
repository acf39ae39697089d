"""Scores of a model on pairs, beside those of the baseline and of no change.

Every share is one of the input. A character is right if what it becomes is what it becomes in the
target. Where the sides of a line differ in length, both the target and the output are aligned with
the input (`alignment`), which tells what each character becomes. A word is a run of letters and
digits of the input, and right if all its characters are; a line is right if it is the target.

hello-train prints them at the end of a training, and `hello-infer --score` for a file of pairs
(`hello_runtime.scoring`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hello_runtime.text.baseline import WORD, Baseline
from hello_runtime.text.codepoints import to_codepoints
from hello_runtime.text.pairs import (
    BLOCK,
    Aligned,
    AnyPair,
    in_blocks,
    output_pieces,
    pieces,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    """[3]: characters, words that count, lines."""
    Spans = NDArray[np.intp]
    """[parts, 2]: where each part of a text starts and ends."""

NO_CHANGE, GUESS, MODEL = ROWS = ("no change", "most frequent target", "model")
"""What is compared."""


class Score(NamedTuple):
    """Shares of what is right, each from 0 to 1, and the counts that they are shares of."""

    characters: float
    words: float | None
    """Of the words that count, those with a changeable character; None if there are none."""
    lines: float
    """Of the lines that are right from end to end."""
    character_count: int
    word_count: int
    line_count: int


class Tally:
    """Counts what is right in the lines that are added, and keeps none of them."""

    def __init__(self, baseline: Baseline | None, changeable: frozenset[str] | None) -> None:
        """Start from nothing.

        Args:
            baseline: its rewriting is scored too.
            changeable: the characters that make a word count; None if every word counts.
        """
        self._baseline = baseline
        self._changeable = changeable
        self._wrong = {name: np.zeros(3, np.int64) for name in ROWS}
        self.total: Counts = np.zeros(3, np.int64)

    def add(self, pairs: Sequence[AnyPair], outputs: Iterable[str]) -> None:
        """Count some lines, and a model's outputs for them.

        Raises:
            AlignmentError: an output cannot be aligned with its input.
        """
        inputs = [pair.input for pair in pairs]
        read = "\n".join(inputs)
        words, lines = self._changeable_words(read), line_spans(inputs)
        self.total += sum(map(len, inputs)), len(words), len(lines)
        guess = self._baseline.rewrite(read).split("\n") if self._baseline else inputs
        for name, texts in zip(ROWS, (inputs, guess, list(outputs)), strict=True):
            self._wrong[name] += count_wrong(pairs, texts, words, lines)

    def _changeable_words(self, text: str) -> Spans:
        chars = self._changeable
        words = WORD.finditer(text)
        spans = [w.span() for w in words if chars is None or not chars.isdisjoint(w.group())]
        return np.array(spans, np.intp).reshape(-1, 2)

    def scores(self) -> dict[str, Score]:
        """Return the scores by name; those of the baseline only if there is one."""
        scores = {}
        counts = self.total.tolist()
        for name, wrong in self._wrong.items():
            characters, words, lines = (self.total - wrong).tolist()
            share = words / counts[1] if counts[1] else None
            scores[name] = Score(characters / counts[0], share, lines / counts[2], *counts)
        if not self._baseline:
            del scores[GUESS]
        return scores


def line_spans(inputs: Sequence[str]) -> Spans:
    """Return where lines start and end in the text in which a LF separates them."""
    ends = np.cumsum([len(text) + 1 for text in inputs], dtype=np.intp) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    return np.stack([starts, ends], axis=1)


def count_wrong(
    pairs: Sequence[AnyPair], outputs: Sequence[str], words: Spans, lines: Spans
) -> Counts:
    """Count the input characters whose output is not their target, and words and lines with such.

    Args:
        pairs: inputs and targets.
        outputs: one for each pair.
        words: where the words are in the inputs, with a LF between each two.
        lines: likewise, the lines.
    """
    differs = wrong_characters(pairs, outputs)
    before = np.concatenate([[0], np.cumsum(differs, dtype=np.int32)])  # how many, [characters + 1]
    in_words, in_lines = (np.count_nonzero(np.diff(before[spans])) for spans in (words, lines))
    return np.array([before[-1], in_words, in_lines])


def wrong_characters(pairs: Sequence[AnyPair], outputs: Sequence[str]) -> NDArray[np.bool_]:
    """Return which input characters have another piece of the output than of the target.

    Returns:
        For the inputs with a LF between each two, [characters].
    """
    if not any(isinstance(pair, Aligned) for pair in pairs):
        target = "\n".join([pair.target for pair in pairs])
        differ: NDArray[np.bool_] = to_codepoints("\n".join(outputs)) != to_codepoints(target)
        return differ
    differs: list[bool] = []
    for pair, output in zip(pairs, outputs, strict=True):
        both = zip(pieces(pair), output_pieces(pair, output), strict=True)
        differs += [wanted != written for wanted, written in both]
        differs.append(False)
    return np.array(differs[:-1], np.bool_)


def score_outputs(
    pairs: Iterable[AnyPair], outputs: Iterable[str], baseline: Baseline
) -> dict[str, Score]:
    """Return the scores of a model's outputs for pairs, of which there is at least one."""
    tally = Tally(baseline, baseline.changeable)
    for block in in_blocks(zip(pairs, outputs, strict=True), lambda row: len(row[1]), BLOCK):
        tally.add([pair for pair, _ in block], [output for _, output in block])
    return tally.scores()


def score_table(scores: Mapping[str, Score | None], title: str) -> str:
    """Return scores as a table for people, in percent with two decimals."""
    line = "{:<20}  {:>10}  {:>10}  {:>11}".format
    lines = [line(title, "characters", "words", "exact lines")]
    for name, score in scores.items():
        shares = score[:3] if score else [None] * 3
        lines.append(line(name, *("-" if share is None else f"{share:.2%}" for share in shares)))
    counts = next(score[3:] for score in scores.values() if score)
    return "\n".join([*lines, line("of", *counts)])
