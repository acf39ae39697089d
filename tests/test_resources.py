"""What a control group allows, of either version; its files are planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hello_runtime.resources import available_cpus, cpu_quota, free_memory


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "50000\n"}, None),
        ({"cpu.max": "\n"}, None),
    ],
)
def test_a_containers_quota(files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_quota(tmp_path) == quota
    cpus = len(os.sched_getaffinity(0))
    expected = {None: cpus, 1.5: min(cpus, 2), 0.5: 1}[quota]
    assert available_cpus(tmp_path) == expected


GROUPS = {
    "v2": ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    "v1": (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "inactive_file 7\ntotal_inactive_file",
    ),
}


def write_group(folder: Path, names: tuple[str, ...], limit: str) -> None:
    """Write the files of a control group that uses 600 bytes, 100 of which can be freed."""
    *files, freed = names
    contents = [f"{limit}\n", "600\n", f"anon 500\n{freed} 100\nslab 7\n"]
    for name, content in zip(files, contents, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize("names", GROUPS.values(), ids=[*GROUPS])
def test_a_control_group_leaves_its_limit_less_what_is_used(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       9 kB\nMemAvailable:       1 kB\n")
    assert free_memory(tmp_path, meminfo) == 1024
    write_group(tmp_path, names, "1000")
    assert free_memory(tmp_path, meminfo) == 500
    write_group(tmp_path, names, "9000")
    assert free_memory(tmp_path, meminfo) == 1024
    write_group(tmp_path, names, "400")
    assert free_memory(tmp_path, meminfo) == 0


def test_a_system_that_sets_no_limit(tmp_path: Path) -> None:
    write_group(tmp_path, GROUPS["v2"], "max")
    assert free_memory(tmp_path, tmp_path / "absent") is None
