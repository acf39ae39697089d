"""The C file: the page's program, and that the proof finds faults and what is missing.

It is an engine of the proof, so `test_parity`, `test_tasks`, `test_rounding` and `test_golden`
compare it with PyTorch on every causal network.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner, Result
from hello_export import cli
from hello_export.artifact import write_artifact
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.job import ExportJob
from hello_export.proof import c_engine, installed, parity
from hello_export.proof.c_engine import CSource, c_compiler
from hello_export.proof.engines import OnnxRuntime
from hello_export.proof.isolation import Isolated
from hello_export.proof.verdict import Report
from hello_train.network.checkpoint import Training, load_checkpoint
from helpers import GOLDEN, KINDS, TRAINING, errors_of, make_network, short_cases

pytestmark = pytest.mark.skipif(bool(CSource.missing()), reason=str(CSource.missing()))

PAGE = (Path(__file__).parents[1] / "docs/engines.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the golden GRU, which no test changes."""
    folder = tmp_path_factory.mktemp("exported") / "runs/hello-gru/artifact"
    folder.parent.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installed, "ENGINES", (OnnxRuntime,))
        write_artifact(ExportJob(*load_checkpoint(GOLDEN / "hello-gru.safetensors"), folder))
    return folder


def test_the_page_streams_hello_with_sixteen_lines_of_c(artifact: Path) -> None:
    section = PAGE.partition("\n## C\n")[2].partition("\n## ")[0]
    (program,) = re.findall(r"^```c\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) == 16
    generate, build, use = re.findall(r"^\$ (.*)$", section, re.MULTILINE)
    folder = artifact.parents[2]
    (folder / "main.c").write_text(program)
    shell(generate, folder)
    shell(build.replace("-Wextra", "-Wextra -Werror"), folder)
    assert f"$ {use}\n{shell(use, folder)}" in section
    (bytes_of_program,) = re.findall(r"has ([\d,]+) bytes", section)
    size = (folder / "hello-c").stat().st_size
    assert size < 2 * int(bytes_of_program.replace(",", ""))  # another compiler's may be larger

    streaming = subprocess.Popen(folder / "hello-c", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert streaming.stdin
    assert streaming.stdout
    for given, written in zip(b"hello", b"ohlol", strict=True):
        os.write(streaming.stdin.fileno(), bytes([given]))
        assert os.read(streaming.stdout.fileno(), 9) == bytes([written])
    assert streaming.communicate()[0] == b"\n"
    assert streaming.returncode == 0


def shell(command: str, folder: Path) -> str:
    """Run a command of the page, and return what it prints."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = command.replace("emx-onnx-cgen", f"{sys.executable} -m emx_onnx_cgen")
    result = subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def compare(folder: Path, training: Training = TRAINING, **shape: Any) -> Report:
    """Compare the C file of a network of this shape with PyTorch."""
    network = make_network(**shape)
    onnx.save(build_model(network, training), folder / "model.onnx")
    engine = CSource(network.config, folder)
    try:
        report = parity.compare(network, [engine], short_cases(network.config), strict=True)
    finally:
        engine.close()
    report.check()
    return report


@pytest.mark.parametrize("kind", KINDS)
def test_no_warning_is_given(
    kind: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_engine, "OPTIONS", ("-std=c99", "-Wall", "-Wextra", "-Werror"))
    compare(tmp_path, cell=kind[0], nonlinearity=kind[1], guarded=True, labels="width 5")


def test_a_wide_network_has_its_weights_beside_the_code(tmp_path: Path) -> None:
    assert compare(tmp_path, hidden_size=100).verdicts[0].cases == 13
    source, weights = c_engine.generate(tmp_path / "model.onnx")
    assert len(weights) == 4 * 3 * 100 * 100
    assert len(source) < len(weights)


def test_metadata_is_no_code(tmp_path: Path) -> None:
    """Without it: the generator writes metadata into a comment, and does not escape its end."""
    training = Training(data="*/ #error no /*", example="abc", seed=0, characters=0)
    compare(tmp_path, training)
    model = onnx.load(tmp_path / "model.onnx")
    for tensor in (*model.graph.input, *model.graph.output):
        for axis in tensor.type.tensor_type.shape.dim:
            axis.dim_value = axis.dim_value or 1
    from emx_onnx_cgen import Compiler

    assert "*/ #error no /*" in Compiler().compile(model)


def test_templates_on_demand_write_the_same_file(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jinja2 import Environment

    read, generated = Environment.get_template, c_engine.generate(artifact / "model.onnx")
    assert Environment.get_template is read
    monkeypatch.setattr(c_engine, "templates_on_demand", nullcontext)
    assert c_engine.generate(artifact / "model.onnx") == generated


FAULTS: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("state not carried", "memcpy(state, state_out, sizeof state);", "", "logits", {}),
    ("state not reset", "if (step % time == 0)", "if (step == 0)", "logits", {}),
    ("state before the step", "fwrite(state_out", "fwrite(state", "state_out", {}),
    ("arrays exchanged", "fwrite(decoded", "fwrite(codepoints", "decoded", {}),
    ("gates exchanged", "Z_gate[h] * h_prev", "R_gate[h] * h_prev", "logits", {}),
    ("reset before the product", "gate_h += R_gate[h] * recur", "gate_h += recur", "logits", {}),
    ("input for forget", "f_gate * C_prev", "i_gate * C_prev", "logits", {"cell": "lstm"}),
    ("tanh for relu", "h_new = ref_scalar_f32_relu(", "h_new = tanhf(", "logits",
     {"cell": "rnn", "nonlinearity": "relu"}),
    ("the first label", "candidate > best", "candidate < best", "decoded", {}),
    ("another constant", "weight6_embedding[6][7] = {\n    {\n        ",
     "weight6_embedding[6][7] = {\n    {\n        1 + ", "logits", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "named", "shape"),
    [fault[1:] for fault in FAULTS],
    ids=[fault[0] for fault in FAULTS],
)
def test_a_planted_fault_is_found_and_named(
    old: str, new: str, named: str, shape: dict[str, Any],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plant(monkeypatch, old, new)
    with pytest.raises(ParityError, match=f"emx-onnx-cgen differs from PyTorch in {named}"):
        compare(tmp_path, **shape)


def plant(patch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Replace a part of the C file, or of the program that calls it."""
    generate, main_program, found = c_engine.generate, c_engine.main_program, []

    def replaced(text: str) -> str:
        found.append(text.count(old))
        return text.replace(old, new)

    def faulty(file: Path) -> tuple[str, bytes]:
        source, weights = generate(file)
        return replaced(source), weights

    def program(config: Any) -> str:
        text = replaced(main_program(config))
        assert sum(found) == 1, found
        return text

    patch.setattr(c_engine, "generate", faulty)
    patch.setattr(c_engine, "main_program", program)


def test_a_file_that_does_not_compile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "void model(", "void model((")
    with pytest.raises(RuntimeError, match=r"^the C compiler failed \(exit code 1\): .*error: "):
        compare(tmp_path)


def test_a_program_that_crashes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "memset(state, 0, sizeof state);", "abort();")
    with pytest.raises(ParityError, match=r"length 1: the C program failed \(SIGABRT\)"):
        compare(tmp_path)


def test_a_program_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network()
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    plant(monkeypatch, "memset(state, 0, sizeof state);", "for (;;) {}")
    engine = CSource(network.config, tmp_path)
    monkeypatch.setattr(c_engine, "SECONDS", 1)
    with pytest.raises(RuntimeError, match="the C program has not ended in 1 seconds"):
        engine.run(short_cases(network.config)[0])


def verify(patch: pytest.MonkeyPatch, artifact: Path, compiler: object, *options: str) -> Result:
    """Run `hello-export --verify` with this C compiler."""
    patch.setattr(installed, "ENGINES", (OnnxRuntime, CSource))
    patch.setenv("CC", str(compiler))
    arguments = ["--verify", str(artifact), "--characters", "1", *options]
    return CliRunner().invoke(cli.main, arguments)


@pytest.mark.usefixtures("few_cases")
def test_a_compiler_that_fails_is_a_line_and_refuses_only_if_strict(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "emx-onnx-cgen does not open its file: the C compiler failed (exit code 1)"
    result = verify(monkeypatch, artifact, "false")
    assert result.exit_code == 0
    assert errors_of(result.stderr) == [f"{message}: do not run this model there"]
    result = verify(monkeypatch, artifact, "false", "--strict")
    assert result.exit_code == 1
    assert errors_of(result.stderr) == [f"Error: {message}"]


@pytest.mark.usefixtures("few_cases")
def test_a_compiler_that_is_missing_is_said(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = verify(monkeypatch, artifact, "no-such-compiler", "--strict")
    assert result.exit_code == 0
    assert errors_of(result.stderr) == []
    assert result.stdout.splitlines()[-1] == (
        "emx-onnx-cgen was not compared: it needs a C compiler, which is not installed "
        "(no-such-compiler)"
    )
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC")
    assert c_compiler() is None
    assert str(CSource.missing()).endswith("(cc or gcc or clang)")
    monkeypatch.setattr(CSource, "distribution", "no-such-distribution")
    assert CSource.missing() == "it is not installed; pip install 'hello-rnn[engines]'"


def test_nothing_is_left_of_a_process_that_is_killed(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it is compiling, and so cannot delete its files."""
    at_work, files = tmp_path / "at-work", tmp_path / "files"
    files.mkdir()
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho > {at_work}\nexec sleep 5\n")
    slow.chmod(0o700)
    monkeypatch.setenv("CC", str(slow))
    monkeypatch.setattr("tempfile.tempdir", str(files))
    network, _ = load_checkpoint(artifact)
    engine = Isolated(CSource)
    engine.open(network.config, artifact)
    while not at_work.exists():
        assert engine._process.poll() is None
    assert [folder.name for folder in files.glob("*/*/*.c")]
    engine.close()
    assert not [*files.iterdir()]


def test_nothing_is_left_of_one_in_this_process(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    network, _ = load_checkpoint(artifact)
    engine = CSource(network.config, artifact)
    assert [*tmp_path.iterdir()]
    engine.close()
    assert not [*tmp_path.iterdir()]
