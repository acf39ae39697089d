"""Print the descriptions of packages that Debian has in a language, one line for each paragraph.

    python train/recipes/descriptions_to_lines.py < Translation-pl > text.txt

Reads one of apt's `Translation-LANG` files from standard input: for each package a field
`Description-LANG`, the first line of which sums it up; a paragraph ends at a line of one dot
(Debian Policy, section 5.6.13). A paragraph that several packages share is printed once, and one
of which a line is indented further, a list or a table, is left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

FIRST_LINE = re.compile(r"Description-[a-zA-Z_]+: (.*)")
PARAGRAPH_END = " .\n"


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Yield the sum of each description and its paragraphs, each as one line."""
    paragraph: list[str] = []
    for line in [*lines, "\n"]:
        if line.startswith(" ") and line != PARAGRAPH_END:
            paragraph.append(line.removeprefix(" "))
            continue
        if paragraph and not any(part.startswith(" ") for part in paragraph):
            yield " ".join("".join(paragraph).split())
        paragraph.clear()
        if first := FIRST_LINE.match(line):
            yield first[1].strip()


def main() -> None:
    """Write the paragraphs of the descriptions on standard input."""
    if len(sys.argv) != 1:
        sys.exit("usage: descriptions_to_lines.py < Translation-LANG")
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in dict.fromkeys(paragraphs(sys.stdin)):
        print(line)


if __name__ == "__main__":
    main()
