"""Engines with a planted fault, for `benchmarks/engines/worker.py`, which imports this module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from engines.adapters import ADAPTERS
from engines.trial import Arrays, Run


def open_wrong(file: Path, arrays: Arrays) -> Run:
    """Open it; the engine takes no state, without an error."""
    run = ADAPTERS["onnxruntime"](file, arrays)
    return lambda feeds: run({**feeds, "state": 0 * feeds["state"]})


def open_other_text(file: Path, arrays: Arrays) -> Run:
    """Open it; the engine writes other characters, whose numbers are right."""
    run = ADAPTERS["onnxruntime"](file, arrays)

    def changed(feeds: Arrays) -> Arrays:
        outputs = run(feeds)
        return {**outputs, "decoded": outputs["decoded"] + 1}

    return changed


def open_crashing(file: Path, arrays: Arrays) -> Run:
    """Open it; the engine ends the process at a long line, and when it opens an LSTM."""
    if "lstm" in file.name:
        os._exit(3)
    run = ADAPTERS["onnxruntime"](file, arrays)

    def crash(feeds: Arrays) -> Arrays:
        if feeds["codepoints"].shape[1] > 9:
            os.kill(os.getpid(), signal.SIGSEGV)
        return run(feeds)

    return crash


def open_hanging(file: Path, arrays: Arrays) -> Run:
    """Open it; the engine never answers."""

    def hang(feeds: Arrays) -> Arrays:
        while feeds:
            time.sleep(1)
        return feeds

    return hang


def open_failing(file: Path, arrays: Arrays) -> Run:
    """Open it; the engine refuses more than one line, and prints."""
    run = ADAPTERS["onnxruntime"](file, arrays)

    def fail(feeds: Arrays) -> Arrays:
        print('{"file": "none"}', flush=True)
        if len(feeds["codepoints"]) > 1:
            raise MemoryError("more than\none line")
        return run(feeds)

    return fail
