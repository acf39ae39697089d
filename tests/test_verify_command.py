"""`hello-export --verify`: the proof again, or one line that names what is wrong."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from click.testing import CliRunner
from hello_export import cli, remake, verify
from hello_export.artifact import write_artifact
from hello_export.errors import ArtifactError, EngineFailedError
from hello_export.graph.program_file import deprecation_accepted, nothing_compiled
from hello_export.graph.storage import Storage
from hello_export.graph.torchscript import program_bytes
from hello_export.job import ExportJob
from hello_export.manifest import digest
from hello_export.proof import installed, isolation, prove
from hello_export.proof.c_engine import CSource
from hello_export.proof.cases import grid_cases
from hello_export.proof.engines import OnnxRuntimeCuda, Tract
from hello_export.proof.javascript import JavaScript
from hello_export.proof.torchscript_engine import TorchScript
from hello_export.verify import verify_artifact
from hello_runtime.errors import ModelFileError
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from helpers import (
    ENGINES,
    GOLDEN,
    SHORT_PROOF,
    TRAINING,
    Run,
    assert_one_line_error,
    make_network,
    shorten_proof,
)
from onnx import numpy_helper

WITNESSES = {"onnx evaluator", "OpenVINO", "tract", "emx-onnx-cgen"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the golden GRU."""
    folder = tmp_path_factory.mktemp("exported") / "artifact"
    with pytest.MonkeyPatch.context() as patch:
        shorten_proof(patch.setattr)
        write_artifact(ExportJob(*load_checkpoint(GOLDEN / "hello-gru.safetensors"), folder))
    return folder


@pytest.fixture
def artifact(exported: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "artifact"))


def reseal(folder: Path) -> None:
    """Write the digests of the present files into the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: digest((folder / name).read_bytes()) for name in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def edit_model(folder: Path, edit: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load(folder / "model.onnx")
    edit(model)
    onnx.save(model, folder / "model.onnx")


def test_the_verdict_is_a_row_for_each_engine(run: Run, artifact: Path) -> None:
    before = sorted(artifact.iterdir())
    result = run("hello-export", "--verify", artifact, "--characters", 60_000)
    assert result.returncode == 0, result.stderr
    rows = [line.split("  ") for line in result.stdout.splitlines()[2 : 2 + len(ENGINES)]]
    assert [row[0] for row in rows] == [engine.name for engine in ENGINES]
    for row in rows:
        columns = filter(None, map(str.strip, row))
        name, _, role, cases, characters, difference, allowed, differences = columns
        assert role == ("witness" if name in WITNESSES else "target")
        without = {"onnx evaluator": 1, "tract": 1, "JavaScript": 6, "emx-onnx-cgen": 6}.get(
            name, 0
        )
        least = {0: 60_000, 1: 20_000, 6: 5_000}[without]
        assert int(cases) == 23 + 14 - without
        assert least <= int(characters) < 100_000
        assert name == "hello-infer" or float(difference) <= float(allowed) < 1e-4
        assert differences == "0"
    assert sorted(artifact.iterdir()) == before


def test_the_model_file_names_its_artifact(run: Run, artifact: Path) -> None:
    result = run("hello-export", "--verify", artifact / "model.onnx", **SHORT_PROOF)
    assert result.returncode == 0


def test_another_model_in_the_folder_is_not_taken_for_the_artifact(
    run: Run, artifact: Path
) -> None:
    shutil.copy(artifact / "model.onnx", artifact / "other.onnx")
    result = run("hello-export", "--verify", artifact / "other.onnx")
    assert_one_line_error(result, "an artifact's model is model.onnx; name its folder")


def add_to_a_bias(model: onnx.ModelProto) -> None:
    bias = next(item for item in model.graph.initializer if ".B_" in item.name)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1e-3, bias.name))


def test_a_difference_is_shown_and_fails(run: Run, artifact: Path) -> None:
    """A file that was changed together with its manifest is found by its outputs."""
    edit_model(artifact, add_to_a_bias)
    reseal(artifact)
    result = run("hello-export", "--verify", artifact, "--characters", 1, "--trust-program")
    assert result.returncode == 1
    assert "Error: onnxruntime differs from PyTorch in logits by up to 0.00" in result.stderr
    difference = {line[:15].rstrip(): line.split()[-3] for line in result.stdout.splitlines()[2:10]}
    assert float(difference["TorchScript"]) <= 1e-5
    for engine in (
        "onnxruntime",
        "onnx evaluator",
        "OpenVINO",
        "tract",
        *(engine.name for engine in (JavaScript, CSource) if not engine.missing()),
    ):
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
        ("manifest.json", "no manifest there; --verify needs the whole folder"),
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
        (lambda m: m.update(format_version=3), "written in format 3, and this hello-rnn reads up"),
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
def test_a_file_that_is_no_manifest_is_named(run: Run, artifact: Path, content: str) -> None:
    (artifact / "manifest.json").write_text(content)
    assert_one_line_error(run("hello-export", "--verify", artifact), "damaged manifest")


# A content, what the runtime says of it, and what the strict reader says, first where an
# artifact is not trusted.
CUT_OFF = "no ONNX model, or cut off"
DAMAGED = [
    (b"no model", "it is no ONNX model, but a text file", CUT_OFF),
    (b"\x42\x02\xff\xff", CUT_OFF, CUT_OFF),
    (b"", "the file is empty", "the file is empty"),
]


@pytest.mark.parametrize(("content", "trusted", "untrusted"), DAMAGED)
def test_a_file_that_is_no_model_is_named(
    artifact: Path, content: bytes, trusted: str, untrusted: str
) -> None:
    """The digest is checked first, the content after it."""
    (artifact / "model.onnx").write_bytes(content)
    for trust in (True, False):
        with pytest.raises(ArtifactError, match=r"model\.onnx: it has changed since it"):
            verify_artifact(artifact, 1, trusted=trust)
    reseal(artifact)
    for trust, message in ((True, trusted), (False, untrusted)):
        with pytest.raises((ArtifactError, ModelFileError), match=f"model.onnx: {message}"):
            verify_artifact(artifact, 1, trusted=trust)


def test_a_damaged_model_is_one_line(run: Run, artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"\x42\x02\xff\xff")
    reseal(artifact)
    result = run("hello-export", "--verify", artifact)
    assert_one_line_error(result, "model.onnx: no ONNX model, or cut off")


def reset_before(model: onnx.ModelProto) -> None:
    """Compute another GRU."""
    node = next(node for node in model.graph.node if node.op_type == "GRU")
    next(item for item in node.attribute if item.name == "linear_before_reset").i = 0


EDITS: list[tuple[Callable[[onnx.ModelProto], object], str]] = [
    (add_to_a_bias, "its constant 'layer0.forward.B_zrh'"),
    (lambda m: m.ClearField("metadata_props"), "its format_version"),
    (lambda m: setattr(m.metadata_props[4], "value", "9"), "its layers"),
    (lambda m: m.graph.node.pop(), "its node 'confidence'"),
    (reset_before, "its node 'layer0.forward.hidden'"),
    (lambda m: m.graph.node.add(name="more\n\x1b"), r"its node 'more\n\x1b'"),
    (lambda m: m.graph.output.pop(), "its output 'state_out'"),
    (lambda m: m.graph.input.reverse(), "its input 'state'"),
    (lambda m: setattr(m.graph, "doc_string", "mine"), "its doc_string"),
    (lambda m: setattr(m, "ir_version", 8), "its ir_version"),
    (lambda m: setattr(m, "producer_version", "\n"), "its producer_version"),
    (lambda m: m.MergeFromString(b"\x1a\x01\xff"), "its producer_version"),
    (lambda m: m.functions.add(name="f"), "its functions"),
    (lambda m: m.MergeFromString(b"\xf8\x3f\x01"), "its encoding"),
]


@pytest.mark.parametrize(("edit", "part"), EDITS)
def test_a_model_that_the_checkpoint_does_not_make_is_refused(
    artifact: Path, edit: Callable[[onnx.ModelProto], object], part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Before any engine opens it."""
    monkeypatch.setattr(verify, "prove", None)
    edit_model(artifact, edit)
    reseal(artifact)
    with pytest.raises(ArtifactError) as caught:
        verify_artifact(artifact, 1)
    message = str(caught.value)
    assert f"model.onnx: {part}" in message
    assert "not what this hello-export makes of the checkpoint; nothing of it was run" in message
    assert "--trust-program" in message


def test_a_model_by_another_version_that_is_the_same_is_accepted(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "prove", lambda *_, **__: None)
    edit_model(artifact, lambda model: setattr(model, "producer_version", "0.0.1"))
    reseal(artifact)
    verify_artifact(artifact, 1)


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_every_kind_of_artifact_is_what_its_checkpoint_makes(
    tmp_path: Path, storage: Storage, few_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after other programs were compiled, and with scores of any kind."""
    monkeypatch.setattr(installed, "ENGINES", ())
    scores = {"model": {"characters": 0.1 + 0.2, "words": None, "count": 3}}
    training = replace(TRAINING, data='"ż"\n', scores=scores)
    network = make_network("lstm", bidirectional=True, layers=2, guarded=True)
    write_artifact(ExportJob(network, training, tmp_path / "artifact", storage))
    verify_artifact(tmp_path / "artifact", 1).check()


def test_equal_networks_give_equal_programs() -> None:
    made = program_bytes(make_network("lstm", bidirectional=True, layers=2))
    for cell in CELLS:
        program_bytes(make_network(cell, bidirectional=True))
    assert program_bytes(make_network("lstm", bidirectional=True, layers=2)) == made
    assert b"mangle" not in made
    assert b".py.debug" not in made
    assert str(Path.cwd()).encode() not in made
    constants = re.findall(rb"^  (\w+) : Final", made, re.MULTILINE)
    assert len(constants) > 10
    order = [name for name in constants if name in (b"dropout", b"mode", b"proj_size")]
    assert order == [b"dropout", b"mode", b"proj_size"]


def foreign_program(body: str, *more: str) -> bytes:
    """Return a program with a causal model's signature and somebody else's code."""
    content = io.BytesIO()
    with deprecation_accepted(), nothing_compiled():
        module = torch.jit.script(torch.nn.Module())
        results = "return codepoints, codepoints, codepoints, state"
        forward = ["def forward(self, codepoints: Tensor, state: Tensor):", body, results]
        module.define("\n".join(["\n    ".join(forward), *more, ""]))
        torch.jit.save(module, content)
    return content.getvalue()


def writes(file: Path) -> str:
    return f"print(torch.from_file({str(file)!r}, True, 4, dtype=torch.float))"


def on_opening(body: str) -> str:
    """Return methods with which a program runs code when it is opened."""
    return (
        "def __getstate__(self):\n    return True\n"
        f"def __setstate__(self, training: bool) -> None:\n    {body}\n    self.training = training"
    )


@pytest.mark.parametrize("when", ["called", "opened"])
def test_a_strangers_program_is_not_run(
    artifact: Path, tmp_path: Path, when: str, few_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused; only --trust-program runs it."""
    monkeypatch.setattr(installed, "ENGINES", ())
    written = tmp_path / "written"
    program = (
        foreign_program(writes(written))
        if when == "called"
        else foreign_program("pass", on_opening(writes(written)))
    )
    (artifact / "model.pt").write_bytes(program)
    reseal(artifact)
    result = CliRunner().invoke(cli.main, ["--verify", str(artifact)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "model.pt: its member 'archive/data.pkl' is not what this hello-export makes of" in line
    assert not written.exists()
    trusting = ["--verify", str(artifact), "--trust-program", "--characters", "1"]
    result = CliRunner().invoke(cli.main, trusting)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: TorchScript ")
    assert written.exists()


def test_a_program_that_never_ends_is_named(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (artifact / "model.pt").write_bytes(foreign_program("while True:\n        codepoints += 1"))
    network, _ = load_checkpoint(artifact)
    engine = prove.open_engine(TorchScript, network.config, artifact, foreign=True)
    try:
        engine.check_declaration()
        monkeypatch.setattr(isolation, "PATIENCE", 0.5)
        with pytest.raises(EngineFailedError) as caught:
            engine.run(next(grid_cases(network.config)))
    finally:
        engine.close()
    message = "TorchScript fails on batch 1, length 1: no answer in 0.5 seconds"
    assert str(caught.value) == message


def rewritten(
    edit: Callable[[dict[str, bytes]], object], program: bytes, kind: int = zipfile.ZIP_STORED
) -> bytes:
    """Return a program with edited members."""
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    edit(members)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


CODE = "archive/code/__torch__/hello_export/torchscript.py"


def lengthen_code(members: dict[str, bytes]) -> None:
    members[CODE] += b"\n"


def change_constant(members: dict[str, bytes]) -> None:
    members["archive/data/5"] = bytes(len(members["archive/data/5"]))


FOREIGN: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda made: b"", "its archive, which is damaged,"),
    (lambda made: made[:-5], "its archive, which is damaged,"),
    (lambda made: made + b"\0", "its layout"),
    (lambda made: b"#!/bin/sh\n" + made, "its layout"),
    (lambda made: made + bytes(2_000_000), "its size"),
    (lambda made: rewritten(lambda members: None, made), "its layout"),
    (lambda made: rewritten(lengthen_code, made), f"its member {CODE!r}"),
    (lambda made: rewritten(change_constant, made), "its member 'archive/data/5'"),
    (
        lambda made: rewritten(lambda members: members.update({"../x": b""}), made),
        "its member '../x'",
    ),
    (
        lambda made: rewritten(lambda members: members.pop("archive/version"), made),
        "its list of members, without 'archive/version',",
    ),
    (  # 200 MB in 200 kB: recognised by the size, and not unpacked
        lambda made: rewritten(
            lambda members: members.update({CODE: bytes(200_000_000)}), made, zipfile.ZIP_DEFLATED
        ),
        f"its member {CODE!r}",
    ),
]


@pytest.mark.parametrize(("change", "part"), FOREIGN)
def test_a_program_that_the_checkpoint_does_not_make_is_refused(
    artifact: Path, change: Callable[[bytes], bytes], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "prove", None)
    program = artifact / "model.pt"
    program.write_bytes(change(program.read_bytes()))
    reseal(artifact)
    with pytest.raises(ArtifactError) as caught:
        verify_artifact(artifact, 1)
    assert f"model.pt: {part} is not what this hello-export makes" in str(caught.value)


@pytest.mark.parametrize(("name", "tool"), [("model.pt", "torch"), ("model.onnx", "hello-rnn")])
def test_the_error_names_the_version_that_wrote_the_file(
    artifact: Path, name: str, tool: str
) -> None:
    if name == "model.onnx":
        edit_model(artifact, add_to_a_bias)
    else:
        (artifact / name).write_bytes(foreign_program("pass"))
    reseal(artifact)
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["tools"][tool] = "1.2.3\n"
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError) as caught:
        verify_artifact(artifact, 1)
    assert f"written with {tool} '1.2.3\\n', and here is" in str(caught.value)
    assert "verify it with that version, or make it again" in str(caught.value)


def test_an_artifact_of_an_older_version_is_told_from_one_that_was_changed(
    artifact: Path, few_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.1.0 wrote the graph in another form; it says the same, and who trusts it can see that."""
    shutil.copy(GOLDEN / "0.1.0/hello-gru.onnx", artifact / "model.onnx")
    reseal(artifact)
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["tools"]["hello-rnn"] = "0.1.0"
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(remake, "version", lambda _: "0.2.0")
    with pytest.raises(ArtifactError) as caught:
        verify_artifact(artifact, 1)
    message = str(caught.value)
    assert "is not what this hello-export makes of the checkpoint" in message
    assert "written with hello-rnn '0.1.0', and here is 0.2.0" in message
    assert "verify it with that version, or make it again (hello-export" in message
    assert "or compare it as it is, with --trust-program" in message
    verify_artifact(artifact, 1, trusted=True).check()


NAMES = ["manifest.json", "model.onnx", "model.pt", "checkpoint.safetensors"]


def replace_by_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def replace_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replace_by_device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def enlarge(file: Path) -> None:
    """Make it larger than memory, as a sparse file."""
    os.truncate(file, 2**40)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace_by_link, "it is a link, and an artifact holds its files itself"),
        (replace_by_pipe, "it is not a regular file"),
        (replace_by_device, "it is a link"),
        (replace_by_folder, "Is a directory"),
        (enlarge, "it is larger than"),
    ],
)
def test_a_file_that_is_not_regular_is_named(
    artifact: Path, name: str, change: Callable[[Path], None], message: str
) -> None:
    change(artifact / name)
    with pytest.raises(ArtifactError, match=f"{name}: {message}"):
        verify_artifact(artifact, 1)


def test_a_baseline_that_is_not_regular_is_named(artifact: Path) -> None:
    (artifact / "baseline.json").write_text("{}")
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["sha256"]["baseline.json"] = digest((artifact / "baseline.json").read_bytes())
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    replace_by_pipe(artifact / "baseline.json")
    with pytest.raises(ArtifactError, match=r"baseline\.json: it is not a regular file"):
        verify_artifact(artifact, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs/x", "--verify", "a"],
        ["--verify", "a", "--cell", "gru"],
        ["--verify", "a", "--output", "b"],
        ["--verify", "a", "--weights", "int8"],
        ["--characters", "5"],
        ["--trust-program"],
        ["--verify", "a", "--characters", "0"],
        ["--verify", "a", "--characters", "1" + "0" * 400],
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    result = run("hello-export", *arguments)
    assert result.returncode == 2
    assert "--verify" in result.stderr or "--characters" in result.stderr


@pytest.mark.parametrize("name", ["config", "training"])
def test_a_manifest_that_differs_from_the_checkpoint_is_named(
    run: Run, artifact: Path, name: str
) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest[name] = {}
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    result = run("hello-export", "--verify", artifact)
    assert_one_line_error(result, f"manifest.json: its {name} is not that of the checkpoint")


def test_the_table_names_an_engine_that_is_not_installed(
    artifact: Path, few_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tract, "distribution", "no-such-distribution")
    result = CliRunner().invoke(cli.main, ["--verify", str(artifact), "--characters", "1"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert next(line.split() for line in lines if line.startswith("tract "))[1:4] == [
        "-", "witness", "0"
    ]  # fmt: skip
    reason = "it is not installed; pip install 'hello-rnn[engines]'"
    assert f"tract was not compared: {reason}" in lines


def test_cuda_that_is_not_there_is_not_taken_for_the_cpu(artifact: Path) -> None:
    assert not OnnxRuntimeCuda.runs_here()
    network, _ = load_checkpoint(artifact)
    with pytest.raises(Exception, match=r"CUDA|fell back"):
        OnnxRuntimeCuda(network.config, artifact)


def test_the_manifest_has_the_limits_of_engines(tmp_path: Path) -> None:
    export = write_artifact(ExportJob(make_network("rnn", "relu"), TRAINING, tmp_path / "artifact"))
    cases = {verdict.engine: verdict.cases for verdict in export.report.verdicts}
    assert cases == {
        "TorchScript": 23,
        "onnxruntime": 23,
        "hello-infer": 23,
        "JavaScript": 0 if JavaScript.missing() else 19,
        "onnx evaluator": 0,
        "OpenVINO": 23,
        "tract": 0,
        "emx-onnx-cgen": 0 if CSource.missing() else 19,
    }
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_text())
    reasons = [row.get("not_compared") for row in manifest["parity"]["engines"]]
    assert reasons[4:7] == [
        "its RNN has no Relu", None, "it computes tanh in every RNN, without an error"
    ]  # fmt: skip
