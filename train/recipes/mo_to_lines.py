"""Print the messages that programs were translated with, one line each, each line once.

    python train/recipes/mo_to_lines.py FOLDER LANG > text.txt

Reads every `LANG/LC_MESSAGES/*.mo` below FOLDER, as gettext compiles them, in the order of their
names. Markup and the marks of shortcut keys are taken out. Left out are messages that say the same
in English, those of few words, and those with placeholders, for they are no running text.
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

FEWEST_WORDS = 4
"""A line with fewer is no sentence."""

MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|[_&~](?=\w)|(?<=\w)_")
PLACEHOLDER = re.compile(r"[%$<>{}\\|=\ufffd]")
LITTLE_ENDIAN = bytes.fromhex("de120495")


def messages(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield each message of a file and its translations; of several, each on its own.

    The format is that of the manual of GNU gettext, "The Format of GNU MO Files": two tables of
    lengths and offsets; a context ends at EOT, and the forms of a plural are separated by NUL.
    """
    order: Literal["little", "big"] = "little" if content.startswith(LITTLE_ENDIAN) else "big"

    def number(offset: int) -> int:
        return int.from_bytes(content[offset : offset + 4], order)

    def text(entry: int) -> str:
        length, offset = number(entry), number(entry + 4)
        return content[offset : offset + length].decode(errors="replace")

    for entry in range(0, 8 * number(8), 8):
        original = text(number(12) + entry).rpartition("\x04")[2]
        if original:
            for translation in text(number(16) + entry).split("\0"):
                yield original, translation


def lines_of(message: str) -> Iterator[str]:
    """Yield the lines of a message that are running text, as a reader sees them."""
    for line in html.unescape(message).split("\n"):
        text = " ".join(MARKUP.sub("", line).split())
        words = re.findall(r"\b[^\W\d_]{2,}\b", text)
        if len(words) >= FEWEST_WORDS and not PLACEHOLDER.search(text):
            yield text


def main() -> None:
    """Write the messages of all files below the folder named on the command line."""
    if len(sys.argv) != 3:
        sys.exit("usage: mo_to_lines.py FOLDER LANG  (a folder with LANG/LC_MESSAGES/*.mo below)")
    folder, language = Path(sys.argv[1]), sys.argv[2]
    files = sorted(folder.rglob(f"{language}/LC_MESSAGES/*.mo"))
    if not files:
        sys.exit(f"{folder}: no {language}/LC_MESSAGES/*.mo in this folder")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    lines: dict[str, None] = {}
    for file in files:
        for original, translation in messages(file.read_bytes()):
            if translation not in original.split("\0"):
                lines |= dict.fromkeys(lines_of(translation))
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
