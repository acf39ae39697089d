"""Checks that there is memory for a long line, before it is decoded."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from hello_runtime.errors import InputError
from hello_runtime.resources import free_memory
from hello_runtime.text.edits import KEEP

if TYPE_CHECKING:
    from hello_runtime.model.metadata import ModelInfo

LONG_LINE = 1 << 20
"""Bytes from which on a line is long: it is kept in UTF-8, and its memory is checked."""
LINE = 3
"""Bytes of memory for each byte of a long line, besides what is made of it, at most. These and the
next ones are what `tests/benchmarks/one_line.py` measures."""
ANNOTATION = 5
"""For each character, where confidences are asked for: a confidence and a length."""
NUMBER = 4
"""For each number that the graph of a classifier makes of a character. It reads the line at once;
no other model does."""
GROWTH = {"none": (1, 1), "nfc": (3, 1), "nfd": (3, 1.5)}
"""Bytes and characters that a normal form makes of a byte, at most: NFD makes three characters, of
6 bytes, of the two bytes of U+0390. A test computes them from Unicode's tables."""
MB = 1_000_000


def memory_factor(info: ModelInfo, numbers: int, *, as_json: bool) -> int:
    """Return the bytes of memory for each byte of a long line, at most.

    Args:
        info: of the model.
        numbers: how many its graph makes of each character.
        as_json: whether confidences are kept too.
    """
    if info.task == "classify":
        return LINE + NUMBER * numbers
    size, characters = GROWTH[info.normalization]
    normal_text = 0 if info.normalization == "none" else size
    written = max(
        sum(size if part is KEEP else characters * len(part.encode()) for part in label)
        for label in [(KEEP,), *info.output_labels]
    )
    annotated = as_json or info.may_grow
    return ceil(LINE + normal_text + written + characters * ANNOTATION * annotated)


def check_line(size: int, factor: int, place: str) -> None:
    """Check that there is memory to decode a line.

    Args:
        size: its bytes, or those that have arrived.
        factor: bytes of memory for each of them.
        place: what the line is called in the error.

    Raises:
        InputError: there is not.
    """
    free, needed = free_memory(), factor * size
    if free is None or needed <= free:
        return
    raise InputError(
        f"{place}: the line has {size // MB} MB or more, for which decoding may take "
        f"{needed // MB} MB of memory, and {free // MB} MB are free; cut the line into shorter "
        f"ones, or give the process more memory"
    )
