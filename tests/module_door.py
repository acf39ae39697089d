"""What the tests of modules share: the alphabets, a short proof, and what is refused."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import hello_export
import pytest
import torch
from hello_export.errors import IntakeError
from hello_export.intake import module as door
from hello_export.intake.forward import Call
from hello_export.proof.cases import readable_cases
from hello_runtime import Decoder
from helpers import shorten_proof
from torch import nn

ALPHABET, LABELS = "abcdef", "wxyz"


def shorten_module_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove on a few cases and one engine, in this process."""
    shorten_proof(monkeypatch.setattr)
    monkeypatch.setattr(door, "readable_cases", lambda config: islice(readable_cases(config), 4))


def export(module: nn.Module, folder: Path, **more: Any) -> Decoder:
    """Export a module with the alphabets of these tests, and open the artifact."""
    given = {"alphabet": ALPHABET, "labels": LABELS, "quiet": True, **more}
    made = hello_export.export(module, folder / "artifact", **given)
    made.report.check()
    assert all(verdict.cases for verdict in made.report.verdicts if not verdict.not_compared)
    return Decoder.open(folder / "artifact")


def decoded(module: nn.Module, call: Call, text: str) -> str:
    """Return what a module says of a text, by plain PyTorch."""
    ids = torch.tensor([[ALPHABET.index(char) for char in text]])
    with torch.no_grad():
        return "".join(LABELS[label] for label in call(module, ids)[0].argmax(-1).tolist())


def refused(module: nn.Module, folder: Path, kind: type[IntakeError], **more: Any) -> str:
    """Return the error that refuses a module, once nothing was written."""
    with pytest.raises(kind) as caught:
        export(module, folder, **more)
    assert not any(folder.iterdir())
    said = str(caught.value)
    assert said.startswith(f"{type(module).__name__}: ")
    assert "--" not in said
    assert "\n" not in said
    return said
