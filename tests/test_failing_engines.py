"""Engines that fail, crash, hang or differ: a target refuses the export, a witness has a line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
from bad_engines import (
    MESSAGES,
    TARGETS,
    WITNESSES,
    CrashingAtOnce,
    Failing,
    Inexact,
    NeverOpen,
    NeverOpenWitness,
    Otherwise,
)
from click.testing import CliRunner, Result
from hello_export import cli
from hello_export.artifact import write_artifact
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.job import ExportJob
from hello_export.proof import installed, isolation, javascript, parity
from hello_export.proof.engines import Engine, OnnxRuntime
from hello_export.proof.javascript import JavaScript
from hello_export.proof.table import warnings
from hello_train.network.checkpoint import load_checkpoint
from helpers import GOLDEN, TRAINING, errors_of, make_network, short_cases
from test_faults import FAULTS, Fault

pytestmark = pytest.mark.usefixtures("few_cases")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the golden GRU, which no test changes."""
    folder = tmp_path_factory.mktemp("exported") / "artifact"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installed, "ENGINES", (OnnxRuntime,))
        write_artifact(ExportJob(*load_checkpoint(GOLDEN / "hello-gru.safetensors"), folder))
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The folder of a run."""
    shutil.copy(GOLDEN / "hello-gru.safetensors", tmp_path / "checkpoint.safetensors")
    return tmp_path


def invoke(
    patch: pytest.MonkeyPatch, engines: tuple[type[Engine], ...], *arguments: object
) -> Result:
    """Run `hello-export` in this process, with these engines of the ONNX graph."""
    patch.setattr(installed, "ENGINES", engines)
    return CliRunner().invoke(cli.main, [*map(str, arguments)])


def verify(patch: pytest.MonkeyPatch, artifact: Path, *engines: type[Engine]) -> Result:
    return invoke(patch, engines, "--verify", artifact, "--characters", 1)


def row_of(result: Result, engine: str) -> list[str]:
    """Return the engine's row of the table, without its name."""
    (row,) = (line for line in result.stdout.splitlines() if line.startswith(engine + "  "))
    return row.removeprefix(engine).split()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bad_targets_are_named_and_the_others_go_on(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = verify(monkeypatch, artifact, *TARGETS, OnnxRuntime)
    assert result.exit_code == 1
    (error,) = errors_of(result.stderr)
    assert re.fullmatch(f"Error: {'; and '.join(MESSAGES.values())}", error)
    assert row_of(result, "onnxruntime")[1:3] == ["target", "5"]
    shown = [line for line in result.stdout.splitlines() if " did not go through: " in line]
    for engine, line in zip(TARGETS, shown, strict=False):
        assert re.fullmatch(f"{engine.name} did not go through: {MESSAGES[engine.name]}", line)
    assert len(shown) == 5


@pytest.mark.parametrize("engine", [Failing, CrashingAtOnce, Inexact, Otherwise])
def test_a_bad_target_leaves_no_file(
    engine: type[Engine], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = invoke(monkeypatch, (engine, OnnxRuntime), checkpoint)
    assert (result.exit_code, result.stdout) == (1, "")
    (error,) = errors_of(result.stderr)
    assert re.fullmatch(f"Error: {MESSAGES[engine.name]}", error)
    assert names(checkpoint) == ["checkpoint.safetensors"]


def test_bad_witnesses_are_named_and_the_export_stands(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = invoke(monkeypatch, (*WITNESSES, OnnxRuntime), checkpoint)
    assert result.exit_code == 0
    lines = errors_of(result.stderr)
    for line, message in zip(lines, MESSAGES.values(), strict=True):
        assert re.fullmatch(f"{message}: do not run this model there", line)
    assert row_of(result, "otherwise")[1] == "witness"
    manifest = json.loads((checkpoint / "artifact/manifest.json").read_text(encoding="utf-8"))
    json.dumps(manifest, allow_nan=False)  # which other languages could not read
    rows = {row["engine"]: row for row in manifest["parity"]["engines"]}
    assert {name for name, row in rows.items() if row["role"] == "witness"} == MESSAGES.keys()
    assert all(re.fullmatch(MESSAGES[name], rows[name]["fault"]) for name in MESSAGES)
    for name in ("TorchScript", "onnxruntime"):
        assert rows[name]["role"] == "target"
        assert "fault" not in rows[name]

    result = verify(monkeypatch, checkpoint / "artifact", *WITNESSES, OnnxRuntime)
    assert result.exit_code == 0
    assert len(errors_of(result.stderr)) == len(MESSAGES)


def test_strict_makes_witnesses_targets(
    artifact: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: tuple[type[Engine], ...] = (*WITNESSES, OnnxRuntime)
    for given in ([checkpoint], ["--verify", artifact, "--characters", 1]):
        result = invoke(monkeypatch, engines, "--strict", *given)
        assert result.exit_code == 1
        (error,) = errors_of(result.stderr)
        assert re.fullmatch(f"Error: {'; and '.join(MESSAGES.values())}", error)
    assert row_of(result, "otherwise")[1] == "target"
    assert names(checkpoint) == ["checkpoint.safetensors"]


def test_an_engine_that_does_not_answer_is_named(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "PATIENCE", 1)
    message = "never open does not open its file: no answer in 1 seconds"
    result = verify(monkeypatch, artifact, NeverOpen)
    assert result.exit_code == 1
    assert errors_of(result.stderr) == [f"Error: {message}"]
    result = verify(monkeypatch, artifact, NeverOpenWitness)
    assert result.exit_code == 0
    assert errors_of(result.stderr) == [f"{message}: do not run this model there"]


@pytest.mark.skipif(os.name == "nt", reason="the planted programs are scripts of a shell")
@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("echo v12.22.12", "{} is version 12.22.12"),
        ("echo Node: packet radio", "{} --version says no version"),
        ("echo node: no libatomic.so.1 >&2; exit 127", "{} --version says no version"),
        ("exec /bin/sleep 1000", "{} --version says no version"),
    ],
)
def test_a_node_that_cannot_run_the_module_is_named_and_refuses_no_export(
    program: str, fault: str, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\n{program}\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(javascript, "node_version", cache(javascript.node_version.__wrapped__))
    monkeypatch.setattr(javascript, "SECONDS", 0.1 if "sleep" in program else 600)
    result = verify(monkeypatch, artifact, JavaScript, OnnxRuntime)
    assert (result.exit_code, errors_of(result.stderr)) == (0, [])
    said = f"JavaScript was not compared: it needs Node 18 or later, and {fault.format(node)}"
    assert said in result.stdout.splitlines()


@pytest.mark.parametrize(("fault", "tensor", "shape"), FAULTS)
def test_a_fault_in_a_witness_alone_is_named_in_both_modes(
    fault: Fault, tensor: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    network = make_network(**shape)
    good, bad = tmp_path / "good", tmp_path / "bad"
    model = build_model(network, TRAINING)
    good.mkdir()
    onnx.save(model, good / "model.onnx")
    fault(model)
    bad.mkdir()
    onnx.save(model, bad / "model.onnx")
    engines = [OnnxRuntime(network.config, good), Witness(network.config, bad)]
    cases = short_cases(network.config)
    report = parity.compare(network, engines, cases)
    report.check()
    (line,) = warnings(report)
    assert re.match(rf"witness differs from PyTorch in {tensor}\b.*\(batch .*: do not run", line)
    strict = parity.compare(network, engines, cases, strict=True)
    assert warnings(strict) == []
    with pytest.raises(ParityError, match=f"witness differs from PyTorch in {tensor}"):
        strict.check()


class Witness(OnnxRuntime):
    name, role = "witness", "witness"


def test_witnesses_alone_prove_nothing(tmp_path: Path) -> None:
    network = make_network()
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    engines = [Witness(network.config, tmp_path)]
    cases = short_cases(network.config)
    with pytest.raises(ParityError, match="no target was compared"):
        parity.compare(network, engines, cases).check()
    parity.compare(network, engines, cases, strict=True).check()


HANGING = """
import sys
sys.path.insert(0, {tests!r})
from hello_export import cli
from hello_export.proof import installed
from bad_engines import Hanging
installed.ENGINES = (Hanging,)
cli.main(["--verify", {artifact!r}])
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_hangs_ends_with_the_command(
    artifact: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    script, at_work = tmp_path / "script.py", tmp_path / "at-work"
    script.write_text(HANGING.format(tests=str(Path(__file__).parent), artifact=str(artifact)))
    process = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "AT_WORK": str(at_work)},
    )  # fmt: skip
    while not at_work.exists():
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    if sent == signal.SIGINT:
        assert process.returncode == 1
        assert "Aborted!" in errors
    for _ in range(100):  # until nothing of its group is left
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process outlived the command")
