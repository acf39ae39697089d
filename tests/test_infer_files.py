"""`hello-infer` on files: strange text comes through, and an output is whole or not there."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import STRANGE, Run, open_model, random_texts

INFER = Path(sys.executable).with_name("hello-infer")

LINE = STRANGE.replace("\ud800", "").replace("\r", "")
TEXTS = [
    f"\ufeff{LINE}\n{LINE}",
    "\r\n\r\r\n\n\n",
    f"a\rb\r\n{LINE * 99}\r\n\0\n\u2028\n",
    "".join(f"{text}\n" for text in random_texts(300, 90)),
    random_texts(1, 9000, seed=1)[0] * 3,
]
LEARNED = set("abż\u0301😀")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("text", TEXTS, ids=["bom", "ends", "odd", "many", "long"])
def test_every_character_keeps_its_place(
    text: str, bidirectional: bool, run: Run, tmp_path: Path
) -> None:
    decoder = open_model(tmp_path, bidirectional=bidirectional)
    (tmp_path / "in.txt").write_bytes(text.encode())
    options = ("--model", tmp_path, "--input", "in.txt")
    assert run("hello-infer", *options, "--output", "out.txt").returncode == 0
    found = (tmp_path / "out.txt").read_bytes().decode()
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        assert (before in LEARNED and after not in "\r\n") or before == after
    assert run("hello-infer", *options).stdout.encode() == found.encode()
    assert run("hello-infer", "--model", tmp_path, stdin=text).stdout == found
    lines = [line.removesuffix("\r") for line in text.split("\n")[:-1]]
    decoded = [line.removesuffix("\r") for line in found.split("\n")[:-1]]
    assert decoder.decode_batch(lines) == decoded


def test_arguments_keep_their_places_too(run: Run, tmp_path: Path) -> None:
    open_model(tmp_path)
    argument = LINE.replace("\0", "")
    (answer,) = run("hello-infer", "--model", tmp_path, argument).stdout.split("\n")[:-1]
    assert len(answer) == len(argument)


@pytest.mark.parametrize("separator", ["\n", " "], ids=["lines", "one line"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_interrupted_file_leaves_nothing(
    separator: str, bidirectional: bool, tmp_path: Path
) -> None:
    open_model(tmp_path, "lstm", bidirectional=bidirectional, layers=3)
    text = separator.join(random_texts(100_000, 200))
    (tmp_path / "in.txt").write_text(text, encoding="utf-8")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    files = ("--model", tmp_path, "--input", tmp_path / "in.txt", "--output", outputs / "out.txt")
    with subprocess.Popen([INFER, *files], stderr=subprocess.PIPE) as process:
        while process.poll() is None and not any(outputs.iterdir()):
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors.strip()) == (1, b"Aborted!")
    assert list(outputs.iterdir()) == []


def test_a_disk_that_fills_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n" * 10_000)
    (tmp_path / "out.txt").write_text("old")
    result = subprocess.run(
        [INFER, "--input", "in.txt", "--output", "out.txt"],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: cannot write out.txt: File too large\n"
    assert (tmp_path / "out.txt").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt"]


def run_on_terminal(folder: Path, *arguments: str, output: int | None = None) -> str:
    """Run the command with a terminal as its stderr; return what is on it."""
    terminal, slave = pty.openpty()
    result = subprocess.run(
        [INFER, "--input", "in.txt", *arguments],
        cwd=folder,
        stdout=slave if output is None else output,
        stderr=slave,
        check=False,
    )
    os.close(slave)
    assert result.returncode == 0
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        return shown.read(1 << 16).decode()


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n" * 10)
    assert "in.txt" in (shown := run_on_terminal(tmp_path, "--output", "out.txt"))
    assert "100%" in shown
    assert (tmp_path / "out.txt").read_text() == "ohlol\n" * 10


def test_progress_and_output_do_not_share_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n")
    assert run_on_terminal(tmp_path) == "ohlol\r\n"
