"""Print the text of HTML pages, one line for each block (paragraph, heading, list item, cell).

    python train/recipes/html_to_lines.py FOLDER > text.txt

Reads every `*.html` below FOLDER in the order of their names; white space is folded, and blocks
without a letter are left out.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

BLOCKS = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "td", "th", "dt", "dd", "pre", "title", "div"]
)
HIDDEN = frozenset(["script", "style"])


class BlockText(HTMLParser):
    """Collects the text of each block of one page in `blocks`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self._pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in HIDDEN
        if tag in BLOCKS:
            self.end_block()
        elif tag == "br":
            self._pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN))
        if tag in BLOCKS:
            self.end_block()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._pieces.append(data)

    def end_block(self) -> None:
        text = " ".join("".join(self._pieces).split())
        self._pieces.clear()
        if any(char.isalpha() for char in text):
            self.blocks.append(text)


def main() -> None:
    """Write the blocks of all pages below the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: html_to_lines.py FOLDER  (a folder with *.html pages)")
    pages = sorted(Path(sys.argv[1]).rglob("*.html"))
    if not pages:
        sys.exit(f"{sys.argv[1]}: no *.html pages in this folder")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for path in pages:
        page = BlockText()
        page.feed(path.read_text(encoding="utf-8"))
        page.end_block()
        for block in page.blocks:
            print(block)


if __name__ == "__main__":
    main()
