r"""Print the running text of manual pages, one line for each paragraph, each line once.

    python train/recipes/man_to_lines.py FOLDER > text.txt

Reads every page below FOLDER (`ls.1.gz` or `ls.1`) in the order of their names. What is not prose
is left out: names and options (the tags of `.TP`), examples, tables, and who wrote or translated a
page (paragraphs with an address). So are pages in the other macro language, mdoc, and paragraphs
without a letter beyond ASCII, for most of those were never translated.

It knows of groff's man(7) what the macros do to paragraphs, and no more.
"""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

FEWEST_WORDS = 4
"""A paragraph with fewer is no prose."""

FONTS = frozenset(["B", "I", "R", "SM", "SB"])
"""Macros whose arguments are text."""

ALTERNATING = frozenset(["BI", "BR", "IB", "IR", "RB", "RI"])
"""Macros whose arguments are text in two fonts that take turns, without spaces between."""

VERBATIM = {"nf": "fi", "EX": "EE", "TS": "TE", "SY": "YS", "Vb": "Ve", "de": "."}
"""Macros that open a part which is not prose, and those that close it."""

TAGGED = frozenset(["TP", "TQ", "SH", "SS"])
"""Macros whose next line of text is a tag or a heading, not prose."""

BREAKS = frozenset(["PP", "P", "LP", "IP", "HP", "RS", "RE", "br", "sp", "in", "Sp"])
"""Macros that end a paragraph; they share that with those above."""

MDOC = re.compile(r"^\.Dd\b", re.MULTILINE)
"""What every page in mdoc has."""

ESCAPE = re.compile(
    r"""\\(?: [hvwoDlLbx]'[^']*'                                   # motions and drawings
        | [fFnkmMgs*Y]\[[^]]*\] | [fFnkgY*](?:\(..|.) | s[-+]?\d    # fonts, sizes, registers
        | \((?P<two>..) | \[(?P<long>[^]]*)\]                      # characters with a name
        | (?P<one>.) )""",
    re.VERBOSE,
)

UNREADABLE = "\ufffd"
"""What stands for bytes that are not UTF-8, and for a character whose name is not known here."""

NAMED = {
    "aq": "'", "dq": '"', "oq": "‘", "cq": "’", "lq": "“", "rq": "”", "Bq": "„", "bq": "‚",
    "Fo": "«", "Fc": "»", "em": "—", "en": "–", "hy": "-", "mi": "−", "bu": "•", "co": "©",
    "rg": "®", "tm": "™", "ha": "^", "ti": "~", "rs": "\\", "ga": "`", "at": "@", "sh": "#",
    "de": "°", "mu": "×", "->": "→", "<-": "←", "<=": "≤", ">=": "≥", "*m": "μ", "bv": "|",
}  # fmt: skip
"""Characters by their names in groff_char(7)."""

SINGLE = {"e": "\\", "~": " ", "0": " ", "t": " "} | {char: char for char in "-.'` \\"}
"""What the escapes of one letter leave; the others leave nothing."""


def plain(text: str) -> str:
    r"""Return text without escapes: `\-` is `-`, `\(lq` a quotation mark, `\fB` nothing."""
    return ESCAPE.sub(character, text)


def character(escape: re.Match[str]) -> str:
    """Return the character that an escape stands for, if any."""
    name = escape["two"] or escape["long"]
    if not name:
        return SINGLE.get(escape["one"], "")
    if re.fullmatch(r"u[0-9A-F]{4,6}", name):
        return chr(int(name[1:], 16))
    return NAMED.get(name, UNREADABLE)


def arguments(text: str) -> list[str]:
    """Return what follows a macro, split at spaces that are neither quoted nor escaped."""
    found = re.findall(r'"((?:[^"]|"")*)"?|((?:\\.|\S)+)', text)
    return [quoted.replace('""', '"') or bare for quoted, bare in found]


class Paragraphs:
    """Collects the running text of one page in `found`."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] = []
        self._until = ""
        self._tag = False

    def read(self, page: str) -> None:
        """Take the paragraphs of a page; of one in mdoc, none."""
        if MDOC.search(page):
            return
        for line in page.split("\n"):
            line = re.sub(r'\\["#].*', "", line)
            macro = re.match(r"[.'][ \t]*(\S*)[ \t]*(.*)", line)
            if self._until:
                if macro and macro[1] == self._until:
                    self._until = ""
            elif macro:
                self.obey(macro[1], macro[2])
            elif line.strip():
                self.add(line)
            else:
                self.end()
        self.end()

    def obey(self, name: str, rest: str) -> None:
        """Do what a macro says; those that are not known here do nothing."""
        if name in FONTS:
            self.add(" ".join(arguments(rest)))
        elif name in ALTERNATING:
            self.add("".join(arguments(rest)))
        elif name in VERBATIM or name in TAGGED or name in BREAKS:
            self.end()
            self._until = VERBATIM.get(name, "")
            self._tag = name in TAGGED and not (name.startswith("S") and rest)

    def add(self, line: str) -> None:
        """Add a line of text to the paragraph, unless it is a tag."""
        if not self._tag:
            self._pieces.append(plain(line) + ("" if line.endswith("\\c") else " "))
        self._tag = False

    def end(self) -> None:
        """End the paragraph, and keep it if it is prose."""
        text = " ".join("".join(self._pieces).split())
        self._pieces.clear()
        if is_prose(text):
            self.found.append(text)


def is_prose(text: str) -> bool:
    """Tell whether a paragraph is readable, has some words, no address, a letter beyond ASCII."""
    words = re.findall(r"\b[^\W\d_]{2,}\b", text)
    beyond = any(char.isalpha() and not char.isascii() for char in text)
    return len(words) >= FEWEST_WORDS and beyond and not {"@", UNREADABLE} & set(text)


def read_page(path: Path) -> str:
    """Return the source of a page, which may be compressed."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return content.decode(errors="replace")


def main() -> None:
    """Write the paragraphs of all pages below the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: man_to_lines.py FOLDER  (a folder with manual pages, *.1.gz or *.1)")
    pages = sorted(path for path in Path(sys.argv[1]).rglob("*.[1-9]*") if path.is_file())
    if not pages:
        sys.exit(f"{sys.argv[1]}: no manual pages, such as ls.1.gz, in this folder")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    lines: dict[str, None] = {}
    for path in pages:
        page = Paragraphs()
        page.read(read_page(path))
        lines |= dict.fromkeys(page.found)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
