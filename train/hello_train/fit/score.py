"""What a training counts in its lines: the baseline, and the mistakes on held-out lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from hello_runtime.text.baseline import WORD, Baseline
from hello_runtime.text.pairs import Aligned, AnyPair, output_pieces, pieces

COUNTED = 20_000_000
"""Characters of the training lines whose words are counted, at most, to bound the memory."""
SHOWN_MISTAKES = 20
"""Kinds of mistakes that are returned, at most."""
SHOWN_CONTEXTS = 3
"""Contexts of each kind, at most."""
CONTEXT = 24
"""Characters of a context on each side of the mistake, at most."""


def count_baseline(pairs: Sequence[AnyPair], changeable: frozenset[str]) -> Baseline:
    """Return the baseline of training lines, from the first `COUNTED` characters of them.

    Args:
        pairs: the training lines.
        changeable: their characters with a target other than themselves.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    left = COUNTED
    for pair in pairs:
        place = target_places(pair)
        for word in WORD.finditer(pair.input):
            counts[word.group()][pair.target[place[word.start()] : place[word.end()]]] += 1
        left -= len(pair.input)
        if left <= 0:
            break
    best = {word: targets.most_common(1)[0][0] for word, targets in counts.items()}
    words = {word: target for word, target in best.items() if word != target}
    return Baseline(words, changeable)


def target_places(pair: AnyPair) -> Sequence[int]:
    """Return where the piece of each input character starts in the target, and where it ends."""
    if isinstance(pair, Aligned):
        return [*accumulate(pair.lengths, initial=0)]
    return range(len(pair.input) + 1)


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
                    before = pair.target[max(0, start - CONTEXT) : start]
                    contexts[characters].append(Context(before, pair.target[end : end + CONTEXT]))
    return [
        Mistake(*characters, count, tuple(contexts[characters]))
        for characters, count in counts.most_common(SHOWN_MISTAKES)
    ]


def right_by_character(
    outputs: Sequence[str], pairs: Sequence[AnyPair]
) -> dict[str, tuple[int, int]]:
    """Return for each piece of the targets how many outputs are right, and of how many."""
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for output, pair in zip(outputs, pairs, strict=True):
        count.update(pieces(pair))
        written = zip(output_pieces(pair, output), pieces(pair), strict=True)
        right.update(a for a, b in written if a == b)
    return {char: (right[char], count[char]) for char in sorted(count)}
