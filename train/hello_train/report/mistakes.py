"""The most frequent mistakes of a model on held-out lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hello_runtime.text.pairs import AnyPair, output_pieces, pieces, target_places

from hello_train.data.clusters import cut_at

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
    """An input character whose piece of the output is not that of the target."""

    input: str
    target: str
    output: str
    count: int
    contexts: tuple[Context, ...]
    """Of the first occurrences."""


def mistakes(outputs: Sequence[str], pairs: Sequence[AnyPair]) -> list[Mistake]:
    """Return the most frequent mistakes in a model's outputs, the most frequent first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    contexts: defaultdict[tuple[str, str, str], list[Context]] = defaultdict(list)
    for pair, output in zip(pairs, outputs, strict=True):
        if output == pair.target:
            continue
        place = target_places(pair)
        written = zip(pair.input, pieces(pair), output_pieces(pair, output), strict=True)
        for position, characters in enumerate(written):
            if characters[1] != characters[2]:
                counts[characters] += 1
                if len(contexts[characters]) < SHOWN_CONTEXTS:
                    start, end = place[position : position + 2]
                    contexts[characters].append(context_of(pair.target, start, end))
    return [
        Mistake(*characters, count, tuple(contexts[characters]))
        for characters, count in counts.most_common(SHOWN_MISTAKES)
    ]


def context_of(target: str, start: int, end: int) -> Context:
    """Return the surroundings of `target[start:end]`, which cut no letter from its marks."""
    first = cut_at(target, max(0, start - CONTEXT), 1)
    last = cut_at(target, end + CONTEXT, -1)
    return Context(target[first:start], target[end:last])
