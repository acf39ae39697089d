"""What the benchmarks share: medians of interleaved rounds, processes, environments, the table."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

ROOT = Path(__file__).parents[2]
"""The checkout."""
MB = 1_000_000


class Process(NamedTuple):
    """What a process took."""

    seconds: float
    peak_mb: float
    """Its largest resident memory, MB of 10^6 bytes."""
    processor: float
    """Seconds of all processors, those of the processes that it started included."""


LAUNCHER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - start, usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(status != 0)
"""
"""Starts a process from a small one, because Linux counts the memory of whoever starts it too."""


def seconds_of(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def repeated(action: Callable[[], object], calls: int) -> Callable[[], None]:
    """Return an action that does another one many times."""

    def repeat() -> None:
        for _ in range(calls):
            action()

    return repeat


def medians(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each action; they take turns, and the first turn is not counted.

    So a machine that others slow down for a while slows down all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            seconds = seconds_of(action)
            if number:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def first_lines(text: Path, characters: int) -> list[str]:
    """Return the first different lines of a file, of so many characters together."""
    lines: list[str] = []
    for line in filter(None, dict.fromkeys(text.read_text(encoding="utf-8").split("\n"))):
        if characters <= 0:
            break
        lines.append(line)
        characters -= len(line)
    return lines


def run_process(command: Sequence[str | Path], folder: Path | None = None) -> Process:
    """Run a command in a folder, its output dropped; return its time and memory.

    Raises:
        RuntimeError: it fails; the text has what it wrote to stderr.
    """
    words = [str(word) for word in command]
    launch = [sys.executable, "-S", "-c", LAUNCHER, *words]
    result = subprocess.run(launch, capture_output=True, check=False, text=True, cwd=folder)
    if result.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{result.stderr}")
    seconds, kilobytes, processor = map(float, result.stdout.split())
    return Process(seconds, kilobytes * 1024 / 1e6, processor)


def median_processes(
    commands: Mapping[str, Sequence[str | Path]], rounds: int
) -> dict[str, Process]:
    """Return the median time and memory of each command; they take turns as in `medians`.

    Each runs in an empty folder of its own.
    """
    runs: dict[str, list[Process]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            with TemporaryDirectory() as folder:
                process = run_process(command, Path(folder))
            if number:
                runs[name].append(process)
    return {
        name: Process(*map(statistics.median, zip(*values, strict=True)))
        for name, values in runs.items()
    }


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project into an empty folder, and return its file."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "-w", folder, project], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def fresh_environment(folder: Path, *projects: Path) -> Path:
    """Install projects or wheels, and what they need, into a new environment in a folder.

    Returns:
        The folder of its commands.
    """
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    commands = folder / "bin"
    pip: list[str | Path] = [commands / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", *projects], check=True)
    return commands


def machine(*packages: str) -> str:
    """Return the machine, the versions and the date, as the pages of `docs` name them."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    parts = [
        f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}",
        f"Python {platform.python_version()}",
    ]
    for package in packages:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            parts.append(f"no {package}")
    return ", ".join([*parts, datetime.now(timezone.utc).date().isoformat()])


def show(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str, packages: Sequence[str] = ()
) -> None:
    """Print rows as a table for `docs`, or as JSON with what they were measured on."""
    where = machine(*packages)
    if as_json:
        click.echo(json.dumps({"title": title, "machine": where, "rows": list(rows)}))
        return
    click.echo(f"{title}\n({where})\n")
    click.echo(f"| {' | '.join(rows[0])} |")
    click.echo("|---" * len(rows[0]) + "|")
    for row in rows:
        click.echo(f"| {' | '.join(shown(value) for value in row.values())} |")


def shown(value: object) -> str:
    """Return a number with three digits, and anything else as it is."""
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
