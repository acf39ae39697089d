"""Print the verses of OSIS files, one line each, with their vowel marks and no accents.

    apt-get download bibledit-cloud-data && dpkg-deb -x bibledit-cloud-data_*.deb bible
    FOLDER=bible/usr/share/bibledit-cloud/sources/morphhb
    python train/recipes/osis_to_lines.py $FOLDER > verses.txt

Reads every `*.xml` of the folder in the order of their names. Of a verse it keeps the words and the
punctuation between them; notes and other readings are left out. The Hebrew accents, which say how a
verse is sung, are removed, and so are the strokes between the parts of a word.

The text of that package is the Westminster Leningrad Codex, in the public domain, as the Open
Scriptures Hebrew Bible has it, under CC BY 4.0: name that project with what you make of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

ACCENTS = re.compile("[\u0591-\u05af\u05bd\u05bf\u05c0\u05c4\u05c5/]")
"""Accents, the stroke beside a stressed vowel, dots above letters, and the border of two parts."""
LEFT_OUT = {"note", "rdg", "catchWord"}
PARAGRAPHS = {"x-pe", "x-samekh"}
"""Letters that stand for the end of a paragraph."""


def verses(file: Path) -> Iterator[str]:
    """Yield the text of each verse of a file."""
    for verse in ElementTree.parse(file).iter():
        if name_of(verse) == "verse":
            text = " ".join("".join(texts(verse)).split())
            yield ACCENTS.sub("", text).replace(" \u05be", "\u05be").replace("\u05be ", "\u05be")


def texts(element: ElementTree.Element) -> Iterator[str]:
    """Yield the texts of an element that belong to the verse."""
    yield element.text or ""
    for child in element:
        if name_of(child) not in LEFT_OUT and child.get("type") not in PARAGRAPHS:
            yield from texts(child)
        yield child.tail or ""


def name_of(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def main() -> None:
    """Write the verses of all files of the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: osis_to_lines.py FOLDER  (a folder with *.xml)")
    files = sorted(Path(sys.argv[1]).glob("*.xml"))
    if not files:
        sys.exit(f"{sys.argv[1]}: no *.xml in this folder")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for file in files:
        for verse in filter(None, verses(file)):
            print(verse)


if __name__ == "__main__":
    main()
