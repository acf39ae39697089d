"""The most frequent mistakes of a model on held-out lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hello_runtime.text.pairs import Pair

SHOWN_MISTAKES = 20
"""Kinds of mistakes that are returned, at most."""
SHOWN_CONTEXTS = 3
"""Contexts of each kind, at most."""
CONTEXT = 24
"""Characters of a context on each side of the mistake, at most."""


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
