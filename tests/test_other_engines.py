"""The table of other engines tells what is right from what is not, and outlives what crashes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hello_export.proof.javascript import node_version

sys.path.insert(0, str(Path(__file__).with_name("benchmarks")))

import other_engines
from engines.artifacts import Kind, kinds, write_artifacts, write_empty
from engines.environments import ENGINES, Engine, NotInstalledError, environment
from engines.outcomes import Steps, judge, reason, try_engine

GRU, LSTM = Kind("gru", "tanh", 1, 1), Kind("lstm", "tanh", 2, 1, "int8")
RELU, EDITS = Kind("rnn", "relu", 2, 1), Kind("gru", "tanh", 1, 1, edits=True)
CHOSEN = [GRU, LSTM, RELU, EDITS]
HERE = [engine for engine in ENGINES if not engine.pinned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    write_artifacts(folder, CHOSEN)
    write_empty(folder)
    return folder


def try_planted(name: str, folder: Path, *chosen: Kind, patience: float = 180) -> list[Steps]:
    adapter = f"{Path(__file__).with_name('planted_engines.py')}:open_{name}"
    files = [folder / f"{kind.name}.onnx" for kind in chosen]
    found = try_engine(sys.executable, adapter, files, folder, patience)
    return [found[kind.name] for kind in chosen]


def test_there_are_25_artifacts_of_every_kind() -> None:
    assert len({kind.name for kind in kinds()}) == 25
    for axis, count in enumerate((4, 2, 2, 3, 2)):
        assert len({kind.traits[axis] for kind in kinds()}) == count


def test_the_engines_of_this_environment(folder: Path) -> None:
    engines = [engine for engine in HERE if engine.adapter != "module" or node_version()]
    results = other_engines.try_all(engines, CHOSEN, None, folder)
    verdicts = {
        each.engine.name: [judge(each.files[kind.name]) for kind in CHOSEN] for each in results
    }
    right = ["right"] * 4
    assert verdicts.pop("onnxruntime") == right
    assert verdicts.pop("OpenVINO") == right
    assert verdicts.pop("onnx's evaluator") == ["right", "right", "refused", "right"]
    assert verdicts.pop("tract") == ["right", "right", "wrong", "right"]
    assert list(verdicts.values()) in ([right], [])  # our module, where Node is
    lines = other_engines.table(results, CHOSEN)
    (tract,) = (line for line in lines if line.startswith("| tract "))
    assert "| 1: relu |" in tract
    assert results[0].empty == "ends the process (SIGABRT)"
    assert other_engines.largest_difference(results) < 1e-5


@pytest.mark.parametrize("name", ["wrong", "other_text"])
def test_a_wrong_engine_is_told(name: str, folder: Path) -> None:
    (steps,) = try_planted(name, folder, GRU)
    assert judge(steps) == "wrong"
    assert "differ" in reason(steps)
    assert steps["open"] == {}


def test_a_crash_is_an_outcome_and_the_next_file_is_tried(folder: Path) -> None:
    gru, lstm, relu = try_planted("crashing", folder, GRU, LSTM, RELU)
    assert [judge(each) for each in (gru, lstm, relu)] == ["ends"] * 3
    assert reason(gru) == "a long line: SIGSEGV"
    assert "difference" in gru["a line"]
    assert reason(lstm) == "open: exit code 3"
    assert reason(relu) == "a long line: SIGSEGV"


def test_an_error_is_an_outcome_of_its_case(folder: Path) -> None:
    (steps,) = try_planted("failing", folder, GRU)
    assert judge(steps) == "fails"
    assert reason(steps) == "equal lines: MemoryError: more than one line"
    assert "difference" in steps["a long line"]


@pytest.mark.long
def test_a_hang_is_an_outcome(folder: Path) -> None:
    (steps,) = try_planted("hanging", folder, GRU, patience=30)
    assert judge(steps) == "ends"
    assert reason(steps) == "a character: no answer in 30 s"


def test_an_engine_that_is_not_there(folder: Path) -> None:
    engine = Engine("none", "onnxruntime", ("no-such-engine",))
    with pytest.raises(NotInstalledError, match="no-such-engine"):
        environment(engine, None)
    results = other_engines.try_all([engine], CHOSEN, None, folder)
    assert "| none |  | not tried |" in other_engines.table(results, CHOSEN)[-1]
    assert "no-such-engine" in other_engines.reasons(results[0])[0]


def test_an_engine_that_does_not_start(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'none'"):
        try_engine(sys.executable, "none", [folder / f"{GRU.name}.onnx"], folder)


def test_what_some_artifacts_have_in_common() -> None:
    def named(*words: str) -> str:
        some = {kind.name for kind in kinds() if set(words) & set(kind.traits)}
        return other_engines.which(some, kinds())

    assert named("relu") == "relu"
    assert named("rnn", "relu") == "rnn, relu"
    assert named("int8") == "int8"
    assert named("relu", "edits") == "relu; edits"
    all_of_them = {kind.name for kind in kinds()}
    assert other_engines.which(all_of_them, kinds()) == ""
    assert other_engines.which({GRU.name}, kinds()) == "gru causal one layer float32 characters"
    assert other_engines.which({GRU.name, LSTM.name}, kinds()) == (
        "gru causal one layer float32 characters; lstm bidirectional int8"
    )
