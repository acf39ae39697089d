"""Each command says what it was given in place of what it wants, and what to do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hello_export.artifact import write_artifact
from hello_export.cli import main as hello_export
from hello_export.job import ExportJob
from hello_export.manifest import MANIFEST_NAME
from hello_export.package.project import RECORD_NAME, write_package
from hello_runtime.cli import main as hello_infer
from hello_runtime.model.kinds import ARTIFACT, FOLDERS, PROJECT, RUN, kind_of
from hello_train.cli import main as hello_train
from hello_train.files import CHECKPOINT_NAME
from hello_train.network.checkpoint import save_checkpoint
from helpers import TRAINING, make_network, shorten_proof

COMMANDS = {
    "hello-export": (hello_export, ["PATH", "--output", "new"]),
    "hello-export --alphabet": (hello_export, ["PATH", "--alphabet", "ab", "--output", "new"]),
    "hello-export --verify": (hello_export, ["--verify", "PATH"]),
    "hello-infer --model": (hello_infer, ["--model", "PATH", "ab"]),
    "hello-infer --input": (hello_infer, ["--input", "PATH"]),
    "hello-train --output": (hello_train, ["--epochs", "1", "--output", "PATH"]),
    "hello-train --pairs": (hello_train, ["--pairs", "PATH", "--output", "new"]),
}
NO_TEXT = "is not UTF-8; if it is text, convert it first"
TAKES = "name a run or a checkpoint, or, with --alphabet, a file with the weights"
NO_CHECKPOINT = "it is no checkpoint of hello-train"
CASES = [
    (
        "hello-export",
        "project",
        f"project: it is {PROJECT}, and has no checkpoint; name the run or",
    ),
    ("hello-export", "a.whl", f"a.whl: {NO_CHECKPOINT}, but a wheel; {TAKES}"),
    ("hello-export", "text.txt", f"text.txt: {NO_CHECKPOINT}, but a text file; {TAKES}"),
    ("hello-export", "artifact/manifest.json", f"but a text file; {TAKES}"),
    ("hello-export", "alone.onnx", f"but an ONNX model; {TAKES}"),
    ("hello-export", "artifact/model.onnx", "it was made of artifact/checkpoint.safetensors"),
    ("hello-export --alphabet", "project", "--alphabet belongs to a file of weights, and project"),
    ("hello-export --alphabet", "artifact/model.pt", "it is the program of an artifact of hello-"),
    ("hello-export --alphabet", "/dev/null", "belongs to a file of weights, and /dev/null is no"),
    ("hello-export --verify", "run", f"run: it is {RUN}; name its artifact, run/artifact"),
    (
        "hello-export --verify",
        "bare",
        f"it is {RUN}, and no artifact was made of it; run: hello-ex",
    ),
    ("hello-export --verify", "project", "its test compares what the model says: pytest project"),
    ("hello-export --verify", "project/src/polish", "no manifest there; --verify needs the whole"),
    (
        "hello-export --verify",
        "a.whl",
        "it is a wheel, and an artifact's model is model.onnx; name",
    ),
    ("hello-infer --model", "run", f"run: it is {RUN}; its model is run/artifact/model.onnx"),
    ("hello-infer --model", "bare", "and no model was made of it; run: hello-export bare"),
    ("hello-infer --model", "project", f"{PROJECT}; its model is project/src/polish/model.onnx"),
    ("hello-infer --model", "a.whl", "it is no ONNX model, but a wheel; name an artifact of"),
    ("hello-infer --model", "text.txt", "it is no ONNX model, but a text file; name an artifact"),
    (
        "hello-infer --model",
        "artifact/model.pt",
        "but a zip archive, as PyTorch writes them; name",
    ),
    ("hello-infer --model", "artifact/checkpoint.safetensors", "but a file of safetensors; name"),
    ("hello-infer --model", "arrays.npz", "it is no ONNX model, but a file of numpy arrays; name"),
    ("hello-infer --model", "bank.txt", "it is no ONNX model, but a text file; name an artifact"),
    ("hello-infer --model", "mark.txt", "it is no ONNX model, but a text file; name an artifact"),
    ("hello-infer --input", "a.whl", NO_TEXT),
    ("hello-infer --input", "artifact/model.onnx", NO_TEXT),
    ("hello-train --pairs", "artifact/model.pt", NO_TEXT),
    ("hello-train --output", "artifact", f"artifact is {ARTIFACT}; name another folder with --out"),
    ("hello-train --output", "project", f"project is {PROJECT}; name another folder with --output"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one path of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    network = make_network()
    with pytest.MonkeyPatch.context() as patch:
        shorten_proof(patch.setattr)
        write_artifact(ExportJob(network, TRAINING, folder / "artifact"))
        write_package("polish", ExportJob(network, TRAINING, folder / "project"))
    for name in ("run", "bare"):
        save_checkpoint(folder / name, network, TRAINING)
    model = (folder / "artifact/model.onnx").read_bytes()
    (folder / "run/artifact").mkdir()
    (folder / "run/artifact/model.onnx").write_bytes(model)
    (folder / "alone.onnx").write_bytes(model)
    (folder / "other").mkdir()
    (folder / "other/manifest.json").write_text("{}", encoding="utf-8")  # a web page's
    (folder / "text.txt").write_text("ab\n" * 40, encoding="utf-8")
    (folder / "bank.txt").write_text("PKO BP\n", encoding="utf-8")  # begins as ZIP does
    (folder / "mark.txt").write_text("ab\n", encoding="utf-8-sig")
    np.savez(folder / "arrays.npz", weight=np.zeros(3))
    with zipfile.ZipFile(folder / "a.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("polish/model.onnx", model)
    return folder


@pytest.mark.parametrize(("command", "path", "message"), CASES)
def test_what_was_given_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, path: str, message: str
) -> None:
    monkeypatch.chdir(home)
    before = sorted(home.rglob("*"))
    main, words = COMMANDS[command]
    result = CliRunner().invoke(main, [path if word == "PATH" else word for word in words])
    assert result.exit_code == (2 if "belongs to" in message else 1), result.output
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    assert sorted(home.rglob("*")) == before


def test_the_names_that_tell_folders_are_those_that_are_written(home: Path) -> None:
    assert [*FOLDERS] == [(RECORD_NAME,), (CHECKPOINT_NAME, MANIFEST_NAME), (CHECKPOINT_NAME,)]
    kinds = {
        name: kind_of(home / name)
        for name in ("project", "artifact", "run", "bare", "other", "none")
    }
    assert kinds == {
        "project": PROJECT, "artifact": ARTIFACT, "run": RUN, "bare": RUN, "other": None,
        "none": None,
    }  # fmt: skip
