"""Ends processes while threads decode: each must end at once, with its own exit code and message.

    python tests/stress/exits.py [--runs 100]

The suite runs each case once (`test_exits.py`).
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

INFER = str(Path(sys.executable).with_name("hello-infer"))
LINES = "lines.txt"
"""A file of many lines."""
COUNT = 100_000
PATIENCE = 120
"""Seconds after which a process is one that hangs: each takes one or two alone."""


class Case(NamedTuple):
    """A process that ends early."""

    command: list[str]
    code: int
    error: str
    """The end of its stderr."""
    output: str | None = None
    """Where its stdout goes, if not away."""
    file_bytes: int | None = None
    """The largest file that it may write."""


def python(script: str, code: int = 0, error: str = "") -> Case:
    """Return the case of a script with `batches`, an iterator of a thousand batches and more."""
    start = (
        "import atexit, os, sys, threading\n"
        "from hello_runtime import Decoder\n"
        "decoder = Decoder.open(unknown='copy', threads=2)\n"
        "texts = [[f'{i} {j}' for j in range(200)] for i in range(1000)]\n"
        "def unfinished():\n"
        "    batches = decoder.decode_batches(texts)\n"
        "    next(batches)\n"
        "    return batches\n"
    )
    return Case([sys.executable, "-c", start + script], code, error)


DECODE = [INFER, "--unknown", "copy", "--input", LINES]
FULL = "Error: cannot write the standard output: No space left on device\n"

CASES = {
    "a full disk behind stdout": Case(DECODE, 1, FULL, output="/dev/full"),
    "a full device": Case(
        [*DECODE, "--output", "/dev/full"],
        1,
        "Error: cannot write /dev/full: No space left on device\n",
    ),
    "a file limit": Case(
        [*DECODE, "--output", "out.txt"],
        1,
        "Error: cannot write out.txt: File too large\n",
        file_bytes=100 * 1024,
    ),
    "a global": python("batches = unfinished()\n"),
    "a module's generator": python(
        "def rows():\n"
        "    for row in decoder.decode_batches(texts):\n"
        "        yield row\n"
        "found = rows()\n"
        "next(found)\n"
    ),
    "several in a cycle": python(
        "several = [unfinished() for _ in range(3)]\nseveral.append(several)\n"
    ),
    "a function that raises": python(
        "def use():\n    batches = unfinished()\n    raise ValueError('a fault')\nuse()\n",
        1,
        "ValueError: a fault\n",
    ),
    "sys.exit": python("batches = unfinished()\nsys.exit(3)\n", 3),
    "a daemon thread": python(
        "begun = threading.Event()\n"
        "def decode():\n"
        "    for rows in decoder.decode_batches(texts * 100):\n"
        "        begun.set()\n"
        "threading.Thread(target=decode, daemon=True).start()\n"
        "begun.wait()\n"
    ),
}


def run_case(case: Case, folder: Path) -> str | None:
    """Run a case in a folder that has `LINES`; return what is wrong, or None."""
    try:
        with Path(case.output or "/dev/null").open("wb") as output:
            result = subprocess.run(
                case.command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                timeout=PATIENCE,
                preexec_fn=limiting(case.file_bytes),
                check=False,
            )
    except subprocess.TimeoutExpired:
        return "hangs"
    if result.returncode != case.code:
        return f"exit code {result.returncode}: {result.stderr[-200:]}"
    if case.error and result.stderr.endswith(case.error):
        return None
    return f"stderr: {result.stderr[-200:]}" if result.stderr or case.error else None


def limiting(file_bytes: int | None) -> Callable[[], None] | None:
    """Return what limits the files that a process writes."""
    if file_bytes is None:
        return None
    limits = (file_bytes, file_bytes)
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def write_lines(folder: Path) -> None:
    """Write the file of many lines."""
    (folder / LINES).write_text("".join(f"{number}\n" for number in range(COUNT)))


@click.command()
@click.option("--runs", default=100, show_default=True)
def main(runs: int) -> None:
    """Run every case so often; print what became of them, and fail if one was wrong."""
    failed = False
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_lines(folder)
        for title, case in CASES.items():
            faults = Counter(run_case(case, folder) for _ in range(runs))
            right = faults.pop(None, 0)
            click.echo(f"{title}: {right} of {runs} right")
            for fault, count in faults.items():
                click.echo(f"  {count} x {fault}")
            failed |= right < runs
    sys.exit(failed)


if __name__ == "__main__":
    main()
