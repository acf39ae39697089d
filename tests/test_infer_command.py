"""`hello-infer`, run as a user would, on good input and on bad."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from command_server import CommandServer
from hello_runtime.text.lines import read_stream
from helpers import SHORT_PROOF, Run, assert_one_line_error

INFER = Path(sys.executable).with_name("hello-infer")


@pytest.fixture(scope="module")
def text_model(
    tmp_path_factory: pytest.TempPathFactory, servers: Callable[[str], CommandServer]
) -> Path:
    """A small model that copies unknown characters."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text("zażółć gęślą jaźń\nżółw\n", encoding="utf-8")
    learn = "--text text.txt --corrupt strip-diacritics --hidden-size 4 --epochs 1 --holdout 0"
    for command, arguments in (
        ("hello-train", f"{learn} --output run"),
        ("hello-export", "run"),
    ):
        result = servers(command).run(arguments.split(), folder, environment=SHORT_PROOF)
        assert result.returncode == 0, result.stderr
    return folder / "run" / "artifact"


@pytest.mark.parametrize("cell", [[], ["--cell", "rnn"], ["--cell", "gru"], ["--cell", "lstm"]])
def test_hello_becomes_ohlol(run: Run, cell: list[str]) -> None:
    result = run("hello-infer", *cell, "hello")
    assert (result.returncode, result.stdout, result.stderr) == (0, "ohlol\n", "")


STACK = """
import sys
import onnxruntime
from hello_runtime.__main__ import main
run = onnxruntime.InferenceSession.run

def show_stack(*arguments):
    frame = sys._getframe(1)
    while frame:
        print(frame.f_globals["__name__"], frame.f_code.co_name, file=sys.stderr)
        frame = frame.f_back
    return run(*arguments)

onnxruntime.InferenceSession.run = show_stack
main()
"""


def test_a_single_text_takes_the_short_way() -> None:
    """From the command function to the one that calls `session.run` are at most 6 frames.

    Counted are the frames of the Python stack in `session.run` that are of this package, generators
    and comprehensions included. Before the command function are 3 more of this package (the entry
    point, `run_command` and `Command.invoke`) and 4 of click.
    """
    result = subprocess.run(
        [sys.executable, "-c", STACK, "hello"], capture_output=True, check=True, text=True
    )
    assert result.stdout == "ohlol\n"
    frames = [line.split() for line in result.stderr.splitlines()[::-1]]
    ours = [name for module, name in frames if module.startswith("hello_runtime.")]
    assert ours[:4] == ["main", "run_command", "invoke", "main"]
    assert len(ours[3:]) <= 6, ours
    assert len([module for module, _ in frames if module.startswith("click.")]) == 4


def test_each_word_is_a_line(run: Run) -> None:
    assert run("hello-infer", "hello", "", "hello").stdout == "ohlol\n\nohlol\n"


@pytest.mark.parametrize("arguments", [[], ["-"]])
@pytest.mark.parametrize(
    ("stdin", "expected"),
    [
        ("", ""),
        ("\n", "\n"),
        ("hello", "ohlol"),
        ("hello\r\nhello", "ohlol\r\nohlol"),
        ("hello\n\nhello\n", "ohlol\n\nohlol\n"),
        ("hello\r\n\r\nhello\r\n", "ohlol\r\n\r\nohlol\r\n"),
    ],
)
def test_a_pipe_is_read_line_by_line(
    run: Run, arguments: list[str], stdin: str, expected: str
) -> None:
    result = run("hello-infer", *arguments, stdin=stdin)
    assert (result.returncode, result.stdout) == (0, expected)


def test_an_answer_comes_before_the_pipe_is_closed() -> None:
    with subprocess.Popen([INFER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(3):
            process.stdin.write(b"hello\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"ohlol\n"
        process.stdin.close()
        assert process.wait() == 0


def test_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n" * 1000)
    result = run("hello-infer", "--input", "in.txt", "--output", "out.txt")
    assert (result.returncode, result.stdout) == (0, "")
    assert (tmp_path / "out.txt").read_text() == "ohlol\n" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt"]


def test_a_file_may_become_itself(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("hello\n")
    (tmp_path / "link.txt").symlink_to("file.txt")
    run("hello-infer", "--input", "file.txt", "--output", "link.txt")
    assert (tmp_path / "file.txt").read_text() == "ohlol\n"
    assert (tmp_path / "link.txt").is_symlink()


def test_a_device_is_written_and_not_replaced(run: Run) -> None:
    assert run("hello-infer", "hello", "--output", "/dev/null").returncode == 0
    assert not Path("/dev/null").is_file()
    assert_one_line_error(run("hello-infer", "hello", "--output", "/dev/full"), "No space left")


def test_a_file_in_memory_is_a_file(run: Run) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for _ in range(2):
            run("hello-infer", "hello", "--output", f"{folder}/out.txt")
        assert (Path(folder) / "out.txt").read_text() == "ohlol\n"


def test_json_has_a_confidence_for_each_character(run: Run) -> None:
    result = run("hello-infer", "--json", "hello", "")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["input"], first["output"]) == ("hello", "ohlol")
    assert len(first["confidence"]) == 5
    assert all(0.25 < value <= 1 for value in first["confidence"])
    assert second == {"input": "", "output": "", "confidence": []}


def test_info(run: Run, text_model: Path) -> None:
    result = run("hello-infer", "--info")
    for part in ("cell", "gru", "ehlo", "hello -> ohlol", "CPUExecutionProvider"):
        assert part in result.stdout
    facts = json.loads(run("hello-infer", "--info", "--json", "--model", text_model).stdout)
    assert facts["causal"] is False
    assert facts["unknown"] == "label"
    assert facts["normalization"] == "nfc"
    assert facts["training"]["data"] == "text.txt, strip-diacritics"


def test_a_model_of_ones_own(run: Run, text_model: Path) -> None:
    for model in (text_model, text_model / "model.onnx"):
        result = run("hello-infer", "--model", model, "zolw ☃ 🦀\0".replace("\0", "\u2028"))
        assert result.returncode == 0
        assert len(result.stdout) == len("zolw ☃ 🦀x\n")
        assert result.stdout[4:] == " ☃ 🦀\u2028\n"


def test_unknown_characters_can_be_copied(run: Run) -> None:
    result = run("hello-infer", "--unknown", "copy", "h\u00e9llo")
    assert result.returncode == 0
    assert result.stdout[1] == "\u00e9"


def test_a_policy_that_the_model_cannot_follow(run: Run) -> None:
    result = run("hello-infer", "--unknown", "label", "hello")
    assert_one_line_error(result, "gru.onnx", "its policy for unknown characters is error", "--unk")


def test_help_and_version(run: Run) -> None:
    assert run("hello-infer", "-h").stdout == run("hello-infer", "--help").stdout
    assert run("hello-infer", "--version").stdout == "hello-infer, version 0.1.0\n"


# Bad input: one line that names the fix, and nothing half written.


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_unknown_character(run: Run, flags: list[str]) -> None:
    parts = ("'é'", "U+00E9", "character 2", "'ehlo'", "--unknown copy")
    assert_one_line_error(run("hello-infer", *flags, "héllo"), "argument 1", *parts)
    result = run("hello-infer", *flags, stdin="hello\nhéllo\n")
    assert_one_line_error(result, "standard input, line 2", *parts)


def test_an_unknown_character_in_a_file_leaves_no_output(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\nhe11o\n")
    result = run("hello-infer", "--input", "in.txt", "--output", "out.txt")
    assert_one_line_error(result, "in.txt, line 2", "'1'", "U+0031", "character 3")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_bytes_that_are_not_utf8(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"hello\nhell\xff\n")
    place = "byte 5 (0xff) is not UTF-8"
    assert_one_line_error(run("hello-infer", "--input", "in.txt"), "in.txt, line 2", place, "iconv")
    assert_one_line_error(run("hello-infer", stdin=b"hell\xff\n"), "standard input, line 1", place)
    assert_one_line_error(run("hello-infer", "hello", b"hell\xff"), "argument 2", place)


def test_an_input_file_that_is_empty_or_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert_one_line_error(run("hello-infer", "--input", "empty.txt"), "empty.txt", "empty")
    assert_one_line_error(run("hello-infer", "--input", "no.txt"), "no.txt", "No such file")
    assert_one_line_error(run("hello-infer", "--input", "."), "Is a directory")


def test_an_output_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    result = run("hello-infer", "hello", "--output", "no/out.txt")
    assert_one_line_error(result, "cannot write no/out.txt", "No such file")
    assert list(tmp_path.iterdir()) == []
    assert_one_line_error(run("hello-infer", "hello", "--output", "."), "cannot write .")


def test_standard_streams_that_are_closed(tmp_path: Path) -> None:
    for command, message in (
        (f"{INFER} hello >&-", "Error: cannot write the standard output: it is closed"),
        (f"{INFER} - <&-", "Error: nothing to decode"),
    ):
        result = subprocess.run(
            command, shell=True, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path
        )
        assert result.returncode in (1, 2)
        assert "Traceback" not in result.stderr
        assert message in result.stderr


def test_dev_stdout_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("old\n")
    command = f"{INFER} --output /dev/stdout hello >>log; echo new >>log"
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "log").read_text() == "old\nohlol\nnew\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_found_however_they_arrive(size: int) -> None:
    class Trickle(io.BytesIO):
        def read1(self, _: int | None = -1, /) -> bytes:
            return super().read1(size)

    content = "hello\n\n\nżółw\r\n" + "x" * 50 + "\nend"
    blocks = list(read_stream(cast(io.BufferedReader, Trickle(content.encode())), "pipe", 1))
    assert [text for block in blocks for text in block.texts] == [
        "hello", "", "", "żółw", "x" * 50, "end",
    ]  # fmt: skip
    assert [end for block in blocks for end in block.ends].count("\r\n") == 1
    assert blocks[-1].place(0) == "pipe 6"


def test_a_full_disk_behind_standard_output() -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [INFER, "hello"], stdout=full, stderr=subprocess.PIPE, check=False, text=True
        )
    assert result.returncode == 1
    assert result.stderr == "Error: cannot write the standard output: No space left on device\n"


def test_a_reader_that_goes_away() -> None:
    with subprocess.Popen(
        [INFER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(b"hello\n" * 100_000)
        assert process.returncode == 1
        assert errors == b""


def test_a_provider_that_is_not_there(run: Run) -> None:
    result = run("hello-infer", "--provider", "cuda", "hello")
    assert_one_line_error(result, "CUDAExecutionProvider", "onnxruntime-gpu", "--provider cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "m", "--cell", "gru", "hello"], "--model and --cell exclude each other"),
        (["--input", "f", "hello"], "TEXT and --input exclude each other"),
        (["--info", "hello"], "--info decodes nothing"),
        (["-", "hello"], "stands alone"),
        (["--cell", "cnn", "hello"], "'cnn' is not one of"),
        (["--threads", "0", "hello"], "0 is not in the range"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    result = run("hello-infer", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr


def test_a_terminal_without_text_is_wrong_usage() -> None:
    terminal, slave = pty.openpty()
    result = subprocess.run([INFER], stdin=slave, capture_output=True, check=False, text=True)
    os.close(terminal)
    os.close(slave)
    assert result.returncode == 2
    assert "nothing to decode" in result.stderr
