"""What a training counts in its lines: the baseline, and the mistakes on held-out lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hello_runtime.text.baseline import WORD, Baseline
from hello_runtime.text.pairs import Pair

COUNTED = 20_000_000
"""Characters of the training lines whose words are counted, at most, to bound the memory."""
SHOWN_MISTAKES = 20
"""Kinds of mistakes that are returned, at most."""
SHOWN_CONTEXTS = 3
"""Contexts of each kind, at most."""
CONTEXT = 24
"""Characters of a context on each side of the mistake, at most."""


def count_baseline(pairs: Sequence[Pair], changeable: frozenset[str]) -> Baseline:
    """Return the baseline of training lines, from the first `COUNTED` characters of them.

    Args:
        pairs: the training lines.
        changeable: their characters with a target other than themselves.
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


@dataclass(frozen=True)
class Context:
    """The surroundings of a mistake in the target line."""

    before: str
    after: str


@dataclass(frozen=True)
class Mistake:
    """An input character whose output is not its target."""

    input: str
    target: str
    output: str
    count: int
    contexts: tuple[Context, ...]
    """Of the first occurrences."""


def mistakes(outputs: Sequence[str], pairs: Sequence[Pair]) -> list[Mistake]:
    """Return the most frequent mistakes in a model's outputs, the most frequent first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    contexts: defaultdict[tuple[str, str, str], list[Context]] = defaultdict(list)
    for pair, output in zip(pairs, outputs, strict=True):
        if output == pair.target:
            continue
        for position, characters in enumerate(zip(pair.input, pair.target, output, strict=True)):
            if characters[1] != characters[2]:
                counts[characters] += 1
                if len(contexts[characters]) < SHOWN_CONTEXTS:
                    before = pair.target[max(0, position - CONTEXT) : position]
                    after = pair.target[position + 1 : position + 1 + CONTEXT]
                    contexts[characters].append(Context(before, after))
    return [
        Mistake(*characters, count, tuple(contexts[characters]))
        for characters, count in counts.most_common(SHOWN_MISTAKES)
    ]


def right_by_character(outputs: Sequence[str], pairs: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    """Return for each character of the targets how many outputs are right, and of how many."""
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for output, pair in zip(outputs, pairs, strict=True):
        count.update(pair.target)
        right.update(a for a, b in zip(output, pair.target, strict=True) if a == b)
    return {char: (right[char], count[char]) for char in sorted(count)}
