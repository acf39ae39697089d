"""How well a rewriting does on held-out lines, beside the two simplest things one would try."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hello_train.data import Pair, Split, substitutions

WORD = re.compile(r"\w+")

Rewrite = Callable[[Sequence[str]], list[str]]
"""From lines to lines, each of the length that it had."""


@dataclass(frozen=True)
class Score:
    """Shares of what came out right, each from 0 to 1, and the counts that they are shares of."""

    characters: float
    """Share of the characters that are right."""
    words: float | None
    """Share of the words that are right, of those with a character that is not always written as
    it is read; None where there is no such word."""
    lines: float
    """Share of the lines that are right from end to end."""
    character_count: int
    word_count: int
    line_count: int


def most_frequent_targets(pairs: Sequence[Pair]) -> Rewrite:
    """Return the rewriting that gives every word its most frequent target in these lines.

    What stands between the words, and words that were not seen, stay as they are.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        for word in WORD.finditer(pair.input):
            counts[word.group()][pair.target[word.start() : word.end()]] += 1
    best = {word: targets.most_common(1)[0][0] for word, targets in counts.items()}

    def rewrite(texts: Sequence[str]) -> list[str]:
        return [WORD.sub(lambda word: best.get(word.group(), word.group()), text) for text in texts]

    return rewrite


def score(rewrite: Rewrite, pairs: Sequence[Pair], changeable: frozenset[str]) -> Score:
    """Judge a rewriting on lines; `changeable` holds the characters that make a word count."""
    characters = words = word_count = lines = 0
    outputs = rewrite([pair.input for pair in pairs])
    for pair, output in zip(pairs, outputs, strict=True):
        characters += sum(a == b for a, b in zip(output, pair.target, strict=True))
        lines += output == pair.target
        for span in changeable_words(pair.input, changeable):
            word_count += 1
            words += output[span] == pair.target[span]
    character_count = sum(len(pair.input) for pair in pairs)
    return Score(
        characters=characters / character_count,
        words=words / word_count if word_count else None,
        lines=lines / len(pairs),
        character_count=character_count,
        word_count=word_count,
        line_count=len(pairs),
    )


def changeable_words(text: str, changeable: frozenset[str]) -> Iterator[slice]:
    """Yield where the words are that have a changeable character."""
    for word in WORD.finditer(text):
        if not changeable.isdisjoint(word.group()):
            yield slice(*word.span())


def compare(model: Rewrite, lines: Split) -> dict[str, Score]:
    """Score, on the held-out lines: no change, the most frequent targets, and the model."""
    changeable = frozenset(
        char for char, outputs in substitutions(lines.train).items() if outputs != char
    )
    rows: dict[str, Rewrite] = {
        "no change": list,
        "most frequent target": most_frequent_targets(lines.train),
        "model": model,
    }
    return {name: score(rewrite, lines.holdout, changeable) for name, rewrite in rows.items()}


def falls_behind(rows: dict[str, Score]) -> bool:
    """Tell whether the model gets fewer characters right than the most frequent targets do."""
    return rows["model"].characters < rows["most frequent target"].characters


def table(rows: dict[str, Score]) -> str:
    """Return the scores as a table for people, percentages with two decimals."""
    counts = next(iter(rows.values()))
    lines = [f"{'held-out lines':<20}  {'characters':>10}  {'words':>10}  {'exact lines':>11}"]
    for name, row in rows.items():
        words = "-" if row.words is None else f"{row.words:.2%}"
        lines.append(f"{name:<20}  {row.characters:>10.2%}  {words:>10}  {row.lines:>11.2%}")
    lines.append(
        f"{'of':<20}  {counts.character_count:>10}  {counts.word_count:>10}  "
        f"{counts.line_count:>11}"
    )
    return "\n".join(lines)
