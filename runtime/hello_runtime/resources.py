"""What this process may use of the machine: processors and memory.

A control group, such as that of a container, may allow less than there is. Its files have other
names in version 1 than in version 2 (https://docs.kernel.org/admin-guide/cgroup-v2.html).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP, MEMINFO = Path("/sys/fs/cgroup"), Path("/proc/meminfo")

CPU_FILES = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""The files of a control group that have its CPU time and the period for it, of either version."""
MEMORY_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""The files that have the limit of its memory, what it uses, and what that consists of."""


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Return the number of CPUs in the affinity mask, or fewer if a control group allows less."""
    quota = cpu_quota(cgroup)
    cpus = affine_cpus()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def affine_cpus() -> int:
    """Return the number of CPUs in the process's affinity mask."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroup: Path) -> float | None:
    """Return the CPU time of a control group in CPUs, or None if it sets no limit."""
    match group_words(cgroup, CPU_FILES):
        case [limit, period] if limit.isdecimal():  # not max, nor -1
            return int(limit) / int(period)
    return None


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
    match group_words(cgroup, MEMORY_FILES):
        case [limit, used, *rows] if limit.isdecimal():  # not max
            stat = dict(zip(rows[::2], rows[1::2], strict=False))
            # What the system frees when it needs to; version 1 has a total of the groups inside.
            freed = stat.get("total_inactive_file", stat.get("inactive_file", 0))
            return max(0, int(limit) - int(used) + int(freed))
    return None


def group_words(cgroup: Path, versions: tuple[tuple[str, ...], ...]) -> list[str]:
    """Return the words in files of a control group, of the first version that has them all."""
    for files in versions:
        try:
            return " ".join((cgroup / name).read_text() for name in files).split()
        except OSError:
            continue
    return []
