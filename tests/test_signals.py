"""Ctrl-C, SIGTERM and SIGHUP end each command at any moment: cleaned up, without a traceback.

`tests/stress/signals.py` sends them at many more moments.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest
from command_server import CommandServer
from hello_runtime import process
from helpers import make_network, save_run

BIN = Path(sys.executable).parent
EXIT_CODES = {SIGINT: 1, SIGTERM: 143, SIGHUP: 129}
ABORTED = "\nAborted!\n"


def allow_signals() -> None:
    """Give a process the signals that the tests' own may have been started without."""
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_DFL)


def interrupt(
    number: Signals,
    arguments: list[str],
    folder: Path,
    ready: Callable[[subprocess.Popen[str]], object],
    **environment: str,
) -> tuple[int, str]:
    """Send a command a signal when it is ready; return its exit code and what it says after."""
    command, *rest = arguments
    with subprocess.Popen(
        [BIN / command, *rest], cwd=folder, env={**os.environ, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=allow_signals,
    ) as started:  # fmt: skip
        ready(started)
        started.send_signal(number)
        _, errors = started.communicate(timeout=60)
    return started.returncode, errors


def assert_aborted(number: Signals, code: int, errors: str) -> None:
    """Check the end of a command that may have said something before."""
    assert code == EXIT_CODES[number]
    assert errors.endswith(ABORTED)
    assert "Traceback" not in errors


def wait_for(file: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not file():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hidden(folder: Path) -> list[Path]:
    """Return the unfinished files in a folder."""
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def marked(started: subprocess.Popen[str]) -> None:
    """Wait for a line on stderr by which a stand-in for a package says that it is imported."""
    assert started.stderr
    assert started.stderr.readline() == "importing\n"


@pytest.mark.parametrize("number", EXIT_CODES)
@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["hello-infer", "hello"], "click"),
        (["hello-infer", "hello"], "onnxruntime"),
        (["hello-train"], "torch"),
        (["hello-export", "run"], "torch"),
    ],
)
def test_a_signal_while_a_package_is_imported(
    arguments: list[str], package: str, number: Signals, tmp_path: Path
) -> None:
    """Of which the package makes an error of its own, as some do."""
    (tmp_path / f"{package}.py").write_text(
        "import sys, time\n"
        "print('importing', file=sys.stderr, flush=True)\n"
        "try:\n    time.sleep(60)\n"
        "except BaseException:\n    raise ImportError('half initialized')\n"
    )
    ended = interrupt(number, arguments, tmp_path, marked, PYTHONPATH=str(tmp_path))
    assert ended == (EXIT_CODES[number], ABORTED)


@pytest.mark.parametrize("number", EXIT_CODES)
def test_a_signal_while_lines_are_decoded(number: Signals, tmp_path: Path) -> None:
    def ready(started: subprocess.Popen[str]) -> None:
        assert started.stdin
        started.stdin.write("hello\n")
        started.stdin.flush()
        wait_for(lambda: hidden(tmp_path))

    ended = interrupt(number, ["hello-infer", "--output", "out.txt"], tmp_path, ready)
    assert ended == (EXIT_CODES[number], ABORTED)
    assert list(tmp_path.iterdir()) == []


def interrupt_fork(
    number: Signals,
    server: CommandServer,
    arguments: list[str],
    folder: Path,
    ready: Callable[[str], object],
) -> tuple[int, str]:
    """Likewise, for a fork of a server; `ready` is given what the command has said until now."""
    log = folder.parent / "log"
    streams = [os.open(name, os.O_RDWR | os.O_CREAT) for name in ("/dev/null", "/dev/null", log)]
    started = server.start(arguments, folder, streams)
    wait_for(lambda: ready(log.read_text()))
    os.kill(started, number)
    return server.wait(), log.read_text()


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_signal_while_a_network_is_trained(
    number: Signals, tmp_path: Path, servers: Callable[[str], CommandServer]
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a.tsv").write_text("ab\tba\nba\tab\n")
    options = ["--pairs", "a.tsv", "--holdout", "0", "--epochs", "1000000000", "--output", "run"]
    ended = interrupt_fork(
        number, servers("hello-train"), options, folder, lambda log: "2 lines to learn" in log
    )
    assert_aborted(number, *ended)
    assert [path.name for path in folder.iterdir()] == ["a.tsv"]


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_signal_while_a_network_is_exported(
    number: Signals, tmp_path: Path, servers: Callable[[str], CommandServer]
) -> None:
    folder = tmp_path / "here"
    save_run(make_network(), folder)
    ended = interrupt_fork(number, servers("hello-export"), ["."], folder, lambda _: hidden(folder))
    assert_aborted(number, *ended)
    assert [path.name for path in folder.iterdir()] == ["checkpoint.safetensors"]


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As of a command in the background, or under nohup."""
    with subprocess.Popen(
        [BIN / "hello-infer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in EXIT_CODES],
    ) as started:  # fmt: skip
        assert started.stdin
        assert started.stdout
        for _ in range(2):
            started.stdin.write("hello\n")
            started.stdin.flush()
            assert started.stdout.readline() == "ohlol\n"
            for number in EXIT_CODES:
                started.send_signal(number)
        started.stdin.close()
    assert started.returncode == 0


def test_a_second_signal_ends_what_is_slow_to_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(process, "leave", left.append)
    monkeypatch.setattr(process, "state", process.SignalState())
    with pytest.raises(KeyboardInterrupt):
        process.stop(SIGINT, None)
    process.stop(SIGINT, None)  # the same one once more, by the terminal and by a parent
    assert left == []
    process.state.since -= process.PATIENCE
    process.stop(SIGINT, None)
    assert left == [SIGINT]
