"""Print the text of Mallard pages, which GNOME writes its help in, one line for each block.

    python train/recipes/mallard_to_lines.py FOLDER > text.txt

Reads every `*.page` below FOLDER in the order of their names: paragraphs, titles, and the sentence
that sums a page up. White space is folded, each line is printed once, and blocks without a letter
are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

MALLARD = "{http://projectmallard.org/1.0/}"
BLOCKS = frozenset(MALLARD + name for name in ("p", "title", "desc"))


def blocks(path: Path) -> Iterator[str]:
    """Yield the text of each block of a page."""
    for element in ElementTree.parse(path).iter():
        if element.tag in BLOCKS:
            text = " ".join("".join(element.itertext()).split())
            if any(char.isalpha() for char in text):
                yield text


def main() -> None:
    """Write the blocks of all pages below the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: mallard_to_lines.py FOLDER  (a folder with *.page files)")
    pages = sorted(Path(sys.argv[1]).rglob("*.page"))
    if not pages:
        sys.exit(f"{sys.argv[1]}: no *.page files in this folder")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in dict.fromkeys(block for path in pages for block in blocks(path)):
        print(line)


if __name__ == "__main__":
    main()
