"""Print lines of single words, so that a network sees the spelling of rare ones.

    pip install wordfreq
    python train/recipes/word_lines.py LANG COUNT > words.txt

Takes the COUNT most frequent words of a language (`pl`, `hu`) that are written in its own letters,
shuffles them and puts eight on a line. A word stands there once, and once more for each doubling
of its frequency above the rarest one's; some begin with a capital, as in a sentence. Spellings of
one plain word (`sad` and `sąd`) keep the shares that they have in the language, and one that is
rare beside another (`mozesz`, typed without marks) is left out. The same lines come out each time.

The frequencies are those of wordfreq, by Robyn Speer. Its code is under the Apache License 2.0, its
data under CC BY-SA 4.0: pass on what this file prints only under that licence, naming wordfreq.
"""

from __future__ import annotations

import math
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping

from hello_train.data.corruption import strip_diacritics

WORDS_IN_A_LINE = 8
CAPITALS = 0.15
"""Share of the words that begin with a capital."""
LEAST_LETTER = 1 / 50_000
"""Share of all letters below which one is not of the language."""
LEAST_SPELLING = 1 / 20
"""Share of a plain word's frequency below which a spelling of it is taken for a mistake."""
SEED = 0


def own_words(frequencies: Mapping[str, float], count: int) -> dict[str, float]:
    """Return the most frequent words that consist of letters of the language.

    Args:
        frequencies: of words, the most frequent first.
        count: how many to return, if there are as many.
    """
    letters: defaultdict[str, float] = defaultdict(float)
    for word, frequency in frequencies.items():
        for char in filter(str.isalpha, word):
            letters[char] += frequency
    least = LEAST_LETTER * sum(letters.values())
    own = {char for char, frequency in letters.items() if frequency >= least}
    words = [word for word in frequencies if own.issuperset(word)]
    return {word: frequencies[word] for word in words[:count]}


def copies(words: Mapping[str, float]) -> Iterator[tuple[str, int]]:
    """Yield each word and how often it is to be seen; spellings taken for mistakes are left out."""
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for word in words:
        spellings["".join(map(strip_diacritics, word))].append(word)
    rarest = min(words.values())
    for group in spellings.values():
        frequency = sum(words[word] for word in group)
        seen = 1 + math.log2(frequency / rarest)
        for word in group:
            share = words[word] / frequency
            if share >= LEAST_SPELLING:
                yield word, max(1, round(seen * share))


def word_lines(frequencies: Mapping[str, float], count: int) -> list[str]:
    """Return the lines of so many words and their frequencies, the most frequent first."""
    source = random.Random(SEED)
    words = [word for word, seen in copies(own_words(frequencies, count)) for _ in range(seen)]
    source.shuffle(words)
    words = [word.capitalize() if source.random() < CAPITALS else word for word in words]
    starts = range(0, len(words), WORDS_IN_A_LINE)
    return [" ".join(words[start : start + WORDS_IN_A_LINE]) for start in starts]


def main() -> None:
    """Write the lines of the language named on the command line."""
    if len(sys.argv) != 3 or not sys.argv[2].isdecimal() or int(sys.argv[2]) == 0:
        sys.exit("usage: word_lines.py LANG COUNT  (for instance pl 200000)")
    language, count = sys.argv[1], int(sys.argv[2])
    try:
        import wordfreq
    except ImportError:
        sys.exit("Error: wordfreq is not installed; run: pip install wordfreq")
    if language not in wordfreq.available_languages("best"):
        known = " ".join(sorted(wordfreq.available_languages("best")))
        sys.exit(f"Error: wordfreq has no words of the language {language!r}; it has {known}")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in word_lines(wordfreq.get_frequency_dict(language, wordlist="best"), count):
        print(line)


if __name__ == "__main__":
    main()
