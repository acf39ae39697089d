"""Long lines, which are kept in UTF-8.

In a `str`, one character beyond U+FFFF makes each of the others take four bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

PIECE = 1024
"""Characters in each piece of a long text but the last."""


class LongText:
    """A text in UTF-8, of which parts are read as `str`: as slices, with a start and a stop.

    >>> text = LongText(["abc", "dż"])
    >>> len(text), text[2:5], [*text]
    (5, 'cdż', ['abcdż'])
    """

    __slots__ = ("_length", "_pieces")

    def __init__(self, parts: Iterable[str]) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        rest = ""
        for part in parts:
            self._length += len(part)
            text = rest + part
            whole = len(text) - len(text) % PIECE
            self._pieces += [text[at : at + PIECE].encode() for at in range(0, whole, PIECE)]
            rest = text[whole:]
        self._pieces.append(rest.encode())

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> str:
        first, last = part.start // PIECE, part.stop // PIECE
        text = b"".join(self._pieces[first : last + 1]).decode()
        return text[part.start - first * PIECE : part.stop - first * PIECE]

    def __iter__(self) -> Iterator[str]:
        """Yield the text in pieces."""
        return map(bytes.decode, self._pieces)

    def __str__(self) -> str:
        return "".join(self)


Text: TypeAlias = "str | LongText"
