"""Scores of a model on pairs, beside those of the baseline and of no change.

hello-train prints them at the end of a training, and `hello-infer --score` for a file of pairs,
which may be larger than the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hello_runtime.errors import InputError, UnknownCharacterError
from hello_runtime.text.baseline import WORD, Baseline
from hello_runtime.text.codepoints import to_codepoints
from hello_runtime.text.pairs import Pair, in_blocks, read_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.decoder import Decoder

    Counts = NDArray[np.int64]
    """[3]: characters, words that count, lines."""
    Spans = NDArray[np.intp]
    """[parts, 2]: where each part of a text starts and ends."""

BLOCK = 1 << 18
"""Characters that are decoded and counted at a time, at least."""
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

    def add(self, pairs: Sequence[Pair], outputs: Iterable[str]) -> None:
        """Count some lines, and a model's outputs for them."""
        read = "\n".join(pair.input for pair in pairs)
        target = "\n".join(pair.target for pair in pairs)
        words = self._changeable_words(read)
        lines = line_spans(pairs)
        self.total += sum(len(pair.input) for pair in pairs), len(words), len(lines)
        guess = self._baseline.rewrite(read) if self._baseline else read
        for name, text in zip(ROWS, (read, guess, "\n".join(outputs)), strict=True):
            self._wrong[name] += count_wrong(text, target, words, lines)

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


def line_spans(pairs: Sequence[Pair]) -> Spans:
    """Return where lines start and end in the text in which a LF separates them."""
    ends = np.cumsum([len(pair.input) + 1 for pair in pairs], dtype=np.intp) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    return np.stack([starts, ends], axis=1)


def count_wrong(text: str, target: str, words: Spans, lines: Spans) -> Counts:
    """Count the characters that differ from the target's, and the words and lines with such."""
    differs = to_codepoints(text) != to_codepoints(target)
    before = np.concatenate([[0], np.cumsum(differs, dtype=np.int32)])  # how many, [characters + 1]
    in_words, in_lines = (np.count_nonzero(np.diff(before[spans])) for spans in (words, lines))
    return np.array([before[-1], in_words, in_lines])


def score_outputs(
    pairs: Iterable[Pair], outputs: Iterable[str], baseline: Baseline
) -> dict[str, Score]:
    """Return the scores of a model's outputs for pairs, of which there is at least one."""
    tally = Tally(baseline, baseline.changeable)
    for block in in_blocks(zip(pairs, outputs, strict=True), lambda row: len(row[1]), BLOCK):
        tally.add([pair for pair, _ in block], [output for _, output in block])
    return tally.scores()


def score_model(decoder: Decoder, path: Path, baseline: Baseline | None) -> dict[str, Score | None]:
    """Return the scores of a model on a file of pairs.

    Without a baseline its row is None, and the words that count are those with a character that
    the model's guard lets change. Without a guard every word counts.

    Raises:
        InputError: the file holds no pair or cannot be read, or a line is no pair, or has a
            character that is unknown to a model that copies none.
        EngineError: onnxruntime failed.
    """
    # Both are the same, for baseline and guard come from the same training lines.
    tally = Tally(baseline, baseline.changeable if baseline else decoder.info.changeable)
    waiting: deque[list[tuple[int, Pair]]] = deque()

    def inputs() -> Iterator[list[str]]:
        for block in in_blocks(read_pairs(path), lambda row: len(row[1].input), BLOCK):
            waiting.append(block)
            yield [pair.input for _, pair in block]

    try:
        with closing(decoder.decode_batches(inputs())) as batches:
            for outputs in batches:
                tally.add([pair for _, pair in waiting.popleft()], outputs)
    except UnknownCharacterError as error:
        number, _ = waiting[-1][error.index]
        raise InputError(f"{path}, line {number}: {error}") from error
    if not tally.total[0]:
        raise InputError(f"{path}: the file is empty; it must hold lines of input, tab, target")
    scores = tally.scores()
    return {name: scores.get(name) for name in ROWS}


def score_table(scores: Mapping[str, Score | None], title: str) -> str:
    """Return scores as a table for people, in percent with two decimals."""
    line = "{:<20}  {:>10}  {:>10}  {:>11}".format
    lines = [line(title, "characters", "words", "exact lines")]
    for name, score in scores.items():
        shares = score[:3] if score else [None] * 3
        lines.append(line(name, *("-" if share is None else f"{share:.2%}" for share in shares)))
    counts = next(score[3:] for score in scores.values() if score)
    return "\n".join([*lines, line("of", *counts)])
