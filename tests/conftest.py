"""Commands, run as a user would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs one of the commands in an empty folder."""

    def run_command(
        command: str, *arguments: object, stdin: str | bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [Path(sys.executable).with_name(command), *map(as_argument, arguments)],
            cwd=tmp_path,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**os.environ, **environment},
            check=False,
        )
        assert "Traceback" not in result.stderr.decode()
        return subprocess.CompletedProcess(
            result.args, result.returncode, result.stdout.decode(), result.stderr.decode()
        )

    return run_command


def as_argument(value: object) -> str | bytes:
    return value if isinstance(value, bytes) else str(value)


@pytest.fixture(autouse=True, scope="session")
def interrupts_heard() -> None:
    """Let Ctrl-C reach what the tests start, also where `nohup` or a script's `&` ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_thread_of_the_cpu() -> None:
    """Keep PyTorch to one thread: the tests' networks are too small for more.

    GPUs are hidden from what the tests start, unless a test names them: the bits are the CPU's.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
