"""`hello-export`: an artifact that is proved, or none."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from command_server import CommandServer
from hello_export import artifact, cli, folders
from hello_export.errors import ArtifactError
from hello_export.graph.onnx_graph import build_model
from hello_export.job import ExportJob
from hello_export.proof.c_engine import CSource
from hello_export.proof.javascript import JavaScript
from hello_train.fit.hello import HELLO_ALPHABETS, HELLO_DATA
from hello_train.fit.options import HELLO_OPTIONS, configure
from hello_train.fit.state import new_network
from hello_train.network.checkpoint import Training, load_checkpoint, save_checkpoint
from helpers import (
    GOLDEN,
    SHORT_PROOF,
    TRAINING,
    Export,
    Run,
    assert_one_line_error,
    errors_of,
    make_network,
    shorten_proof,
)
from onnx import numpy_helper

BROKEN = "cannot import a package: {}; run: pip install --force-reinstall 'hello-rnn[export]'"
FILES = ["checkpoint.safetensors", "manifest.json", "model.onnx", "model.pt"]
ENGINES = [
    "TorchScript",
    "onnxruntime",
    "hello-infer",
    "JavaScript",
    "onnx evaluator",
    "OpenVINO",
    "tract",
    "emx-onnx-cgen",
]
MISSING = {engine.name for engine in (JavaScript, CSource) if engine.missing()}
COMPARED = [name for name in ENGINES if name not in MISSING]


@pytest.fixture
def hello_run(tmp_path: Path) -> Path:
    """The golden GRU as if it had been trained here."""
    folder = tmp_path / "runs" / "hello-gru"
    folder.mkdir(parents=True)
    shutil.copy(GOLDEN / "hello-gru.safetensors", folder / "checkpoint.safetensors")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class FirstCommand(NamedTuple):
    """A run of `hello-export --cell lstm` in an empty folder, with the whole proof."""

    folder: Path
    output: list[str]
    errors: list[str]


@pytest.fixture(scope="module")
def first_command(
    tmp_path_factory: pytest.TempPathFactory, servers: Callable[[str], CommandServer]
) -> FirstCommand:
    folder = tmp_path_factory.mktemp("first")
    result = servers("hello-export").run(["--cell", "lstm"], folder)
    assert result.returncode == 0, result.stderr
    output, errors = (said.decode().splitlines() for said in (result.stdout, result.stderr))
    return FirstCommand(folder, output, errors)


def test_the_first_command_trains_exports_and_says_what_to_do_next(
    run: Run, first_command: FirstCommand
) -> None:
    folder, output, errors = first_command
    assert errors[0] == "no checkpoint in runs/hello-lstm; training one"
    rows = ["engine", "PyTorch float64", *ENGINES]
    assert [line[:16].rstrip() for line in output[: len(rows)]] == rows
    assert names(folder / "runs/hello-lstm/artifact") == FILES
    left = ["artifact", "checkpoint.safetensors", "report.html"]
    assert names(folder / "runs/hello-lstm") == left
    command, *arguments = shlex.split(output[-1])
    assert command == "hello-infer"
    arguments[1] = str(folder / arguments[1])
    assert run(command, *arguments).stdout == "ohlol\n"


def test_a_log_says_what_is_being_done(first_command: FirstCommand) -> None:
    log = first_command.errors
    start = log.index("writing model.onnx and model.pt")
    assert log[start + 1] == f"comparing PyTorch, {', '.join(COMPARED)} on 52993 characters"
    assert [line.split()[1:2] for line in log[start + 2 :]] == [["compared,"]] * 3


def test_a_trained_hello_is_not_trained_again(run: Run, hello_run: Path) -> None:
    before = (hello_run / "checkpoint.safetensors").read_bytes()
    result = run("hello-export", **SHORT_PROOF)
    assert result.returncode == 0
    assert result.stderr.startswith("writing model.onnx and model.pt\n")
    assert (hello_run / "checkpoint.safetensors").read_bytes() == before


def test_a_run_of_something_else_is_not_taken_for_hello(
    run: Run, export: Export, tmp_path: Path
) -> None:
    (tmp_path / "hello.tsv").write_text("ab\tba\nba\tab\n")
    run("hello-train", "--pairs", "hello.tsv", "--epochs", 1, "--holdout", 0.5)
    result = run("hello-export", "--cell", "gru")
    assert_one_line_error(result, "a run that learned 'hello.tsv, pairs'", "hello-export runs")
    assert export("runs/hello-gru").exit_code == 0


def test_a_lost_start_is_not_taken_for_hello(run: Run, export: Export, tmp_path: Path) -> None:
    config = configure(HELLO_OPTIONS, HELLO_ALPHABETS)
    training = Training(data=HELLO_DATA, example="hello", seed=0, characters=5)
    save_checkpoint(tmp_path / "runs/hello-gru", new_network(config, 0), training)
    said = load_checkpoint(tmp_path / "runs/hello-gru")[0].rewrite("hello")
    assert_one_line_error(
        run("hello-export"),
        f"runs/hello-gru holds a network that says {said!r} to 'hello', not 'ohlol'",
        "hello-train --cell gru",
    )
    result = export("runs/hello-gru")
    assert result.exit_code == 0
    note = f"note: this network did not learn hello -> ohlol; it says {said!r}"
    assert result.stderr.splitlines()[0] == note


def test_output_names_the_artifact_folder(export: Export, hello_run: Path, tmp_path: Path) -> None:
    assert export(hello_run, "--output", "new/place").exit_code == 0
    assert names(tmp_path / "new/place") == FILES
    assert names(hello_run) == ["checkpoint.safetensors"]
    assert export(hello_run / "checkpoint.safetensors").exit_code == 0
    assert names(hello_run) == ["artifact", "checkpoint.safetensors"]


def test_the_manifest_describes_the_files(first_command: FirstCommand) -> None:
    folder = first_command.folder / "runs/hello-lstm/artifact"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name in ("model.onnx", "model.pt", "checkpoint.safetensors"):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert manifest["sha256"][name] == digest
    assert manifest["format_version"] == 1
    assert manifest["config"]["cell"] == "lstm"
    assert [row["engine"] for row in manifest["parity"]["engines"]] == ENGINES
    assert (manifest["weights"], manifest["rounding_cost"]) == ("float32", None)
    cases = [row["cases"] for row in manifest["parity"]["engines"]]
    expected = [23, 23, 23, 19, 22, 23, 22, 19]
    assert cases == [
        0 if name in MISSING else count for name, count in zip(ENGINES, expected, strict=True)
    ]
    assert manifest["parity"]["engines"][1]["max_difference"]["logits"] <= 1e-5
    assert set(manifest["tools"]) == {"hello-rnn", "torch", "onnx", "onnxruntime", "numpy"}


def test_onnxruntimes_version_is_found_under_its_gpu_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_the_cpu_package(name: str) -> str:
        if name == "onnxruntime":
            raise PackageNotFoundError(name)
        return version(name)

    shorten_proof(monkeypatch.setattr)
    monkeypatch.setattr("hello_export.manifest.version", without_the_cpu_package)
    artifact.write_artifact(ExportJob(make_network(), TRAINING, tmp_path / "artifact"))
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_text(encoding="utf-8"))
    assert manifest["tools"]["onnxruntime"] == onnxruntime.__version__


def test_an_old_artifact_is_replaced_whole(export: Export, hello_run: Path) -> None:
    export()
    (hello_run / "artifact" / "model.pt").write_bytes(b"old")
    inode = (hello_run / "artifact").stat().st_ino
    assert export().exit_code == 0
    assert (hello_run / "artifact" / "model.pt").read_bytes() != b"old"
    assert (hello_run / "artifact").stat().st_ino != inode
    assert names(hello_run) == ["artifact", "checkpoint.safetensors"]


@pytest.mark.parametrize("possible", [True, False])
def test_putting_in_place_with_and_without_an_exchange(
    possible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if possible:
        assert folders.exchange(*make_folders(tmp_path / "exchanged"))
    else:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    new, old = make_folders(tmp_path)
    folders.put_in_place(new, old)
    assert (old / "name").read_text() == "new"


def make_folders(parent: Path) -> tuple[Path, Path]:
    new, old = parent / "beside" / "artifact", parent / "artifact"
    for folder, text in ((new, "new"), (old, "old")):
        folder.mkdir(parents=True)
        (folder / "name").write_text(text)
    return new, old


def swapped_gates(*arguments: Any) -> onnx.ModelProto:
    """Write the graph with the reset and update gates in PyTorch's order."""
    model = build_model(*arguments)
    for item in model.graph.initializer:
        if ".W_" in item.name or ".R_" in item.name:
            gates = numpy_helper.to_array(item).reshape(1, 3, 4, -1)[:, [1, 0, 2]]
            item.CopyFrom(numpy_helper.from_array(gates.reshape(1, 12, -1), item.name))
    return model


def test_a_mismatch_leaves_no_file(
    hello_run: Path, short_proof: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "build_model", swapped_gates)
    result = CliRunner().invoke(cli.main, [str(hello_run)])
    assert result.exit_code == 1
    assert result.stdout == ""
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: onnxruntime differs from PyTorch in logits by up to ")
    assert "(allowed: 1e-05) for '" in line
    assert names(hello_run) == ["checkpoint.safetensors"]


def test_a_mismatch_leaves_the_old_artifact(
    export: Export, hello_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export()
    before = (hello_run / "artifact" / "model.onnx").read_bytes()
    monkeypatch.setattr(artifact, "build_model", swapped_gates)
    assert export(hello_run).exit_code == 1
    assert (hello_run / "artifact" / "model.onnx").read_bytes() == before
    assert names(hello_run) == ["artifact", "checkpoint.safetensors"]


def test_the_files_themselves_are_compared(
    hello_run: Path, short_proof: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in the written file is found: the proof reads the files back."""

    def save_another(_: onnx.ModelProto, path: Path) -> None:
        network, training = load_checkpoint(GOLDEN / "hello-gru.safetensors")
        network.embedding.weight.data[0] += 1
        path.write_bytes(build_model(network, training).SerializeToString())

    monkeypatch.setattr(onnx, "save", save_another)
    result = CliRunner().invoke(cli.main, [str(hello_run)])
    assert result.exit_code == 1
    assert "onnxruntime differs from PyTorch" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/none"], "no checkpoint there; hello-train writes one"),
        ([".", "--output", "x"], "no checkpoint there"),
        (["runs/hello-gru", "--output", "runs"], "it holds 'hello-gru' and is no artifact"),
        (["runs/hello-gru", "--output", "x" * 300], "File name too long"),
        (["runs/hello-gru", "--output", "/dev/null/x"], "cannot write /dev/null/x"),
    ],
)
def test_bad_paths(run: Run, hello_run: Path, arguments: list[str], message: str) -> None:
    assert_one_line_error(run("hello-export", *arguments), message)
    assert names(hello_run) == ["checkpoint.safetensors"]


def test_a_link_to_a_folder_is_followed(export: Export, hello_run: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert export(hello_run, "--output", "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == FILES


def test_a_run_is_not_replaced_by_an_artifact(run: Run, hello_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs/other"
    shutil.copytree(hello_run, other)
    before = (other / "checkpoint.safetensors").read_bytes()
    result = run("hello-export", hello_run, "--output", other)
    assert_one_line_error(result, "it holds 'checkpoint.safetensors' and is no artifact")
    assert (other / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize("content", ["precious", "{}", '{"name": "a web app"}', "[" * 100_000])
def test_a_manifest_of_something_else_is_not_deleted(
    run: Run, hello_run: Path, tmp_path: Path, content: str
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/manifest.json").write_text(content)
    result = run("hello-export", hello_run, "--output", "app")
    assert_one_line_error(result, "it holds 'manifest.json' and is no artifact")
    assert (tmp_path / "app/manifest.json").read_text() == content


STRAY_FILES = [".DS_Store", "._model.onnx", "Thumbs.db", "desktop.ini", "manifest.json~", ".x.swp"]


def test_files_of_desktops_and_editors_are_kept(hello_run: Path, short_proof: None) -> None:
    network, training = load_checkpoint(hello_run)
    folder = hello_run / "artifact"
    folder.mkdir()
    for name in STRAY_FILES:
        (folder / name).write_text(f"mine: {name}")
    for _ in range(2):  # into a folder that is empty but for them, and over an artifact
        artifact.write_artifact(ExportJob(network, training, folder))
        assert names(folder) == sorted([*FILES, *STRAY_FILES])
    assert [(folder / name).read_text() for name in STRAY_FILES] == [
        f"mine: {x}" for x in STRAY_FILES
    ]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_a_folder_with_other_files_is_not_replaced(
    hello_run: Path, short_proof: None, kind: str, tmp_path: Path
) -> None:
    network, training = load_checkpoint(hello_run)
    folder = hello_run / "artifact"
    artifact.write_artifact(ExportJob(network, training, folder))
    if kind == "file":
        name = "notes.txt"
        (folder / name).touch()
    elif kind == "folder":
        name = "Thumbs.db"
        (folder / name).mkdir()
    elif kind == "link":
        name = ".DS_Store"
        (folder / name).symlink_to(tmp_path)
    else:
        name = "model.pt"
        (folder / name).unlink()
        os.mkfifo(folder / name)
    before = names(folder)
    with pytest.raises(ArtifactError, match=f"it holds '{name}' and is no artifact"):
        artifact.write_artifact(ExportJob(network, training, folder))
    assert names(folder) == before


@pytest.mark.parametrize("name", ["manifest.json", "baseline.json"])
def test_a_pipe_is_not_waited_for(hello_run: Path, name: str) -> None:
    """Neither a manifest in the folder to write, nor the run's baseline."""
    network, training = load_checkpoint(hello_run)
    folder = hello_run / "artifact"
    folder.mkdir()
    os.mkfifo(folder / name)
    with pytest.raises(ArtifactError, match=name):
        artifact.write_artifact(
            ExportJob(network, training, folder, baseline=folder / "baseline.json")
        )


@pytest.mark.parametrize("named", [".", "checkpoint.safetensors"])
def test_an_artifact_is_exported_again_in_place(
    hello_run: Path, short_proof: None, named: str
) -> None:
    network, training = load_checkpoint(hello_run)
    folder = hello_run / "artifact"
    artifact.write_artifact(ExportJob(network, training, folder, "int8"))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "model.pt").write_bytes(b"damaged")
    result = CliRunner().invoke(cli.main, [str(folder / named)])
    assert (result.exit_code, names(folder)) == (0, FILES), result.stderr
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert f"saved {folder};" in result.stdout
    assert names(hello_run) == ["artifact", "checkpoint.safetensors"]
    result = CliRunner().invoke(cli.main, [str(folder), "--weights", "float16"])
    assert json.loads((folder / "manifest.json").read_text())["weights"] == "float16"


WITHOUT_A_GUARD = """
import sys
from pathlib import Path
from hello_export.artifact import write_artifact
from hello_export.job import ExportJob
from hello_export.proof import installed
from hello_export.proof.engines import OnnxRuntime
from hello_train.network.checkpoint import load_checkpoint

print("once")
installed.ENGINES = (OnnxRuntime,)
write_artifact(ExportJob(*load_checkpoint(Path(sys.argv[1])), Path(sys.argv[2])))
"""


def test_a_script_needs_no_guard(hello_run: Path, tmp_path: Path) -> None:
    """The processes of the engines do not run the script again."""
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_A_GUARD)
    current = tmp_path / "current"
    current.mkdir()
    (current / "numpy.py").write_text("raise SystemExit('nobody asked to import from here')")
    result = subprocess.run(
        [sys.executable, script, hello_run, "made"],
        cwd=current, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, "once\n", "")
    assert names(current / "made") == FILES


def test_a_folder_named_as_a_file_of_ours_is_not_deleted(
    run: Run, hello_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "place/model.onnx").mkdir(parents=True)
    result = run("hello-export", hello_run, "--output", "place")
    assert_one_line_error(result, "it holds 'model.onnx' and is no artifact")


def test_a_full_disk_is_one_line(hello_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    result = CliRunner().invoke(cli.main, [str(hello_run)])
    assert result.exit_code == 1
    assert result.stderr.endswith("artifact: No space left on device\n")
    assert names(hello_run) == ["checkpoint.safetensors"]


def test_a_full_standard_output_is_one_line(
    servers: Callable[[str], CommandServer], hello_run: Path
) -> None:
    result = servers("hello-export").run(
        [str(hello_run)], hello_run, environment=SHORT_PROOF, output="/dev/full"
    )
    assert result.returncode == 1
    assert result.stderr.endswith(b"Error: the standard output: No space left on device\n")


def test_an_example_may_look_like_an_option(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dash.tsv").write_text("-a\t-b\n")
    options = ("--holdout", 0, "--epochs", 1, "--hidden-size", 3)
    assert run("hello-train", "--pairs", "dash.tsv", *options).returncode == 0
    result = run("hello-export", "runs/dash-gru", **SHORT_PROOF)
    command, *arguments = shlex.split(result.stdout.splitlines()[-1])
    assert run(command, *arguments).returncode == 0


def test_wrong_usage_is_exit_code_2(run: Run) -> None:
    result = run("hello-export", "runs/x", "--cell", "gru")
    assert result.returncode == 2
    assert "RUN and --cell exclude each other" in result.stderr


@pytest.mark.parametrize("arguments", [["--cell", "gru"], ["--verify", "artifact"]])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TypeError("no descriptors\nmore"), BROKEN.format("no descriptors")),
        (OSError("libtorch_cpu.so: cannot open"), BROKEN.format("libtorch_cpu.so: cannot open")),
        (ModuleNotFoundError(name="onnx"), "needs onnx, which is not installed; run: pip install"),
        (MemoryError(), "there is not enough memory"),
    ],
)
def test_a_broken_library_is_named_whatever_it_raises(
    arguments: list[str], error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: what onnx raises beside another protobuf, and PyTorch without its libraries."""

    @contextmanager
    def importing() -> Iterator[None]:
        raise error
        yield

    monkeypatch.setattr(cli, "importing", importing)
    (line,) = errors_of(CliRunner().invoke(cli.main, arguments).stderr)
    assert line.removeprefix("Error: ").removeprefix("hello-export ").startswith(message)
