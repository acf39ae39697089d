"""Edits: what a network may write for a character that it reads.

An edit is a sequence of 0 to 8 elements. Each is a character, or KEEP: the character that was read.
So `(KEEP,)` keeps it, `("ł",)` replaces it, `()` deletes it, `(KEEP, " ")` appends a space to it
and `(" ", KEEP)` prepends one.

In JSON an edit without KEEP is a string, and one with KEEP a list in which null is KEEP:
`"ł"`, `""`, `[null, " "]`, `[" ", null]`. As a table, edits are int32 [labels, width].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.text.codepoints import Codepoints

KEEP: Final = None
"""The element that stands for the character that was read."""
LONGEST_EDIT: Final = 8
"""Elements of an edit, at most."""
NOTHING: Final = -1
"""In a table: where a shorter edit has no element."""
KEPT: Final = -2
"""In a table: KEEP."""

Edit: TypeAlias = "tuple[str | None, ...]"
"""What is written for one character; each element is a character or KEEP."""


def apply(edit: Edit, char: str) -> str:
    """Return what an edit writes for a character.

    >>> apply((KEEP, "-"), "x"), apply((), "x"), apply(("ł",), "l")
    ('x-', '', 'ł')
    """
    return "".join([char if element is KEEP else element for element in edit])


def rewrite(text: str, edits: Iterable[Edit]) -> str:
    """Return what edits write, one for each character of a text.

    >>> rewrite("ab", [(KEEP, "-"), (KEEP,)])
    'a-b'

    Raises:
        ValueError: there are more edits than characters, or fewer.
    """
    return "".join([apply(edit, char) for edit, char in zip(edits, text, strict=True)])


def check_edit(edit: Edit) -> None:
    """Raise a ValueError unless an edit is short enough, of KEEP and characters other than LF."""
    if len(edit) > LONGEST_EDIT:
        raise ValueError(f"it has {len(edit)} elements; {LONGEST_EDIT} are possible")
    for element in edit:
        if element is KEEP:
            continue
        if not isinstance(element, str) or len(element) != 1 or "\ud800" <= element <= "\udfff":
            raise ValueError(f"{shortened(element)} is no character")
        if element == "\n":
            raise ValueError("it has LF, which would make two lines of one")


def to_json(edit: Edit) -> str | list[str | None]:
    """Return an edit as JSON holds it.

    >>> to_json(("ł",)), to_json(()), to_json((KEEP, " "))
    ('ł', '', [None, ' '])
    """
    return list(edit) if KEEP in edit else "".join(map(str, edit))


def from_json(value: object) -> Edit:
    """Return the edit that JSON holds.

    >>> from_json("ł"), from_json([None, " "])
    (('ł',), (None, ' '))

    Raises:
        ValueError: it is no edit, or not in the form that `to_json` gives.
    """
    if isinstance(value, list) and KEEP not in value:
        raise ValueError("without null it is a string, not a list")
    if not isinstance(value, (str, list)):
        raise ValueError("it is neither a string nor a list")
    edit = tuple(value)
    check_edit(edit)
    return edit


def edit_table(edits: Sequence[Edit]) -> Codepoints:
    """Return edits as int32 [labels, width]: code points, NOTHING and KEPT.

    The width is that of the longest edit, and at least 1.

    >>> edit_table([(KEEP,), (KEEP, " "), ()]).tolist()
    [[-2, -1], [-2, 32], [-1, -1]]
    """
    import numpy as np  # here, because reading pairs and their edits does not need it

    width = max([1, *map(len, edits)])
    rows = [
        [KEPT if element is KEEP else ord(element) for element in edit]
        + [NOTHING] * (width - len(edit))
        for edit in edits
    ]
    return np.array(rows, np.int32).reshape(len(rows), width)


def apply_table(table: Codepoints, labels: NDArray[Any], codepoints: Codepoints) -> Codepoints:
    """Return what labels write for code points, int32 [..., width] with NOTHING in it.

    Args:
        table: of the edits, int32 [labels, width].
        labels: of each character, integers [...].
        codepoints: the characters that are read, int32 [...].
    """
    import numpy as np

    written: Codepoints = table[labels]
    return np.where(written == KEPT, codepoints[..., None], written)
