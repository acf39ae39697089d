"""Count models: what a network has to beat, from counts in its training lines alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from hello_runtime.text.baseline import WORD, Baseline
from hello_runtime.text.pairs import AnyPair, target_places

COUNTED_CONTEXTS, COUNTED_WORDS = 5_000_000, 20_000_000
"""Characters of the training text whose contexts or words are counted, at most, to bound time and
memory."""
ENDING = 3
"""Last characters of a line from which the count model guesses its class."""


def count_baseline(pairs: Sequence[AnyPair], changeable: frozenset[str]) -> Baseline:
    """Return the baseline of training lines, from the first `COUNTED_WORDS` characters of them.

    Args:
        pairs: the training lines.
        changeable: their characters with a target other than themselves.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    left = COUNTED_WORDS
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


class ContextModel:
    """The next character from the last ones, by interpolated counts.

    With n(c) the times that a character followed a context, N their sum, and T the number of
    different characters that did, P(c) = (n(c) + T P'(c)) / (N + T), where P' is that of the
    context without its first character (Witten and Bell 1991, "The Zero-Frequency Problem"). Below
    the empty context all characters of the alphabet are equally probable.
    """

    def __init__(self, order: int, alphabet: str) -> None:
        """Start without counts; `order` is the number of characters of the longest context."""
        self._order = order
        self._alphabet = frozenset(alphabet)
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def learn(self, pairs: Sequence[AnyPair]) -> None:
        """Count the first `COUNTED_CONTEXTS` characters of training passages."""
        left = COUNTED_CONTEXTS
        for pair in pairs:
            text = pair.input[:1] + pair.target
            for end in range(1, len(text)):
                for length in range(min(self._order, end) + 1):
                    self._counts[text[end - length : end]][text[end]] += 1
            left -= len(pair.input)
            if left <= 0:
                break

    def probability(self, context: str, char: str) -> float:
        """Return the probability of a character of the alphabet behind a context."""
        found = 1 / len(self._alphabet)
        for length in range(min(self._order, len(context)) + 1):
            counts = self._counts.get(context[len(context) - length :])
            if counts is None:
                break
            kinds = len(counts)
            found = (counts[char] + kinds * found) / (counts.total() + kinds)
        return found

    def bits(self, pairs: Sequence[AnyPair]) -> float:
        """Return the bits per character of passages; characters it does not know do not count."""
        total, count = 0.0, 0
        for pair in pairs:
            text = pair.input[:1] + pair.target
            for end in range(1, len(text)):
                if text[end] in self._alphabet:
                    context = text[max(0, end - self._order) : end]
                    total -= math.log2(self.probability(context, text[end]))
                    count += 1
        return total / max(1, count)


class EndingModel:
    """The class of a line from its last characters: the most frequent one of that ending."""

    def __init__(self, pairs: Sequence[AnyPair]) -> None:
        """Count the endings of training lines, and parts of them for endings that are new."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for pair in pairs:
            for length in range(ENDING + 1):
                counts[ending(pair.input, length)][pair.target] += 1
        self._best = {part: found.most_common(1)[0][0] for part, found in counts.items()}

    @property
    def most_frequent(self) -> str:
        """The most frequent class of all."""
        return self._best[""]

    def classify(self, text: str) -> str:
        """Return the class of a line."""
        parts = (ending(text, length) for length in range(ENDING, -1, -1))
        return next(self._best[part] for part in parts if part in self._best)


def ending(text: str, length: int) -> str:
    """Return the last characters of a text, all of a shorter one."""
    return text[-length:] if length else ""
