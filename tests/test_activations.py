"""The error of each engine's tanh and sigmoid is what the tolerance assumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hello_export.proof.engines import Engine, OnnxRuntime, Tract
from hello_export.proof.runtime_engine import Runtime
from hello_export.proof.verdict import ACTIVATION_FACTOR
from helpers import ENGINES

POINTS = 1000
FLOAT32 = 2.0**-23
"""Error of a good float32 function, for an engine that names none: its spacing at 1."""
SEEN = [engine for engine in ENGINES if engine is not Runtime]
"""Those that give a state; the runtime's engine is onnxruntime."""


def test_no_engine_is_less_exact_than_the_tolerance_assumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("benchmarks")))
    import activations

    points = activations.grid(POINTS)
    found: dict[type[Engine], float] = {}
    for engine in SEEN:
        found[engine] = max(error for error, _ in activations.errors(points, engine).values())
        known = max(engine.activation_error, FLOAT32)
        assert 0 < found[engine] <= ACTIVATION_FACTOR * known, engine.name
    # tract would be found if it named no error.
    assert found[Tract] > ACTIVATION_FACTOR * FLOAT32
    assert Runtime.activation_error == OnnxRuntime.activation_error
