"""Labels of training lines: which edit makes each input character's piece of the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hello_runtime.text.alignment import edit_of
from hello_runtime.text.codepoints import to_codepoints
from hello_runtime.text.edits import KEEP, Edit
from hello_runtime.text.pairs import Aligned, AnyPair
from numpy.typing import NDArray

from hello_train.network.encoding import find

if TYPE_CHECKING:
    from hello_runtime.text.codepoints import Codepoints

Integers = NDArray[np.int64]


class Parts(NamedTuple):
    """The characters of some inputs, one after the other, and what each becomes."""

    given: Codepoints
    """int32 [characters]."""
    written: Codepoints
    """int32 [characters]: the piece of the target, where it is one character."""
    others: Integers
    """int64 [others]: the characters with another piece, by number."""
    pieces: list[str]
    """[others]: these pieces."""


def take_apart(pairs: Sequence[AnyPair]) -> Parts:
    """Return the characters of some pairs and their pieces."""
    given = to_codepoints("".join([pair.input for pair in pairs]))
    text = "".join([pair.target for pair in pairs])
    target = to_codepoints(text)
    if not any(isinstance(pair, Aligned) for pair in pairs):
        return Parts(given, target, np.zeros(0, np.int64), [])
    joined = b"".join([lengths_of(pair) for pair in pairs])
    lengths = np.frombuffer(joined, np.uint8).astype(np.int64)
    ends = np.cumsum(lengths)
    others = np.flatnonzero(lengths != 1)
    places = zip((ends - lengths)[others].tolist(), ends[others].tolist(), strict=True)
    padded = np.append(target, np.int32(0))  # a piece of nothing may end the text
    return Parts(given, padded[ends - lengths], others, [text[a:b] for a, b in places])


def lengths_of(pair: AnyPair) -> bytes:
    """Return the length of each piece of a pair, a byte each."""
    return bytes(pair.lengths) if isinstance(pair, Aligned) else b"\1" * len(pair.input)


class Labels:
    """The labels of a network: which one makes a piece of a character."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        """Prepare the tables; the position of an edit is its label."""
        self._label = {edit: label for label, edit in enumerate(edits)}
        self._none = len(edits)
        written = {edit[0]: label for edit, label in self._label.items() if len(edit) == 1}
        self._keep = written.pop(KEEP, None)
        self._alphabet = "".join(map(str, written))
        self._of_character = np.array([*written.values(), self._none], np.int64)

    def encode(self, pairs: Sequence[AnyPair]) -> Integers:
        """Return the label of each character of the pairs, int64 [characters].

        A character that stays is kept, if that is a label. A piece that no label makes gets the
        number of the labels.
        """
        parts = take_apart(pairs)
        labels = self._of_character[find(parts.written, self._alphabet)]
        if self._keep is not None:
            labels[parts.written == parts.given] = self._keep
        others = parts.others
        chars = map(chr, parts.given[others].tolist())
        labels[others] = [
            self._label.get(edit_of(char, piece), self._none)
            for char, piece in zip(chars, parts.pieces, strict=True)
        ]
        return labels
