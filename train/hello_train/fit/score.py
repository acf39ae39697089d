"""How well a rewriting does on held-out lines, beside the two simplest things one would try."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hello_train.data.lines import Pair

WORD = re.compile(r"\w+")
COUNTED = 20_000_000
"""Characters whose words are counted, at most: what a user would try first, in memory that they
have."""
SHOWN_MISTAKES = 20
"""Kinds of mistakes that are told, at most."""
SHOWN_CONTEXTS = 3
"""Places of each that are told, at most."""
CONTEXT = 24
"""Characters that are told on each side of a mistake."""


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


@dataclass(frozen=True)
class Baseline:
    """What the training lines say without a network; it is saved beside one, to judge it by."""

    words: dict[str, str]
    """The most frequent target of each word, of those words that mostly change."""
    changeable: frozenset[str]
    """The characters that are not always written as they are read: a word with one counts."""

    def rewrite(self, texts: Sequence[str]) -> list[str]:
        """Give every word its most frequent target.

        What stands between the words, and words that were not seen, stay as they are.
        """
        words = self.words
        return [
            WORD.sub(lambda word: words.get(word.group(), word.group()), text) for text in texts
        ]


def count_baseline(pairs: Sequence[Pair], changeable: frozenset[str]) -> Baseline:
    """Count the targets of the words in these lines, the first `COUNTED` characters of them.

    Args:
        pairs: the training lines.
        changeable: their characters that are not always written as they are read.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    left = COUNTED
    for pair in pairs:
        for word in WORD.finditer(pair.input):
            counts[word.group()][pair.target[word.start() : word.end()]] += 1
        left -= len(pair.input)
        if left <= 0:
            break
    best = {word: targets.most_common(1)[0][0] for word, targets in counts.items()}
    words = {word: target for word, target in best.items() if word != target}
    return Baseline(words, changeable)


def score(outputs: Sequence[str], pairs: Sequence[Pair], changeable: frozenset[str]) -> Score:
    """Judge what became of each line; `changeable` holds the characters that make a word count."""
    characters = words = word_count = lines = 0
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


def compare(
    outputs: Sequence[str], holdout: Sequence[Pair], baseline: Baseline
) -> dict[str, Score]:
    """Score, on held-out lines: no change, the most frequent targets, and a model's outputs."""
    inputs = [pair.input for pair in holdout]
    rows = {
        "no change": inputs,
        "most frequent target": baseline.rewrite(inputs),
        "model": outputs,
    }
    return {name: score(row, holdout, baseline.changeable) for name, row in rows.items()}


@dataclass(frozen=True)
class Context:
    """What stood around a mistake."""

    before: str
    """Of the target line, up to `CONTEXT` characters."""
    after: str


@dataclass(frozen=True)
class Mistake:
    """A character that was rewritten to another than its target."""

    input: str
    target: str
    output: str
    count: int
    """How often it was."""
    contexts: tuple[Context, ...]
    """Of the first times."""


def mistakes(outputs: Sequence[str], pairs: Sequence[Pair]) -> list[Mistake]:
    """Return the most frequent mistakes in what became of lines, the most frequent first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    contexts: defaultdict[tuple[str, str, str], list[Context]] = defaultdict(list)
    for pair, output in zip(pairs, outputs, strict=True):
        if output == pair.target:
            continue
        for place, characters in enumerate(zip(pair.input, pair.target, output, strict=True)):
            if characters[1] != characters[2]:
                counts[characters] += 1
                if len(contexts[characters]) < SHOWN_CONTEXTS:
                    before = pair.target[max(0, place - CONTEXT) : place]
                    after = pair.target[place + 1 : place + 1 + CONTEXT]
                    contexts[characters].append(Context(before, after))
    return [
        Mistake(*characters, count, tuple(contexts[characters]))
        for characters, count in counts.most_common(SHOWN_MISTAKES)
    ]


def right_by_character(outputs: Sequence[str], pairs: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    """Return for each character of the targets how many came out right, and of how many."""
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for output, pair in zip(outputs, pairs, strict=True):
        count.update(pair.target)
        right.update(a for a, b in zip(output, pair.target, strict=True) if a == b)
    return {char: (right[char], count[char]) for char in sorted(count)}


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
