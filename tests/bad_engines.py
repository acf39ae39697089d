"""Engines that fail, crash, hang or differ, each as a target and as a witness.

The processes of the proof import this module, so it imports no torch.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from hello_export.proof.cases import Case
from hello_export.proof.engines import Engine, OnnxRuntime, Outputs
from hello_train.network.config import ModelConfig


class Failing(OnnxRuntime):
    """An engine that raises."""

    name = "failing"

    def run(self, case: Case) -> Outputs:
        raise MemoryError("out of order\nsecond line")


class Speechless(OnnxRuntime):
    """An engine that raises EOFError, as reading from a dead process does, without a text."""

    name = "speechless"

    def run(self, case: Case) -> Outputs:
        raise EOFError


class Verbose(OnnxRuntime):
    """An engine that prints, and whose error begins with empty lines."""

    name = "verbose"

    def run(self, case: Case) -> Outputs:
        print("here I am", flush=True)
        raise RuntimeError("\n\n   out of order\n")


class Crashing(OnnxRuntime):
    """An engine that crashes its process at the third case, as native code may."""

    name = "crashing"
    left = 2

    def run(self, case: Case) -> Outputs:
        if not self.left:
            os.kill(os.getpid(), signal.SIGSEGV)
        self.left -= 1
        return super().run(case)


class CrashingAtOnce(OnnxRuntime):
    """An engine that crashes its process when it opens a file."""

    name = "crashing at once"

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        os.abort()


class NeverOpen(OnnxRuntime):
    """An engine that never finishes opening its file."""

    name = "never open"

    def check_declaration(self) -> None:
        time.sleep(1000)


class Inexact(OnnxRuntime):
    """An engine whose logits are slightly off."""

    name = "inexact"

    def run(self, case: Case) -> Outputs:
        found = super().run(case)
        return {**found, "logits": found["logits"] + np.float32(3e-4)}


class Otherwise(OnnxRuntime):
    """An engine that decodes another text."""

    name = "otherwise"

    def run(self, case: Case) -> Outputs:
        found = super().run(case)
        return {**found, "decoded": found["decoded"] + np.int32(1)}


class NotANumber(OnnxRuntime):
    """An engine whose logits are NaN."""

    name = "not a number"

    def run(self, case: Case) -> Outputs:
        found = super().run(case)
        return {**found, "logits": found["logits"] * np.float32(np.nan)}


class FailingWitness(Failing):
    role = "witness"


class SpeechlessWitness(Speechless):
    role = "witness"


class VerboseWitness(Verbose):
    role = "witness"


class CrashingWitness(Crashing):
    role = "witness"


class CrashingAtOnceWitness(CrashingAtOnce):
    role = "witness"


class NeverOpenWitness(NeverOpen):
    role = "witness"


class InexactWitness(Inexact):
    role = "witness"


class OtherwiseWitness(Otherwise):
    role = "witness"


class NotANumberWitness(NotANumber):
    role = "witness"


class Hanging(OnnxRuntime):
    """An engine that signals that it is working, and never answers."""

    name = "hanging"

    def run(self, case: Case) -> Outputs:
        Path(os.environ["AT_WORK"]).touch()
        time.sleep(1000)
        raise AssertionError


TARGETS: tuple[type[Engine], ...] = (
    Failing, Speechless, Verbose, Crashing, CrashingAtOnce, Inexact, Otherwise, NotANumber
)  # fmt: skip
WITNESSES: tuple[type[Engine], ...] = (
    FailingWitness, SpeechlessWitness, VerboseWitness, CrashingWitness, CrashingAtOnceWitness,
    InexactWitness, OtherwiseWitness, NotANumberWitness,
)  # fmt: skip
MESSAGES = {
    "failing": r"failing fails on batch 1, length 1: out of order",
    "speechless": r"speechless fails on batch 1, length 1: EOFError",
    "verbose": r"verbose fails on batch 1, length 1: out of order",
    "crashing": r"crashing fails on batch 1, length 7: it crashed \(SIGSEGV\)",
    "crashing at once": r"crashing at once does not open its file: it crashed \(SIGABRT\)",
    "inexact": r"inexact differs from PyTorch in logits by up to 0\.0003 \(allowed: 1e-05\) for "
    r"'.*\)",
    "otherwise": r"otherwise differs from PyTorch in decoded, in \d+ of \d+ characters, for .*\)",
    "not a number": r"not a number differs from PyTorch in logits by up to inf \(allowed: 1e-05\) "
    r"for '.*\)",
}
"""What names the fault of each, as a pattern."""


class CrashingOnImport(OnnxRuntime):
    """An engine whose library crashes the process that imports it."""

    name, library = "crashing on import", "crashing_library"


class EndlessImport(OnnxRuntime):
    """An engine whose library is still being imported."""

    name = "endless import"
    library = "endless_library"


class NotImported(OnnxRuntime):
    """An engine whose library is not there."""

    name, library = "not imported", "no_such_library"
