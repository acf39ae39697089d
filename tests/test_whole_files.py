"""Files are whole or not there, keep their permissions, and leave nothing behind; gzip is known."""

from __future__ import annotations

import array
import fcntl
import gzip
import os
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from hello_export import folders
from hello_runtime.text.files import (
    beside,
    clear,
    folder_beside,
    open_unpacked,
    open_whole,
    write_whole,
)
from hello_runtime.text.lines import read_lines
from helpers import Run

INFER = Path(sys.executable).with_name("hello-infer")
LEFT = ".out.txt.0123456789abcdef.hello-rnn"
"""The name of what a process left that was killed."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


# Permissions.


def test_a_file_keeps_the_permissions_of_the_one_that_it_replaces(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    (tmp_path / "link.txt").symlink_to("out.txt")
    output.touch()
    for bits in (0o600, 0o640, 0o444, 0o755):
        output.chmod(bits)
        write_whole(tmp_path / "link.txt", b"new")
        assert (mode(output), output.read_bytes()) == (f"{bits:o}", b"new")
    output.chmod(0o600)
    assert run("hello-infer", "hello", "--output", "out.txt").returncode == 0
    assert (mode(output), output.read_text()) == ("600", "ohlol\n")


def test_an_unfinished_file_is_no_more_readable_than_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "out.txt").touch(0o600)
    with open_whole(tmp_path / "out.txt"):
        assert [mode(path) for path in tmp_path.iterdir()] == ["600", "600"]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, "644"), (0o077, "600"), (0o002, "664")])
def test_a_new_file_has_the_permissions_of_any_other(
    umask: int, expected: str, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "new/out.txt", b"new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new/out.txt") == expected


@pytest.mark.parametrize("possible", [True, False], ids=["exchanged", "renamed"])
def test_an_artifact_keeps_the_permissions_of_the_one_that_it_replaces(
    possible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not possible:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    old, new = tmp_path / "artifact", tmp_path / "beside/artifact"
    for folder in (old, new):
        folder.mkdir(parents=True)
        for name in ("model.onnx", "model.pt"):
            (folder / name).write_text(str(folder))
    (new / "baseline.json").touch()
    old.chmod(0o750)
    (old / "model.onnx").chmod(0o600)
    folders.put_in_place(new, old)
    assert (old / "model.onnx").read_text() == str(new)
    assert mode(old) == "750"
    modes = {path.name: mode(path) for path in old.iterdir()}
    assert modes == {"model.onnx": "600", "model.pt": "644", "baseline.json": "644"}


# Nothing is left.


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_not_finished_is_removed(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("old")

    def fail() -> None:
        with (
            open_whole(tmp_path / "out.txt") as stream,
            folder_beside(tmp_path / "folder") as folder,
        ):
            stream.write(b"new")
            (folder / "file").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "old"


@pytest.mark.parametrize("name", ["ż" * 127, "x" * 255, "😀" * 63])
def test_a_name_may_be_as_long_as_the_system_allows(name: str, tmp_path: Path) -> None:
    write_whole(tmp_path / name, b"new")
    assert names(tmp_path) == [name]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / LEFT).touch()
    left = tmp_path / ".artifact.fedcba9876543210.hello-rnn"
    (left / "artifact").mkdir(parents=True)
    (left / "artifact/model.onnx").touch()
    others = [".out.txt.0123456789abcdef", "out.txt.0123456789abcdef.hello-rnn", ".bashrc", "x"]
    others += [".out.txt.0123456789abcdeg.hello-rnn", ".a.0123456789abcdef.hello-rnn"]
    for name in others[:-1]:
        (tmp_path / name).touch()
    (tmp_path / others[-1]).symlink_to("x")
    write_whole(tmp_path / "out.txt", b"new")
    assert names(tmp_path) == sorted([*others, "out.txt"])


def test_what_a_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    with (
        open_whole(tmp_path / "a.txt") as stream,
        folder_beside(tmp_path / "b") as folder,
    ):
        clear(tmp_path)
        write_whole(tmp_path / "c.txt", b"new")
        stream.write(b"whole")
        (folder / "file").touch()
        assert len(names(tmp_path)) == 3
    assert names(tmp_path) == ["a.txt", "c.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


def test_what_is_removed_before_its_lock_is_made_again(tmp_path: Path) -> None:
    """Another process may take it for left between the two."""
    made: list[Path] = []

    def make(path: Path) -> None:
        path.touch()
        made.append(path)
        if len(made) == 1:
            clear(tmp_path)

    with beside(tmp_path / "out.txt", make) as unfinished:
        assert made[1:] == [unfinished]
        assert names(tmp_path) == [unfinished.name]


def start_decoding(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """Start a `hello-infer` that has written a line to its unfinished output."""
    before = names(folder)
    process = subprocess.Popen([INFER, "--output", folder / name], stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while names(folder) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_the_run_after_a_killed_one_clears_up(tmp_path: Path) -> None:
    with start_decoding(tmp_path, "a.txt") as killed, start_decoding(tmp_path, "b.txt") as running:
        killed.kill()
        killed.wait()
        assert [name[:6] for name in names(tmp_path)] == [".a.txt", ".b.txt"]
        subprocess.run([INFER, "hello", "--output", tmp_path / "a.txt"], check=True)
        assert [name[:6] for name in names(tmp_path)] == [".b.txt", "a.txt"]
        running.communicate()
    assert names(tmp_path) == ["a.txt", "b.txt"]
    assert (tmp_path / "b.txt").read_text() == "ohlol\n"


# gzip, however it arrives.


def arrive_by_a_byte(content: bytes, pipe: Path) -> None:
    """Write to a pipe: one byte, and when that was read, the rest."""
    with pipe.open("wb", buffering=0) as stream:
        stream.write(content[:1])
        waiting = array.array("i", [1])
        while waiting[0]:
            time.sleep(0.001)
            fcntl.ioctl(stream, termios.FIONREAD, waiting)
        stream.write(content[1:])


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_a_pipe_may_start_with_a_single_byte(
    pack: Callable[[bytes], bytes],
    tmp_path: Path,
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = "".join(f"żółw {n}\n" for n in range(9999)).encode()
    writer = Thread(target=arrive_by_a_byte, args=(pack(content), pipe))
    writer.start()
    lines = list(read_lines(pipe))
    writer.join()
    assert lines == [(n + 1, f"żółw {n}") for n in range(9999)]


@pytest.mark.parametrize("content", [b"", b"\x1f", b"a", b"\x1fa"])
def test_a_file_may_be_shorter_than_what_gzip_starts_with(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with open_unpacked(tmp_path / "file") as stream:
        assert stream.read() == content


def test_a_damaged_gzip_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    whole = gzip.compress(b"hello\n" * 9999)
    damages = {
        "start": whole[:2],
        "cut": whole[:-9],
        "sum": whole[:-8] + bytes(8),
        "bits": whole[:20] + b"\xff" * 40,
    }
    for name, content in damages.items():
        (tmp_path / name).write_bytes(content)
        with (
            pytest.raises(OSError, match=r"damaged gzip: \S"),
            open_unpacked(tmp_path / name) as stream,
        ):
            stream.read()
