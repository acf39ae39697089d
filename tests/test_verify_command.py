"""`hello-export --verify`, run as a user would: the proof again, or what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner
from hello_export import cli, isolation, proof
from hello_export.artifact import digest, write_artifact
from hello_export.cases import Case
from hello_export.engines import OnnxRuntime, OnnxRuntimeCuda, Outputs, Tract
from hello_export.onnx_graph import METADATA_KEYS
from hello_train.checkpoint import load_checkpoint
from hello_train.config import ModelConfig
from helpers import GOLDEN, TRAINING, Run, assert_one_line_error, make_network
from onnx import numpy_helper


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the golden GRU."""
    folder = tmp_path_factory.mktemp("exported") / "artifact"
    write_artifact(*load_checkpoint(GOLDEN / "hello-gru.safetensors"), folder)
    return folder


@pytest.fixture
def artifact(exported: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(exported, tmp_path / "artifact"))


def reseal(folder: Path) -> None:
    """Put the digests of the files as they are into the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: digest(folder / name) for name in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def edit_model(folder: Path, edit: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load(folder / "model.onnx")
    edit(model)
    onnx.save(model, folder / "model.onnx")


def test_the_verdict_is_a_row_for_each_engine(run: Run, artifact: Path) -> None:
    before = sorted(artifact.iterdir())
    result = run("hello-export", "--verify", artifact, "--characters", 60_000)
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split("  ") for line in result.stdout.splitlines()[2:8]]
    assert [row[0] for row in rows] == ["TorchScript", *(engine.name for engine in proof.ENGINES)]
    for row in rows:
        name, _, cases, characters, difference, differences = filter(None, map(str.strip, row))
        assert int(cases) == 23 + 14
        assert 60_000 <= int(characters) < 100_000
        assert name == "hello-infer" or float(difference) <= 1e-5
        assert differences == "0"
    assert sorted(artifact.iterdir()) == before


def test_the_model_file_names_its_artifact(run: Run, artifact: Path) -> None:
    result = run("hello-export", "--verify", artifact / "model.onnx", "--characters", 1)
    assert result.returncode == 0


def test_another_model_in_the_folder_is_not_taken_for_the_artifact(
    run: Run, artifact: Path
) -> None:
    shutil.copy(artifact / "model.onnx", artifact / "other.onnx")
    result = run("hello-export", "--verify", artifact / "other.onnx")
    assert_one_line_error(result, "an artifact's model is model.onnx; name its folder")


def test_a_difference_is_shown_and_fails(run: Run, artifact: Path) -> None:
    """A file that was changed together with its manifest is found by what it says."""

    def add_to_a_bias(model: onnx.ModelProto) -> None:
        bias = next(item for item in model.graph.initializer if ".B_" in item.name)
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1e-3, bias.name))

    edit_model(artifact, add_to_a_bias)
    reseal(artifact)
    result = run("hello-export", "--verify", artifact, "--characters", 1)
    assert result.returncode == 1
    assert "Error: onnxruntime differs from PyTorch in logits by up to 0.00" in result.stderr
    difference = {line[:15].rstrip(): line.split()[-2] for line in result.stdout.splitlines()[2:8]}
    assert float(difference["TorchScript"]) <= 1e-5
    for engine in ("onnxruntime", "onnx evaluator", "OpenVINO", "tract"):
        assert float(difference[engine]) > 1e-4


@pytest.mark.parametrize("name", ["model.onnx", "model.pt", "checkpoint.safetensors"])
def test_a_changed_file_is_named(run: Run, artifact: Path, name: str) -> None:
    if name == "model.onnx":
        edit_model(artifact, lambda model: setattr(model, "doc_string", "mine"))
    else:
        (artifact / name).write_bytes((artifact / name).read_bytes() + b" ")
    result = run("hello-export", "--verify", artifact)
    assert_one_line_error(result, f"{name}: it has changed since it was exported", "SHA-256")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.onnx", "no model there; name an artifact folder of hello-export"),
        ("manifest.json", "no manifest there; a model is verified in the folder"),
        ("model.pt", "the manifest names it, and it is missing"),
        ("checkpoint.safetensors", "the manifest names it, and it is missing"),
    ],
)
def test_a_missing_file_is_named(run: Run, artifact: Path, name: str, message: str) -> None:
    (artifact / name).unlink()
    assert_one_line_error(run("hello-export", "--verify", artifact), f"{name}: {message}")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("sha256"), "damaged manifest ('sha256')"),
        (lambda m: m.update(weights="int3"), "damaged manifest (weights are 'int3')"),
        (lambda m: m.update(weights=["int8"]), "damaged manifest (weights are ['int8'])"),
        (lambda m: m.update(format_version="x"), "damaged manifest (invalid literal"),
        (lambda m: m.update(format_version=float("inf")), "damaged manifest (cannot convert"),
        (lambda m: m.update(format_version=2), "written in format 2, and this hello-rnn reads up"),
    ],
)
def test_a_damaged_manifest_is_named(
    run: Run, artifact: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    edit(manifest)
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    assert_one_line_error(run("hello-export", "--verify", artifact), message)


@pytest.mark.parametrize("content", ["", "[]", '"x"', "{", "[" * 100_000, "\0"])
def test_a_manifest_that_is_none_is_named(run: Run, artifact: Path, content: str) -> None:
    (artifact / "manifest.json").write_text(content)
    assert_one_line_error(run("hello-export", "--verify", artifact), "damaged manifest")


def test_what_a_foreign_model_lacks_is_told(run: Run, artifact: Path) -> None:
    edit_model(artifact, lambda model: model.ClearField("metadata_props"))
    result = run("hello-export", "--verify", artifact / "model.onnx")
    assert_one_line_error(
        result, "hello-export did not write this file", f"lacks {', '.join(METADATA_KEYS)}"
    )


def test_a_model_that_is_none_is_named(run: Run, artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"no model")
    assert_one_line_error(run("hello-export", "--verify", artifact), "no ONNX model, or cut off")
    (artifact / "model.onnx").write_bytes(b"")
    assert_one_line_error(run("hello-export", "--verify", artifact), "the file is empty")


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs/x", "--verify", "a"],
        ["--verify", "a", "--cell", "gru"],
        ["--verify", "a", "--output", "b"],
        ["--verify", "a", "--weights", "int8"],
        ["--characters", "5"],
        ["--verify", "a", "--characters", "0"],
        ["--verify", "a", "--characters", "1" + "0" * 400],
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    result = run("hello-export", *arguments)
    assert result.returncode == 2
    assert "--verify" in result.stderr or "--characters" in result.stderr


class Failing(OnnxRuntime):
    """An engine that raises."""

    name = "failing"

    def run(self, case: Case) -> Outputs:
        raise MemoryError("out of order\nsecond line")


class Crashing(OnnxRuntime):
    """An engine that ends its whole process at the third case, as native code may."""

    name = "crashing"
    left = 2

    def run(self, case: Case) -> Outputs:
        if not self.left:
            os.kill(os.getpid(), signal.SIGSEGV)
        self.left -= 1
        return super().run(case)


class CrashingAtOnce(OnnxRuntime):
    """An engine that ends its whole process when it opens a file."""

    name = "crashing at once"

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        os.abort()


BAD_ENGINES = [
    (Failing, "failing fails on batch 1, length 1: out of order"),
    (Crashing, "crashing fails on batch 1, length 7: it crashed (SIGSEGV)"),
    (CrashingAtOnce, "crashing at once does not open its file: it crashed (SIGABRT)"),
]


@pytest.mark.parametrize(("engine", "message"), BAD_ENGINES)
def test_an_engine_that_fails_or_crashes_is_named_and_the_others_go_on(
    engine: type[OnnxRuntime], message: str, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "ENGINES", (engine, OnnxRuntime))
    result = CliRunner().invoke(cli.main, ["--verify", str(artifact), "--characters", "1"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"Error: {message}"]
    (good,) = (line for line in result.stdout.splitlines() if line.startswith("onnxruntime"))
    assert good.split()[2] == "23"


@pytest.mark.parametrize(("engine", "message"), BAD_ENGINES)
def test_nothing_is_written_when_an_engine_fails_or_crashes(
    engine: type[OnnxRuntime], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(GOLDEN / "hello-gru.safetensors", tmp_path / "checkpoint.safetensors")
    monkeypatch.setattr(proof, "ENGINES", (engine, OnnxRuntime))
    result = CliRunner().invoke(cli.main, [str(tmp_path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"Error: {message}"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_every_engine_that_fails_is_named(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "ENGINES", tuple(engine for engine, _ in BAD_ENGINES))
    result = CliRunner().invoke(cli.main, ["--verify", str(artifact), "--characters", "1"])
    messages = [message for _, message in BAD_ENGINES]
    assert result.stderr == f"Error: {'; and '.join(messages)}\n"
    for (engine, message), line in zip(BAD_ENGINES, result.stdout.splitlines()[-3:], strict=True):
        assert line == f"{engine.name} did not go through: {message}"


@pytest.mark.parametrize("name", ["config", "training"])
def test_a_manifest_that_lies_is_named(run: Run, artifact: Path, name: str) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest[name] = {}
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    result = run("hello-export", "--verify", artifact)
    assert_one_line_error(result, f"manifest.json: its {name} is not that of the checkpoint")


@pytest.mark.parametrize("key", ["weights", "training", "guard", "hidden_size"])
def test_a_model_that_lies_is_named(run: Run, artifact: Path, key: str) -> None:
    def lie(model: onnx.ModelProto) -> None:
        next(entry for entry in model.metadata_props if entry.key == key).value = "{}"

    edit_model(artifact, lie)
    reseal(artifact)
    result = run("hello-export", "--verify", artifact)
    assert_one_line_error(result, f"model.onnx: its {key} is not that of the checkpoint")


def test_an_engine_that_does_not_answer_is_named(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "ENGINES", (NeverOpen,))
    monkeypatch.setattr(isolation, "PATIENCE", 1)
    result = CliRunner().invoke(cli.main, ["--verify", str(artifact), "--characters", "1"])
    assert result.exit_code == 1
    assert result.stderr == "Error: never open does not open its file: no answer in 1 seconds\n"


class NeverOpen(OnnxRuntime):
    """An engine that never opens its file, however long a busy machine takes to start it."""

    name = "never open"

    def check_declaration(self) -> None:
        time.sleep(1000)


class Hanging(OnnxRuntime):
    """An engine that never answers."""

    name = "hanging"

    def run(self, case: Case) -> Outputs:
        print("waiting", flush=True)
        time.sleep(1000)
        raise AssertionError


INTERRUPTED = """
import sys
sys.path.insert(0, {tests!r})
from hello_export import cli, proof
from test_verify_command import Hanging
if __name__ == "__main__":
    proof.ENGINES = (Hanging,)
    cli.main(["--verify", {artifact!r}])
"""


def test_an_interrupt_ends_an_engine_that_hangs(artifact: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.format(tests=str(Path(__file__).parent), artifact=str(artifact)))
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "Aborted!" in errors
    for _ in range(100):  # until nothing of its group is left
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process outlived the command")


def test_an_engine_that_is_not_installed_is_told(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tract, "distribution", "no-such-distribution")
    result = CliRunner().invoke(cli.main, ["--verify", str(artifact), "--characters", "1"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert next(line.split() for line in lines if line.startswith("tract "))[1:3] == ["-", "0"]
    assert lines[-1] == (
        "tract was not compared: it is not installed; pip install 'hello-rnn[engines]'"
    )


def test_cuda_that_is_not_there_is_not_taken_for_the_cpu(artifact: Path) -> None:
    assert not OnnxRuntimeCuda.runs_here()
    network, _ = load_checkpoint(artifact)
    with pytest.raises(Exception, match=r"CUDA|fell back"):
        OnnxRuntimeCuda(network.config, artifact)


def test_a_limit_of_an_engine_is_told(tmp_path: Path) -> None:
    export = write_artifact(make_network("rnn", "relu"), TRAINING, tmp_path / "artifact")
    cases = {verdict.engine: verdict.cases for verdict in export.report.verdicts}
    assert cases == {
        "TorchScript": 23,
        "onnxruntime": 23,
        "hello-infer": 23,
        "onnx evaluator": 0,
        "OpenVINO": 23,
        "tract": 0,
    }
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_text())
    reasons = [row.get("not_compared") for row in manifest["parity"]["engines"]]
    assert reasons[3:] == [
        "its RNN has no Relu", None, "it computes tanh in every RNN, without an error"
    ]  # fmt: skip
