"""The alphabet as a table, so that a graph can look code points up.

Unicode has 1,114,112 code points, and an alphabet has few of them. The second stage holds the ids
of whole pages of 256 code points, and the first stage says where each page begins there. All pages
without a character of the alphabet share one (The Unicode Standard, section 5.1, "Multistage
Tables"). Where every page up to the last has a character, as in Latin text without typographic
quotes, each page stands at its own place, and the graph has no first stage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PAGE = 256


class Lookup(NamedTuple):
    """`ids[page_starts[c // PAGE] + c % PAGE]` is the id of code point c, for c up to `last`."""

    page_starts: NDArray[np.int32]
    """[pages]"""
    ids: NDArray[np.int32]
    """[distinct pages * PAGE]; characters outside the alphabet have its length as their id."""
    last: int
    """A code point of the last page, which is empty; larger ones are looked up as this one."""

    @property
    def is_direct(self) -> bool:
        """Whether `ids[c]` is the id of code point c, for c up to `last`."""
        return len(self.ids) == self.last + PAGE


def build_lookup(alphabet: str) -> Lookup:
    """Return the table of an alphabet: the id of a character is its position."""
    pages = {ord(char) // PAGE for char in alphabet}
    empty = max(pages) + 1
    ids = np.full((len(pages) + 1, PAGE), len(alphabet), np.int32)
    rows = {page: row for row, page in enumerate(sorted(pages))}
    for id_, char in enumerate(alphabet):
        ids[rows[ord(char) // PAGE], ord(char) % PAGE] = id_
    page_starts = [rows.get(page, len(pages)) * PAGE for page in range(empty + 1)]
    return Lookup(np.array(page_starts, np.int32), ids.reshape(-1), empty * PAGE)
