"""Commands, run as a user would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from command_server import CommandServer
from hello_export import artifact, cli, verify
from hello_export.proof.cases import grid_cases
from helpers import Export, Run, shorten_proof


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="Run the tests that are marked long too.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the long tests, unless they are asked for."""
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long; pytest --long runs it"))


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Give a test the same random weights each time, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], CommandServer]]:
    """Return a function that gives the server of a command, started when it is first asked for."""
    started: dict[str, CommandServer] = {}

    def server(command: str) -> CommandServer:
        if command not in started:
            started[command] = CommandServer(command)
        return started[command]

    yield server
    for each in started.values():
        each.close()


@pytest.fixture
def run(tmp_path: Path, servers: Callable[[str], CommandServer]) -> Run:
    """Return a function that runs one of the commands in an empty folder.

    With an environment variable that Python reads at its start, it starts Python anew.
    """

    def run_command(
        command: str, *arguments: object, stdin: str | bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        given = [as_argument(argument) for argument in arguments]
        read = stdin.encode() if isinstance(stdin, str) else stdin
        if any(name.startswith("PYTHON") for name in environment):
            result = subprocess.run(
                [Path(sys.executable).with_name(command), *given],
                cwd=tmp_path,
                input=read,
                capture_output=True,
                env={**os.environ, **environment},
                check=False,
            )
        else:
            result = servers(command).run(given, tmp_path, read, environment)
        output, errors = result.stdout.decode(), result.stderr.decode()
        assert "Traceback" not in errors
        return subprocess.CompletedProcess(result.args, result.returncode, output, errors)

    return run_command


@pytest.fixture
def short_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the proof of exports in this process."""
    shorten_proof(monkeypatch.setattr)


def as_argument(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


@pytest.fixture
def export(tmp_path: Path, short_proof: None, monkeypatch: pytest.MonkeyPatch) -> Export:
    """`hello-export` in this process, in an empty folder, with the short proof."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli.main, [*map(str, arguments)])


@pytest.fixture
def few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof on five cases, where the proof is not what is tested."""
    for module in (artifact, verify):
        monkeypatch.setattr(module, "grid_cases", lambda *given: islice(grid_cases(*given), 5))


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
