"""Engines' processes that are started before there is a file for them."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import wait
from pathlib import Path
from threading import Event

import pytest
from bad_engines import CrashingOnImport, EndlessImport, NotImported
from click.testing import CliRunner
from hello_export import cli
from hello_export.errors import EngineFailedError, ExportError
from hello_export.proof import installed, isolation
from hello_export.proof.engines import OnnxRuntime
from hello_export.proof.isolation import Isolated, Processes
from hello_train.network.checkpoint import load_checkpoint
from helpers import GOLDEN, errors_of, short_cases

ROOT = Path(__file__).parents[1]
NETWORK, _ = load_checkpoint(GOLDEN / "hello-gru.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the model file of the golden GRU."""
    shutil.copy(ROOT / "runtime/hello_runtime/models/gru.onnx", tmp_path / "model.onnx")
    return tmp_path


def test_a_process_is_taken_once_and_the_others_end(folder: Path) -> None:
    with Processes([OnnxRuntime, NotImported]) as processes:
        waiting, left = (future.result() for future in processes._waiting.values())
        taken = processes.take(OnnxRuntime)
        other = processes.take(OnnxRuntime)
        assert taken is waiting
        assert other is not taken
    assert left._process.returncode is not None
    for process in (taken, other):  # which still work
        process.open(NETWORK.config, folder)
        process.check_declaration()
        (case, *_) = short_cases(NETWORK.config)
        assert process.run(case)["decoded"].shape == case.codepoints.shape
        process.close()


def test_processes_start_one_after_the_other_until_they_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that are taken before their turn start at once."""
    importing, imported = Event(), Event()

    def wait(_: Isolated) -> None:
        importing.set()
        imported.wait()

    monkeypatch.setattr(Isolated, "wait", wait)
    with Processes([OnnxRuntime, NotImported, CrashingOnImport]) as processes:
        importing.wait()
        first, second, third = processes._waiting.values()
        assert (first.running(), second.running(), third.running()) == (True, False, False)
        processes.take(NotImported).close()
        assert second.cancelled()
        imported.set()
        processes.take(OnnxRuntime).close()


def test_whoever_leaves_does_not_wait_for_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C and errors do. Planted: an import that takes longer than a proof waits."""
    (tmp_path / "endless_library.py").write_text(
        "from pathlib import Path\nimport time\nPath(__file__).with_name('begun').touch()\n"
        "time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(isolation, "PATIENCE", 20)
    waits: list[bool] = []
    monkeypatch.setattr(isolation, "wait", lambda *given: waits.append(not wait(*given).not_done))
    with Processes([EndlessImport, OnnxRuntime]):
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
    assert waits == [True]  # the import ended, and not the patience


def test_a_library_that_cannot_be_imported_is_named(folder: Path) -> None:
    process = Isolated(NotImported)
    process.open(NETWORK.config, folder)
    message = r"^not imported cannot be imported: No module named 'no_such_library'$"
    with pytest.raises(EngineFailedError, match=message):
        process.check_declaration()
    process.close()


def test_a_library_that_crashes_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing_library.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(tmp_path)
    process = Isolated(CrashingOnImport)
    process.wait()
    process.open(NETWORK.config, folder)
    message = r"^crashing on import cannot be imported: it crashed \(SIGABRT\)$"
    with pytest.raises(EngineFailedError, match=message):
        process.check_declaration()
    process.close()


def test_engines_wait_while_hello_is_trained_and_end_if_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Isolated] = []

    def start_engines() -> Processes:
        processes = Processes([OnnxRuntime])
        started.extend(future.result() for future in processes._waiting.values())
        return processes

    def hello_run(_: str) -> Path:
        assert [process._process.poll() for process in started] == [None]
        raise ExportError("it was lost")

    monkeypatch.setattr(installed, "start_engines", start_engines)
    monkeypatch.setattr(cli, "hello_run", hello_run)
    result = CliRunner().invoke(cli.main, [])
    assert errors_of(result.stderr) == ["Error: it was lost"]
    assert [process._process.returncode is None for process in started] == [False]
