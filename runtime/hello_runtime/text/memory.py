"""Whether a long line fits into memory, told before it is decoded."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.errors import InputError
from hello_runtime.text.edits import KEEP

if TYPE_CHECKING:
    from hello_runtime.model.metadata import ModelInfo

CGROUP, MEMINFO = Path("/sys/fs/cgroup"), Path("/proc/meminfo")
LONG_LINE = 1 << 20
"""Bytes of a line from which on it is kept in UTF-8, and it is asked whether there is memory."""
LINE = 3
"""Bytes of memory for each byte of a long line, besides what is made of it, at most. These and the
next ones are what `tests/benchmarks/one_line.py` measures."""
ANNOTATION = 5
"""For each character, with `--json`: a confidence and a length."""
NUMBER = 4
"""For each number that the graph of a classifier makes of a character. It reads the line at once;
no other model does."""
GROWTH = {"none": (1, 1), "nfc": (3, 1), "nfd": (3, 1.5)}
"""Bytes and characters that a normal form makes of a byte, at most: NFD makes three characters, of
6 bytes, of the two bytes of U+0390. A test computes them from Unicode's tables."""
MB = 1_000_000

NAMES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""A control group's limit and use, and the entry of `memory.stat` beside them that the system frees
when it needs to: in cgroup v2 and in v1 (https://docs.kernel.org/admin-guide/cgroup-v2.html)."""


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
    return ceil(LINE + normal_text + written + characters * ANNOTATION * as_json)


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


def free_memory(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """Return the bytes that this process may still take, or None where the system does not say.

    It is the least of what the machine has and what a control group leaves.
    """
    found = [group_memory(cgroup), machine_memory(meminfo)]
    return min((free for free in found if free is not None), default=None)


def machine_memory(meminfo: Path) -> int | None:
    """Return the bytes of the machine that can be taken without swapping."""
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def group_memory(cgroup: Path) -> int | None:
    """Return the bytes that a control group leaves, or None if it sets no limit."""
    for limit_name, used_name, freed_name in NAMES:
        limit_file = cgroup / limit_name
        try:
            limit, used = int(limit_file.read_text()), int((cgroup / used_name).read_text())
            stat = limit_file.with_name("memory.stat").read_text().split()
        except (OSError, ValueError):  # the limit may be the word max
            continue
        freed = dict(zip(stat[::2], stat[1::2], strict=False)).get(freed_name, "0")
        return max(0, limit - used + int(freed))
    return None
