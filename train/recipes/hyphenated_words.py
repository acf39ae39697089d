r"""Print words with a soft hyphen wherever they may be divided, by the patterns of a language.

    apt-get download hyphen-pl wpolish
    for package in hyphen-pl wpolish; do dpkg-deb -x ${package}_*.deb words; done
    python train/recipes/hyphenated_words.py words/usr/share/hyphen/hyph_pl_PL.dic \
        words/usr/share/dict/polish 100000 > hyphenated.txt

PATTERNS is a `hyph_*.dic` of Debian's packages `hyphen-*`, WORDS a file with a word on each line.
COUNT of the words are printed, chosen at random and the same ones each time, of those that have
four letters or more and nothing else.

The patterns are applied as Liang says ("Word Hy-phen-a-tion by Com-put-er", Stanford 1983): of all
patterns that fit, the highest number between two letters counts, and a word may be divided where it
is odd.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SOFT_HYPHEN = "\u00ad"
FEWEST_LETTERS = 4
NO_PATTERN = re.compile(r"#|%|[A-Z]+(MIN|LEVEL|NEXT)\b|NOHYPHEN")
LEFT, RIGHT = 2, 2
"""Letters before the first hyphen and behind the last one, unless the patterns say otherwise."""
SEED = 0

Patterns = Mapping[str, Sequence[int]]
"""For the letters of each pattern, the numbers before, between and behind them."""


def read_patterns(file: Path) -> tuple[dict[str, list[int]], int, int]:
    """Return the patterns of a file, and the letters to leave on the left and on the right."""
    encoding, _, content = file.read_bytes().partition(b"\n")
    lines = content.decode(encoding.decode().strip()).splitlines()
    margins = {"LEFTHYPHENMIN": LEFT, "RIGHTHYPHENMIN": RIGHT}
    patterns = {}
    for line in lines:
        name, _, value = line.partition(" ")
        if name in margins:
            margins[name] = int(value)
        if name == "NEXTLEVEL":
            break  # behind it are the patterns for the parts of compounds
        if line and not NO_PATTERN.match(line) and "/" not in line:
            letters = re.sub(r"\d", "", line)
            patterns[letters] = numbers_of(line)
    return patterns, margins["LEFTHYPHENMIN"], margins["RIGHTHYPHENMIN"]


def numbers_of(pattern: str) -> list[int]:
    """Return the numbers before, between and behind the letters of a pattern."""
    numbers = [0]
    for char in pattern:
        if char.isdigit():
            numbers[-1] = int(char)
        else:
            numbers.append(0)
    return numbers


def hyphenate(word: str, patterns: Patterns, left: int, right: int) -> str:
    """Return a word with soft hyphens."""
    framed = f".{word.lower()}."
    highest = [0] * (len(framed) + 1)
    longest = max(map(len, patterns))
    for start in range(len(framed)):
        for end in range(start + 1, min(len(framed), start + longest) + 1):
            for offset, number in enumerate(patterns.get(framed[start:end], ()), start):
                highest[offset] = max(highest[offset], number)
    parts = [
        SOFT_HYPHEN + char
        if left <= place <= len(word) - right and highest[place + 1] % 2
        else char
        for place, char in enumerate(word)
    ]
    return "".join(parts)


def chosen(words: Sequence[str], count: int) -> Iterator[str]:
    """Yield so many of the words that may have a hyphen, in a random order."""
    usable = sorted({word for word in words if len(word) >= FEWEST_LETTERS and word.isalpha()})
    yield from random.Random(SEED).sample(usable, min(count, len(usable)))


def main() -> None:
    """Write the words of a file, hyphenated."""
    if len(sys.argv) != 4:
        sys.exit("usage: hyphenated_words.py PATTERNS WORDS COUNT")
    patterns, left, right = read_patterns(Path(sys.argv[1]))
    words = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for word in chosen(words, int(sys.argv[3])):
        print(hyphenate(word, patterns, left, right))


if __name__ == "__main__":
    main()
