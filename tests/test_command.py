"""What all three commands share: one line for each error, their streams, their help, completion."""

from __future__ import annotations

import gc
import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command_server import CommandServer
from hello_export.artifact import write_artifact
from hello_export.job import ExportJob
from hello_runtime import process
from hello_runtime.command import Command
from hello_runtime.errors import HelloRuntimeError, printable
from hello_train.data.corruption import CORRUPTIONS
from helpers import TRAINING, make_network

BIN = Path(sys.executable).parent
PAGE = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")
COMMANDS = {
    "hello-train": "hello_train",
    "hello-export": "hello_export",
    "hello-infer": "hello_runtime",
}
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
"""The environment in which Python's streams are what they are by default."""


# Errors that are not raised on purpose.


def told(error: Exception) -> str:
    """Return what the command shows of an error in it, without `Error: `."""

    def fail() -> None:
        raise error

    result = CliRunner().invoke(Command("hello-x", callback=fail, extra="x", sections={}))
    assert result.stdout == ""
    if result.exception is error:
        raise error
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    return line.removeprefix("Error: ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HelloRuntimeError("on\npurpose"), "on purpose"),
        (OSError("no number"), "no number"),
        (OSError(), "OSError"),
        (OSError(12, "Cannot allocate memory"), "there is not enough memory ([Errno 12] Cannot"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (FileNotFoundError(2, "No such file", "a.txt"), "a.txt: No such file"),
        (FileNotFoundError(2, "No such file", b"a\xe9"), r"a\xe9: No such file"),
        (PermissionError(13, "No", "a\x1b[2J"), r"a\x1b[2J: No"),
        (MemoryError(), "there is not enough memory (MemoryError)"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 4 TB\nmore"),
            "there is not enough memory ([enforce fail] DefaultCPUAllocator",
        ),
        (RuntimeError("can't start new thread"), "can't start new thread; the system limits"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch.nn"),
            "hello-x needs torch, which is not installed; run: pip install 'hello-rnn[x]'",
        ),
        (
            ImportError("\n\nlibx.so: cannot open\nmore", name="_C"),
            "hello-x cannot import a package: libx.so: cannot open; "
            "run: pip install --force-reinstall 'hello-rnn[x]'",
        ),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            "there is not enough memory (libtorch_cpu.so: failed to map",
        ),
    ],
    ids=repr,
)
def test_an_error_is_one_line(error: Exception, words: str) -> None:
    assert told(error).startswith(words)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a mistake"),
        KeyError("of ours"),
        ImportError("cannot import name 'x' from 'hello_runtime.cli'", name="hello_runtime.cli"),
    ],
    ids=repr,
)
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        told(error)


def test_a_signal_that_a_library_turned_into_an_import_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "state", process.SignalState())
    process.state.number = signal.SIGINT
    assert told(ImportError("initialization failed")) == "Aborted!"


def test_imports_collect_no_garbage_and_leave_the_setting() -> None:
    with process.importing():
        with process.importing():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with process.importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_printable() -> None:
    assert printable("żółw 🦀 a\tb\x1b\u2028" + os.fsdecode(b"\xe9") + "\ud800") == (
        "żółw 🦀 a\\tb\\x1b\\u2028\\xe9\\ud800"
    )


# Streams that are closed or full.


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line with the commands of this environment."""
    path = f"{BIN}:{os.environ['PATH']}"
    result = subprocess.run(
        command, shell=True, cwd=folder, env={**BUFFERED, "PATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("hello-infer --help >/dev/full", "the standard output: No space left on device"),
        ("hello-train --version >/dev/full", "the standard output: No space left on device"),
        ("hello-export --help >&-", "the standard output: it is closed"),
        ("hello-infer --info >&-", "cannot write the standard output: it is closed"),
        (
            "hello-infer hello >/dev/full",
            "cannot write the standard output: No space left on device",
        ),
    ],
)
def test_an_output_that_cannot_be_written(
    command: str, reason: str, unbuffered: str, tmp_path: Path
) -> None:
    result = shell(command, tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert (result.returncode, result.stderr) == (1, f"Error: {reason}\n")
    assert shell(f"{command} 2>&-", tmp_path, PYTHONUNBUFFERED=unbuffered).returncode == 1


LEARN = "--pairs a.tsv --holdout 0 --epochs 1 --hidden-size 3 --output run"


def test_a_training_without_a_standard_error(
    tmp_path: Path, servers: Callable[[str], CommandServer]
) -> None:
    (tmp_path / "a.tsv").write_text("ab\tba\nba\tab\n")
    closed = shell(f"hello-train {LEARN} 2>&-", tmp_path)
    full = servers("hello-train").run(LEARN.split(), tmp_path, errors="/dev/full")
    for code, said in ((closed.returncode, closed.stdout), (full.returncode, full.stdout.decode())):
        assert (code, said.splitlines()[-1]) == (0, "hello-export run")
    assert (tmp_path / "run/report.html").exists()


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_other_work_without_a_standard_error(stderr: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("ab\tba\nba\tab\n")
    assert shell(f"hello-train --pairs none {stderr}", tmp_path).returncode == 1
    assert shell(f"hello-train --pairs a --text b {stderr}", tmp_path).returncode == 2
    assert shell(f"hello-infer hello {stderr}", tmp_path).stdout == "ohlol\n"


def test_an_artifact_is_verified_without_a_standard_error(
    tmp_path: Path, short_proof: None
) -> None:
    write_artifact(ExportJob(make_network(), TRAINING, tmp_path / "artifact"))
    result = shell("hello-export --verify artifact --characters 10 2>&-", tmp_path)
    assert result.returncode == 0
    assert "onnxruntime" in result.stdout


def test_a_terminal_without_greek_letters_loses_only_those() -> None:
    script = (
        "from hello_runtime.process import open_standard_streams; open_standard_streams(); "
        "print('max |Δ logits|')"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert result.stdout == b"max |? logits|\n"


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    script = (
        "import os; from hello_runtime.process import open_standard_streams; "
        "open_standard_streams(); "
        "print(os.open(os.devnull, os.O_RDONLY), file=open('answer', 'w'))"
    )
    shell(f'{sys.executable} -c "{script}" 0<&- 1>&- 2>&-', tmp_path)
    assert (tmp_path / "answer").read_text() in ("3\n", "4\n")


# Versions, help, completion.


@pytest.mark.parametrize("command", COMMANDS)
def test_versions_and_modules(command: str, tmp_path: Path) -> None:
    package = COMMANDS[command]
    assert importlib.import_module(package).__version__ == version("hello-rnn")
    # What lies in the current folder under the name of a package is not run in its place.
    for name in ("torch", "click", "safetensors", "matplotlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run by accident')\n")
    as_module = shell(f"{sys.executable} -m {package} --help", tmp_path)
    assert as_module.returncode == 0, as_module.stderr
    assert as_module.stdout == shell(f"{command} --help", tmp_path).stdout
    assert shell(f"{command} --version", tmp_path).stdout == (
        f"{command}, version {version('hello-rnn')}\n"
    )


@pytest.mark.parametrize("package", COMMANDS.values())
def test_the_help_has_all_options_in_sections(package: str) -> None:
    command = importlib.import_module(f"{package}.cli").main
    shown = CliRunner().invoke(command, ["--help"]).stdout
    for option in command.params:
        if isinstance(option, click.Option):
            assert sum(line.startswith(f"  {option.opts[0]} ") for line in shown.splitlines()) == 1
    others = shown.partition("Other options:\n")[2]
    assert re.findall(r"^  -\S*", others, re.MULTILINE) == ["  --version", "  -h,"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hello-infer --provider ", ["cpu", "cuda", "auto", "mine"]),
        ("hello-infer --provider c", ["cpu", "cuda"]),
        ("hello-infer --cell ", ["rnn", "gru", "lstm"]),
        ("hello-train --corrupt ", [*CORRUPTIONS]),
        ("hello-train --corrupt l", ["lowercase"]),
        ("hello-export --weights f", ["float32", "float16"]),
    ],
)
def test_a_shell_completes_values(line: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "onnxruntime_ep_mine.py").touch()
    command, *words = line.split(" ")
    variable = f"_{command.replace('-', '_').upper()}_COMPLETE"
    result = shell(
        command, tmp_path, COMP_WORDS=line, COMP_CWORD=str(len(words)), PYTHONPATH=str(tmp_path),
        **{variable: "bash_complete"},
    )  # fmt: skip
    assert set(expected) <= {row.removeprefix("plain,") for row in result.stdout.splitlines()}
    assert len(expected) == len(result.stdout.splitlines()) or "mine" in expected


def test_bash_completes_by_the_line_of_its_page(tmp_path: Path) -> None:
    (line,) = re.findall(r"^\| bash \| .* \| `(.*)` \|$", PAGE, re.MULTILINE)
    result = shell(f"bash -c {shlex.quote(line + '; complete -p hello-infer')}", tmp_path)
    assert result.stdout.startswith("complete -o nosort -F _hello_infer_completion hello-infer")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_a_shell_is_told_how_to_complete(name: str, tmp_path: Path) -> None:
    for command in COMMANDS:
        variable = f"_{command.replace('-', '_').upper()}_COMPLETE"
        assert f"{name}_complete" in shell(command, tmp_path, **{variable: f"{name}_source"}).stdout
