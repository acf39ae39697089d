"""What the benchmarks share: a measured command is quiet, in an empty folder, and may not fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).with_name("benchmarks")))

from measuring import median_processes, run_process

SAYS = "import sys; print('on stdout'); print('on stderr', file=sys.stderr)"


def test_a_command_that_is_measured_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    process = run_process([sys.executable, "-S", "-c", SAYS])
    assert process.seconds > 0
    assert process.peak_mb > 1
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"failed:\non stderr\n$"):
        run_process([sys.executable, "-S", "-c", f"{SAYS}; sys.exit(3)"])


def test_each_process_has_an_empty_folder() -> None:
    alone = "import os; assert os.listdir() == []; open('left', 'w')"
    assert median_processes({"": [sys.executable, "-S", "-c", alone]}, 1)[""].seconds > 0
