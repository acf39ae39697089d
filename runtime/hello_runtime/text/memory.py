"""Whether a long line fits into memory, told before it is decoded."""

from __future__ import annotations

from pathlib import Path

from hello_runtime.errors import InputError

CGROUP, MEMINFO = Path("/sys/fs/cgroup"), Path("/proc/meminfo")
LONG_LINE = 8 << 20
"""Bytes of a line from which on it is asked whether there is memory for it."""
MEMORY_FACTOR = 13
"""Bytes of memory for a byte of a long line, as `tests/benchmarks/one_line.py` measures them: 6 to
7, but up to 13 for a line of ASCII with a character beyond U+FFFF, which makes Python store each
character of it in four bytes."""
MB = 1_000_000

NAMES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""A control group's limit and use, and the entry of `memory.stat` beside them that the system frees
when it needs to: in cgroup v2 and in v1 (https://docs.kernel.org/admin-guide/cgroup-v2.html)."""


def check_line(size: int, place: str) -> None:
    """Check that there is memory to decode a line of so many bytes, or of more.

    Raises:
        InputError: there is not.
    """
    free, needed = free_memory(), MEMORY_FACTOR * size
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
