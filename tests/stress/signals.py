"""Ends the three commands by signals, at moments spread over their whole run.

    python tests/stress/signals.py --times 100
    python tests/stress/signals.py --times 100 --command hello-infer --signal SIGINT --within 0.3

Each command writes into a folder of its own. Counted are the tracebacks, the exit codes that are
not the signal's, the outputs that are neither whole nor absent, and the unfinished files that are
left: none but by SIGKILL, and those are gone after one more run of the same command.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LINES = 20_000
"""Of the text that is decoded."""
PATIENCE = 120
"""Seconds after which a process that got a signal hangs."""

COMMANDS: dict[str, tuple[list[str], str]] = {
    "hello-infer": (["--input", "in.txt", "--output", "out/out.txt"], "out/out.txt"),
    "hello-train": (
        ["--pairs", "pairs.tsv", "--epochs", "9", "--hidden-size", "9", "--output", "out/run"],
        "out/run/checkpoint.safetensors",
    ),
    "hello-export": (["run", "--output", "out/artifact"], "out/artifact/manifest.json"),
}
"""Of each command its arguments, and what it writes last."""

EXIT_CODES = {"SIGINT": {1}, "SIGTERM": {143}, "SIGHUP": {129}, "SIGKILL": set[int]()}
"""Beside the signal's own, of a process that has not yet come to its first line."""


def prepare(folder: Path) -> None:
    """Make what the commands read."""
    (folder / "in.txt").write_text("hello\n" * LINES)
    lines = (TESTS / "data" / "zolw.txt").read_text(encoding="utf-8").splitlines()
    pairs = "".join(f"{line}\t{line.swapcase()}\n" for line in lines)
    (folder / "pairs.tsv").write_text(pairs, encoding="utf-8")
    (folder / "run").mkdir()
    shutil.copy(TESTS / "golden" / "hello-gru.safetensors", folder / "run/checkpoint.safetensors")


def clear(folder: Path) -> None:
    """Empty the folder of the outputs."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()


def left_over(folder: Path) -> list[Path]:
    """Return what a run left unfinished."""
    return [path for path in (folder / "out").rglob("*") if path.name.startswith(".")]


def start(command: str, folder: Path) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [BIN / command, *COMMANDS[command][0]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def seconds_of(command: str, folder: Path) -> float:
    """Return how long a command takes that nobody interrupts."""
    clear(folder)
    begin = time.monotonic()
    with start(command, folder) as process:
        _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{command} fails by itself: {errors}")
    return time.monotonic() - begin


def strike(command: str, name: str, delay: float, folder: Path) -> tuple[set[str], str]:
    """Run a command, and send it a signal after some seconds.

    Returns:
        What is wrong with its end, and what it said on stderr.
    """
    clear(folder)
    number = signal.Signals[name]
    with start(command, folder) as process:
        time.sleep(delay)
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return {"hangs"}, ""
    wrong = set()
    if "Traceback" in errors or "Error" in errors:
        ours = "hello_" in errors.partition("import main\n")[2]
        wrong.add("traceback" if ours else "traceback before the first line of ours")
    if process.returncode not in {0, -number} | EXIT_CODES[name]:
        wrong.add(f"exit code {process.returncode}")
    if process.returncode == 0 and not (folder / COMMANDS[command][1]).exists():
        wrong.add("lost")
    if left_over(folder):
        wrong.add("left over")
    if name == "SIGKILL":
        with start(command, folder) as process:
            process.communicate()
        if process.returncode or left_over(folder):
            wrong.add("left over after the next run")
    return wrong, errors


def main() -> None:
    """Print what went wrong, and how often."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--signal", action="append", choices=EXIT_CODES)
    parser.add_argument("--within", type=float, help="seconds; the whole run unless told")
    parser.add_argument("--verbose", action="store_true", help="show what went wrong")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the commands inherit
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder)
        for command in given.command or COMMANDS:
            whole = given.within or min(seconds_of(command, folder) for _ in range(3))
            for name in given.signal or EXIT_CODES:
                counts = Counter[str]()
                for index in range(given.times):
                    delay = whole * index / given.times
                    wrong, errors = strike(command, name, delay, folder)
                    counts.update(wrong)
                    if wrong and given.verbose:
                        print(f"{command} {name} after {delay:.3f} s: {wrong}\n{errors}")
                print(
                    f"{command} {name}, {given.times} in {whole:.2f} s:", dict(counts), flush=True
                )


if __name__ == "__main__":
    main()
