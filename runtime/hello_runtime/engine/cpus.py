"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Return the number of CPUs in the affinity mask, or fewer if a container's quota is less.

    Sources: cgroup v2's `cpu.max`, and v1's `cpu.cfs_quota_us` and `cpu.cfs_period_us`
    (https://docs.kernel.org/admin-guide/cgroup-v2.html).
    """
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
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            limit, period = " ".join((cgroup / name).read_text() for name in files).split()
        except (OSError, ValueError):
            continue
        if limit in ("max", "-1"):
            return None
        return int(limit) / int(period)
    return None
