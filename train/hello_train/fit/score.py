"""What a training counts in its lines: the baseline, and the right characters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from hello_runtime.text.baseline import WORD, Baseline
from hello_runtime.text.pairs import AnyPair, output_pieces, pieces, target_places

COUNTED = 20_000_000
"""Characters of the training lines whose words are counted, at most, to bound the memory."""


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
