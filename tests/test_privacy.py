"""A decode tells nobody: no file but its output, no socket, and no thread that could open one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

INFER = Path(sys.executable).with_name("hello-infer")

DECODE = """
import os
from hello_runtime import Decoder
assert Decoder.open().decode("hello") == "ohlol"
links = []
for name in os.listdir("/proc/self/fd"):
    try:
        links.append(os.readlink(f"/proc/self/fd/{name}"))
    except FileNotFoundError:  # it was what listed them
        pass
print(len(os.listdir("/proc/self/task")), *(link for link in links if "socket:" in link))
"""
"""Prints how many threads it has after a decode, and its sockets."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which all that a program keeps for itself would be below `home`.

    What marks a test run, as CI does, is not in it: it would silence onnxruntime by itself.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    # With one thread numpy starts none.
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "OMP_NUM_THREADS": "1", **more}


def decode(home: Path, **more: str) -> str:
    result = subprocess.run(
        [sys.executable, "-B", "-c", DECODE],
        cwd=home,
        env=environment(home, **more),
        capture_output=True,
        check=True,
        text=True,
    )
    assert result.stderr == ""
    return result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_decode_leaves_no_trace(tmp_path: Path) -> None:
    assert decode(tmp_path) == "1\n"
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.skipif(
    tuple(map(int, version("onnxruntime").split(".")[:2])) < (1, 29),
    reason="this onnxruntime has no telemetry",
)
def test_this_check_can_fail(tmp_path: Path) -> None:
    """Whoever wants onnxruntime's telemetry has it."""
    assert decode(tmp_path, ORT_DISABLE_TELEMETRY="0") != "1\n"
    assert any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_command_writes_its_output_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "in.txt").write_text("hello\n" * 1000)
    for kept in (home, Path(os.devnull)):  # below a device nothing can be written
        result = subprocess.run(
            [INFER, "--input", "in.txt", "--output", "out.txt"],
            cwd=tmp_path,
            env=environment(kept),
            capture_output=True,
            check=True,
        )
        assert (result.stdout, result.stderr) == (b"", b"")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["home", "in.txt", "out.txt"]
