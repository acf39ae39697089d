"""Unicode's word segmenters are exported with every engine, and say what they say elsewhere."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from hello_export.proof.cases import grid_cases
from hello_export.proof.prove import prove
from hello_runtime import Decoder
from hello_train.network.checkpoint import load_checkpoint
from helpers import Run
from segmenters import LABELS, SEGMENTERS, read_expected, read_model, state_dict
from torch import nn

ENGINES = {"onnxruntime", "TorchScript", "hello-infer", "onnx evaluator", "OpenVINO", "tract"}


def plain_labels(model: dict[str, Any], text: str) -> str:
    """Return what plain PyTorch says of a text; unknown characters are read as the last row."""
    weights = state_dict(model)
    lstm = nn.LSTM(40, 27, batch_first=True, bidirectional=True)
    prefix = "lstm."
    lstm.load_state_dict(
        {key.removeprefix(prefix): value for key, value in weights.items() if prefix in key}
    )
    ids = [model["dic"].get(char, len(model["dic"])) for char in text]
    with torch.inference_mode():
        hidden, _ = lstm(weights["embedding.weight"][ids][None])
        logits = hidden[0] @ weights["linear.weight"].T + weights["linear.bias"]
    return "".join(LABELS[label] for label in logits.argmax(-1).tolist())


def export(name: str, run: Run, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Export a segmenter to a folder of its name, on an unchanged command line but for options."""
    model = read_model(name)
    torch.save(state_dict(model), folder / f"{name}.pt")
    (folder / "alphabet.json").write_text(json.dumps(model["dic"]))
    given = [f"{name}.pt", "--alphabet", "alphabet.json", "--labels", LABELS, *options]
    result = run("hello-export", *given)
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_segmenter_is_exported_and_labels_as_elsewhere(
    name: str, run: Run, tmp_path: Path
) -> None:
    result = export(name, run, tmp_path)
    assert "do not run this model there" not in result.stderr
    manifest = json.loads((tmp_path / name / "manifest.json").read_text(encoding="utf-8"))
    rows = {row["engine"]: row for row in manifest["parity"]["engines"]}
    for engine in ENGINES:
        row = rows[engine]
        assert not {"fault", "not_compared"} & row.keys()
        assert row["cases"] > 10
    expected = read_expected(name)
    assert len(expected) > 10
    lines = "".join(f"{text}\n" for text, _ in expected)
    decoded = run("hello-infer", "--model", name, stdin=lines)
    assert decoded.returncode == 0, decoded.stderr
    assert decoded.stdout.splitlines() == [labels for _, labels in expected]


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_segmenter_is_within_the_tolerance_by_a_margin(
    name: str, run: Run, tmp_path: Path
) -> None:
    """For others of the family, other text and other machines; unknown characters are labelled."""
    export(name, run, tmp_path, "--strict")
    network, _ = load_checkpoint(tmp_path / name)
    report = prove(network, tmp_path / name, grid_cases(network.config, seed=3))
    found = {
        (verdict.engine, tensor): difference.size / difference.allowed(verdict.share[tensor])
        for verdict in report.verdicts
        for tensor, difference in verdict.beyond_tolerance.items()
    }
    assert ("tract", "logits") in found
    assert max(found.values()) < 0.6, found

    model = read_model(name)
    decoder = Decoder.open(tmp_path / name)
    for text, labels in read_expected(name):
        assert plain_labels(model, text) == labels
        strange = f"{text[:3]}x😀 {text[3:]}\u0301!"
        assert decoder.decode(strange) == plain_labels(model, strange)
