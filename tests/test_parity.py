"""Networks of every shape agree with PyTorch on every engine, and each check finds its fault."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.storage import Storage
from hello_export.graph.torchscript import save_program
from hello_export.proof import parity
from hello_export.proof.c_engine import CSource
from hello_export.proof.cases import Case, grid_cases
from hello_export.proof.condition import Condition, Expected
from hello_export.proof.engines import Array, Engine, OnnxRuntime, Outputs
from hello_export.proof.javascript import JavaScript
from hello_export.proof.reference import Reference
from hello_export.proof.runtime_engine import Runtime
from hello_export.proof.table import proof_table
from hello_export.proof.verdict import (
    NUMBERS,
    ROUNDING_FACTOR,
    TOLERANCE,
    Difference,
    Report,
    Verdict,
)
from hello_runtime.errors import ModelFileError
from hello_runtime.model.model_file import Unknown
from hello_train.network.model import Network
from helpers import (
    ENGINES,
    KINDS,
    LABELS,
    TRAINING,
    left_out,
    make_network,
    quick_cases,
    short_cases,
)

SHAPES = list(itertools.product(KINDS, (False, True), (1, 2, 3)))
UNKNOWN: tuple[Unknown, ...] = ("error", "copy", "label")
POLICIES = list(itertools.product((False, True), ("error", "copy"), (False, True)))
LABELLING = list(itertools.product((False, True), ("label",), (False, True)))
"""The policies: projection, unknown characters, guard."""
EDITS = [labels for labels in LABELS if labels != "characters"]
"""The labels that files of format 1 cannot hold."""


def grid() -> Iterator[Any]:
    """Yield every shape with every policy, and whether it is compared on all cases.

    One policy of each shape, in turn, is always compared; of shapes of one or three layers also the
    one that differs from it in every point, and of those of one layer also one that labels unknown
    characters. All cases are always run in one direction of each cell. `pytest --long` runs the
    others.
    """
    for place, (kind, bidirectional, layers) in enumerate(SHAPES):
        one = place % len(POLICIES)
        always = {one}
        if layers != 2:
            always.add(len(POLICIES) - 1 - one)
        if layers == 1:
            always.add(len(POLICIES) + (place // 3) % len(LABELLING))
        whole = layers == 1 and bidirectional == KINDS.index(kind) % 2
        for number, policy in enumerate(POLICIES + LABELLING):
            name = f"{kind[0]}-{kind[1]}-{'two' if bidirectional else 'one'}-{layers}-{number}"
            shape = kind, bidirectional, layers, policy
            if number == one:
                yield param(*shape, True, id=f"{name}-whole", long=not whole)
            if number != one or not whole:
                yield param(*shape, False, id=name, long=number not in always)


def param(*values: Any, id: str, long: bool) -> Any:
    return pytest.param(*values, id=id, marks=[pytest.mark.long] * long)


GRID = list(grid())

SLOW = {"JavaScript": 3_000, "emx-onnx-cgen": 3_000, "onnx evaluator": 17_000, "tract": 17_000}
"""The engines that get no large cases, and about how many characters of the grid they get."""
LEAST = {"JavaScript": 1_000, "emx-onnx-cgen": 1_000}
"""About how many characters of the quick cases the slowest ones get."""

RELU_IS_BEYOND = {
    "onnx evaluator": "Unknown activation function 'Relu'",
    "tract": "tract differs from PyTorch in logits by up to",
}
"""The engines that cannot run an RNN with relu, and the error that follows; `limit` says why."""


def write(network: Network, folder: Path, storage: Storage = "float32") -> None:
    onnx.save(build_model(network, TRAINING, storage), folder / "model.onnx")
    save_program(network, folder / "model.pt")


def opened(network: Network, folder: Path) -> list[Engine]:
    """Write a network's files and open them in this process, on every engine that can run it."""
    write(network, folder)
    return [
        engine(network.config, folder) for engine in ENGINES if not engine.limit(network.config)
    ]


def onnxruntime_of(network: Network, folder: Path) -> OnnxRuntime:
    write(network, folder)
    return OnnxRuntime(network.config, folder)


def check(network: Network, engines: Sequence[Engine], cases: Iterable[Case] = ()) -> Report:
    report = parity.compare(network, engines, cases or short_cases(network.config), strict=True)
    report.check()
    return report


@pytest.mark.parametrize(("kind", "bidirectional", "layers", "policy", "whole"), GRID)
def test_the_grid_agrees_on_every_engine_that_runs_it(
    kind: tuple[str, str],
    bidirectional: bool,
    layers: int,
    policy: tuple[bool, Unknown, bool],
    whole: bool,
    tmp_path: Path,
) -> None:
    projection, unknown, guarded = policy
    network = make_network(
        *kind,
        layers=layers,
        bidirectional=bidirectional,
        projection=projection,
        unknown=unknown,
        guarded=guarded,
    )
    cases = list(grid_cases(network.config)) if whole else quick_cases(network.config)
    report = check(network, opened(network, tmp_path), cases)
    assert len(cases) == (20 if bidirectional else 23) - (0 if whole else 5)
    assert {verdict.engine: verdict.cases for verdict in report.verdicts} == {
        engine.name: sum(case.characters <= engine.largest_case for case in cases)
        for engine in ENGINES
        if engine.name not in left_out(network.config)
    }
    assert {verdict.text_differences + verdict.ties for verdict in report.verdicts} == {0}
    for verdict in report.verdicts:
        least = SLOW if whole else LEAST
        assert verdict.characters > least.get(verdict.engine, 50_000 if whole else 9_000)
    assert max(max(verdict.max_difference.values()) for verdict in report.verdicts) <= TOLERANCE


def edit_grid() -> Iterator[Any]:
    """Yield every cell and direction with labels of every width; one width of each by default."""
    for place, (kind, bidirectional) in enumerate(itertools.product(KINDS, (False, True))):
        for number, labels in enumerate(EDITS):
            unknown = UNKNOWN[(place + number) % 3]
            name = f"{kind[0]}-{kind[1]}-{'two' if bidirectional else 'one'}-{labels}-{unknown}"
            yield param(
                kind, bidirectional, labels, unknown, id=name, long=number != place % len(EDITS)
            )


@pytest.mark.parametrize(("kind", "bidirectional", "labels", "unknown"), list(edit_grid()))
def test_edits_agree_on_every_engine(
    kind: tuple[str, str], bidirectional: bool, labels: str, unknown: Unknown, tmp_path: Path
) -> None:
    network = make_network(
        *kind,
        bidirectional=bidirectional,
        projection=labels != "one",
        unknown=unknown,
        guarded=labels != "width 1",
        labels=labels,
    )
    assert network.config.width == {"one": None, "width 1": 1, "width 2": 2, "width 5": 5}[labels]
    report = check(network, opened(network, tmp_path), quick_cases(network.config))
    assert {verdict.text_differences + verdict.ties for verdict in report.verdicts} == {0}
    for verdict in report.verdicts:
        assert verdict.characters > LEAST.get(verdict.engine, 9_000)


def test_the_grid_is_whole() -> None:
    """All of it by `pytest --long`; always every shape, and each value of a policy with it."""
    rows = [(row.values, bool(row.marks)) for row in GRID]
    shapes = {(kind, two, layers, policy) for (kind, two, layers, policy, _), _ in rows}
    assert len(shapes) == 4 * 2 * 3 * 2 * 3 * 2
    assert sum(whole for (*_, whole), _ in rows) == len(SHAPES) == 4 * 2 * 3
    assert sum(whole for (*_, whole), long in rows if not long) == len(KINDS)
    for shape in SHAPES:
        policies = [policy for (*of, policy, _), long in rows if tuple(of) == shape and not long]
        assert [unknown for _, unknown, _ in policies[2:]] == ["label"] * (shape[2] == 1)
        assert len(policies) == {1: 3, 2: 1, 3: 2}[shape[2]]
        assert shape[2] == 2 or all(one != other for one, other in zip(*policies[:2], strict=True))
    assert [engine.name for engine in ENGINES] == [
        "TorchScript",
        "onnxruntime",
        "hello-infer",
        *["JavaScript"] * (not JavaScript.missing()),
        "onnx evaluator",
        "OpenVINO",
        "tract",
        *["emx-onnx-cgen"] * (not CSource.missing()),
    ]
    assert all(engine.installed_version() for engine in ENGINES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_engine_fails_on_each_network_that_its_limit_names(
    engine: type[Engine], bidirectional: bool, tmp_path: Path
) -> None:
    """An engine that has learned to run such a network fails this test."""
    network = make_network("rnn", "relu", bidirectional=bidirectional)
    write(network, tmp_path)
    said = ""
    try:
        check(network, [engine(network.config, tmp_path)])
    except (ParityError, RuntimeError) as error:
        said = str(error)
    static = "Code generation requires static shapes" if engine is CSource and bidirectional else ""
    assert RELU_IS_BEYOND.get(engine.name, static) in said
    assert bool(said) == bool(engine.limit(network.config))
    assert bool(said) == (engine.name in left_out(network.config))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_the_network_rewrites_as_the_reference_does(
    bidirectional: bool, guarded: bool, unknown: Unknown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hello_train.network.model.REWRITTEN", 100)  # so that some lines are alone
    network = make_network(
        bidirectional=bidirectional, guarded=guarded, unknown=unknown, layers=2, seed=3
    )
    reference = Reference(network)
    for case in quick_cases(network.config):
        texts = ["".join(map(chr, row)) for row in case.rows]
        expected = ["".join(map(chr, reference.run(row)["decoded"].tolist())) for row in case.rows]
        assert network.rewrite_lines(texts) == expected


@pytest.mark.parametrize("labels", EDITS)
def test_the_network_writes_edits_as_the_reference_does(labels: str) -> None:
    network = make_network(bidirectional=True, guarded=True, seed=3, labels=labels)
    reference = Reference(network)
    for case in quick_cases(network.config):
        texts = ["".join(map(chr, row)) for row in case.rows]
        for text, written in zip(texts, network.written_lines(texts), strict=True):
            expected = reference.run([*map(ord, text)])["decoded"]
            assert np.array_equal(written.reshape(expected.shape), expected)


def test_the_signature(tmp_path: Path) -> None:
    network = make_network("lstm", layers=2)
    session = opened(network, tmp_path)[1].session  # type: ignore[attr-defined]
    described = [
        [(tensor.name, tensor.type, tensor.shape) for tensor in tensors]
        for tensors in (session.get_inputs(), session.get_outputs())
    ]
    assert described == [
        [
            ("codepoints", "tensor(int32)", ["batch", "time"]),
            ("state", "tensor(float)", [4, "batch", 5]),
        ],
        [
            ("decoded", "tensor(int32)", ["batch", "time"]),
            ("confidence", "tensor(float)", ["batch", "time"]),
            ("logits", "tensor(float)", ["batch", "time", 6]),
            ("state_out", "tensor(float)", [4, "batch", 5]),
        ],
    ]
    model = onnx.load(tmp_path / "model.onnx")
    assert (model.ir_version, model.opset_import[0].version) == (7, 12)


@pytest.mark.parametrize(
    ("old", "new"), [("logits", "scores"), ("time", "length"), ("codepoints", "text")]
)
def test_a_renamed_tensor_or_axis_is_found(old: str, new: str, tmp_path: Path) -> None:
    network = make_network()
    model = onnx.parser.parse_model(
        onnx.printer.to_text(build_model(network, TRAINING)).replace(old, new)
    )
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ParityError, match="declares the"):
        check(network, [OnnxRuntime(network.config, tmp_path)])


def test_a_fault_in_the_torchscript_program_is_found(tmp_path: Path) -> None:
    network, other = make_network(), make_network()
    with torch.no_grad():
        dict(other.named_parameters())["recurrence.bias_hh_l0"].zero_()
    with pytest.raises(ParityError, match=r"TorchScript differs from PyTorch in logits by up to"):
        check(network, opened(other, tmp_path)[:1])


class Edited(Engine):
    """An engine whose outputs are edited afterwards."""

    name, distribution = "edited", "hello-rnn"

    def __init__(self, engine: Engine, edit: Callable[[Outputs], Outputs]) -> None:
        self._engine, self._edit = engine, edit

    def run(self, case: Case) -> Outputs:
        return self._edit(self._engine.run(case))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda out: {**out, "logits": out["logits"][:, :, :-1]}, "gives logits as float32"),
        (lambda out: {**out, "decoded": out["decoded"].astype(np.int64)}, "gives decoded as int64"),
        (lambda out: {**out, "logits": out["logits"] * np.nan}, "in logits by up to inf"),
        (lambda out: {**out, "state_out": out["state_out"] + 2e-5}, "in state_out by up to 2"),
        (lambda out: {**out, "confidence": out["confidence"] - 2e-5}, "in confidence by up to 2"),
        (lambda out: {**out, "decoded": out["decoded"] + 1}, "in decoded, in"),
    ],
)
def test_wrong_outputs_are_named(
    edit: Callable[[Outputs], Outputs], message: str, tmp_path: Path
) -> None:
    network = make_network()
    engine = onnxruntime_of(network, tmp_path)
    with pytest.raises(ParityError, match=message):
        check(network, [Edited(engine, edit)])


def test_no_case_or_no_engine_is_no_parity(tmp_path: Path) -> None:
    network = make_network()
    with pytest.raises(ParityError, match="no case"):
        parity.compare(network, opened(network, tmp_path), []).check()
    with pytest.raises(ParityError, match="no target"):
        parity.compare(network, [], short_cases(network.config)).check()


def equally_good(network: Network) -> None:
    """Give two labels of a network the same logits."""
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name in ("projection.weight", "projection.bias"):
            parameters[name][1] = parameters[name][0]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda decoded: decoded[:, :, :1], "gives decoded as int32"),
        (lambda decoded: decoded[:, :, ::-1], "in decoded, in"),
        (lambda decoded: np.where(decoded == -1, 0, decoded), "in decoded, in"),
        (lambda decoded: np.where(decoded == ord("ż"), ord("b"), decoded), "in decoded, in"),
    ],
    ids=["narrow", "reversed", "filler as U+0000", "no label"],
)
@pytest.mark.parametrize("engine", [OnnxRuntime, Runtime])
def test_wrong_edits_are_named(
    engine: type[Engine], edit: Callable[[Array], Array], message: str, tmp_path: Path
) -> None:
    network = make_network(labels="width 2")
    write(network, tmp_path)
    faulty = Edited(
        engine(network.config, tmp_path), lambda out: {**out, "decoded": edit(out["decoded"])}
    )
    with pytest.raises(ParityError, match=message):
        check(network, [faulty])


def test_a_tie_of_edits_is_one_that_a_label_writes(tmp_path: Path) -> None:
    """With equal logits to keep and to delete are ties; to write nothing in front is none."""
    network = make_network(labels="width 2")
    equally_good(network)
    engine = onnxruntime_of(network, tmp_path)

    def deleted(out: Outputs) -> Outputs:
        kept = out["decoded"][:, :, 1] == -1
        return {**out, "decoded": np.where(kept[:, :, None], np.int32(-1), out["decoded"])}

    report = parity.compare(network, [Edited(engine, deleted)], quick_cases(network.config))
    assert report.verdicts[0].ties > 100
    late = Edited(engine, lambda out: {**out, "decoded": np.roll(out["decoded"], 1, axis=2)})
    with pytest.raises(ParityError, match="in decoded, in"):
        check(network, [late])


def test_ties_are_counted_and_are_no_differences(tmp_path: Path) -> None:
    network = make_network()
    equally_good(network)
    engine = rewriting(onnxruntime_of(network, tmp_path), {ord("a"): ord("b")})
    report = check(network, [engine])
    assert report.verdicts[0].ties > 100
    assert report.verdicts[0].text_differences == 0
    assert f"0 + {report.verdicts[0].ties} ties" in proof_table(report)


@pytest.mark.parametrize(
    "labels", [{ord("a"): ord("ż")}, {ord("a"): 0}, {0x2028: ord("a"), 0xFFFF: ord("b")}]
)
def test_any_other_label_is_no_tie(labels: dict[int, int], tmp_path: Path) -> None:
    """A worse label, a character that is no label, a label in place of a copy."""
    network = make_network()
    equally_good(network)
    engine = rewriting(onnxruntime_of(network, tmp_path), labels)
    with pytest.raises(ParityError, match="in decoded, in"):
        check(network, [engine])


def rewriting(engine: Engine, characters: dict[int, int]) -> Engine:
    """Return an engine that decodes some characters as others."""

    def edit(out: Outputs) -> Outputs:
        decoded = out["decoded"].copy()
        for old, new in characters.items():
            decoded[out["decoded"] == old] = new
        return {**out, "decoded": decoded}

    return Edited(engine, edit)


def test_a_tie_is_a_mismatch_within_the_tolerance() -> None:
    differences = [Difference(size, 1.0, "") for size in (1e-6, 1.0)]
    verdict = Verdict("engine", "0", mismatches=differences)
    verdict.allow({})
    assert (verdict.ties, verdict.text_differences) == (1, 1)


def test_a_line_on_which_a_network_diverges_excuses_nothing_on_another(tmp_path: Path) -> None:
    """A relu network that grows to 1e13 on long lines: wrong letters on short ones are no ties."""
    network = make_network("rnn", "relu")
    with torch.no_grad():
        network.get_parameter("recurrence.weight_hh_l0").copy_(1.03 * torch.eye(5))
    engine = onnxruntime_of(network, tmp_path)
    report = check(network, [engine], grid_cases(network.config))
    assert report.rounding.max_condition["logits"] > 1e9
    assert report.rounding.max_difference["logits"] > 100
    # A letter that it writes on short lines, on which its condition is small.
    short = next(case for case in grid_cases(network.config) if case.codepoints.shape == (33, 7))
    decoded = engine.run(short)["decoded"].ravel().tolist()
    written = next(code for code in decoded if chr(code) in "abż\u0301😀")
    with pytest.raises(ParityError, match="in decoded, in"):
        check(network, [rewriting(engine, {written: ord("x")})])


def test_a_large_condition_is_no_fault_and_excuses_none(tmp_path: Path) -> None:
    """A well trained model magnifies rounding by 1e6 on some lines."""
    network = make_network("lstm", bidirectional=True, hidden_size=24)
    with torch.no_grad():
        for weight in network.recurrence.parameters():
            weight.mul_(10)
        network.get_parameter("projection.weight").mul_(5)
    engine = onnxruntime_of(network, tmp_path)
    report = check(network, [engine], grid_cases(network.config))
    assert report.rounding.max_condition["logits"] > 1e3
    assert report.verdicts[0].max_difference["logits"] > 10 * TOLERANCE
    assert report.verdicts[0].share["logits"] < 4e-6
    for wrong in (1.0001, 0.9999):
        with pytest.raises(ParityError, match="in logits by up to"):
            check(network, [Edited(engine, lambda out: {**out, "logits": out["logits"] * wrong})])  # noqa: B023


def test_a_small_difference_with_a_large_share_hides_no_larger_one() -> None:
    """The first step is below the tolerance, and the second must be found all the same."""
    row = {"logits": np.array([[1.0] * 6, [100.0] * 6])}
    expected = Expected(row, Condition(np.array([1.0, 100.0]), 1.0))
    said = {"logits": row["logits"] + np.array([[9e-6], [5e-4]])}
    verdict = Verdict("engine", "0", cases=1, characters=2)
    for tensor, found in parity.differences(expected, said, lambda length: f"step {length}"):
        verdict.add(tensor, found)
    assert verdict.max_difference["logits"] == pytest.approx(5e-4)
    verdict.allow(dict.fromkeys(NUMBERS, 1e-6 / ROUNDING_FACTOR))
    fault = verdict.fault()
    assert fault
    assert re.search(r"in logits by up to 0\.0005 .* for step 2", fault)
    verdict.allow(dict.fromkeys(NUMBERS, 6e-6 / ROUNDING_FACTOR))
    assert verdict.fault() is None


def test_no_share_beyond_the_largest_is_allowed(tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        dict(network.named_parameters())["projection.weight"].mul_(10_000)
    engine = onnxruntime_of(network, tmp_path)
    with pytest.raises(ParityError, match=r"in logits by up to .* \(allowed: 0\.\d+\)"):
        check(network, [Edited(engine, lambda out: {**out, "logits": out["logits"] * 1.001})])


def test_an_engine_that_fails_is_named(tmp_path: Path) -> None:
    def fail(_: Outputs) -> Outputs:
        raise RuntimeError("out of order")

    network = make_network()
    engine = Edited(onnxruntime_of(network, tmp_path), fail)
    with pytest.raises(ParityError, match="edited fails on batch 1, length 1: out of order"):
        check(network, [engine])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("unknown", "error", "the metadata of the model says"),
        ("input_alphabet", '"abc"', "the metadata of the model says"),
        ("output_alphabet", '"x"', "the output logits is declared otherwise"),
        ("guard", "{}", "guard is not of the characters that it reads"),
        ("nonlinearity", "relu", "the metadata of the model says"),
        ("layers", "8", "the metadata of the model says"),
        ("cell", "lstm", "the metadata of the model says"),
        ("causal", "false", "its inputs are not those of its metadata"),
    ],
)
def test_wrong_metadata_is_found(key: str, value: str, message: str, tmp_path: Path) -> None:
    """By the comparison, or before it by the runtime, which then opens no such file."""
    network = make_network()
    model = build_model(network, TRAINING)
    next(entry for entry in model.metadata_props if entry.key == key).value = value
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises((ParityError, ModelFileError), match=message):
        check(network, [Runtime(network.config, tmp_path)])


def test_the_tolerance_follows_what_rounding_does(tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        dict(network.named_parameters())["projection.weight"].mul_(100)
    report = check(network, opened(network, tmp_path))
    measured = report.rounding.max_difference["logits"]
    assert measured > TOLERANCE / ROUNDING_FACTOR
    exact = report.verdicts[0]  # TorchScript, whose activations are PyTorch's
    assert TOLERANCE < exact.tolerance["logits"] <= 5 * ROUNDING_FACTOR * measured
    assert exact.tolerance["state_out"] == TOLERANCE


@pytest.mark.parametrize("engine", ENGINES)
def test_a_slow_engine_gets_every_kind_of_case(engine: type[Engine]) -> None:
    grid = list(grid_cases(make_network().config))
    cases = [case for case in grid if case.characters <= engine.largest_case]
    assert {case.codepoints.shape[0] for case in cases} == {1, 2, 33}
    assert {case.codepoints.shape[1] for case in cases} == {1, 2, 7, 257, 1025}
    ragged = [case for case in cases if len(set(case.lengths.tolist())) > 1]
    assert {case.codepoints.shape for case in ragged} >= {(33, 2), (33, 7), (2, 1025), (2, 257)}
    assert [case.chunk for case in cases if case.chunk] == [1, 7, 64]
    assert len(grid) - len(cases) <= 4
    assert (len(grid) > len(cases)) == (engine.name in SLOW)


def test_the_grid_has_every_kind_of_case() -> None:
    cases = list(grid_cases(make_network().config))
    assert {case.codepoints.shape[0] for case in cases} == {1, 2, 33}
    assert {case.codepoints.shape[1] for case in cases} == {1, 2, 7, 257, 1025}
    shapes = {case.codepoints.shape for case in cases if len(set(case.lengths.tolist())) == 1}
    assert shapes >= set(itertools.product((1, 2, 33), (1, 2, 7, 257, 1025)))
    assert sum((case.lengths != case.codepoints.shape[1]).any() for case in cases) == 5
    assert sum((case.lengths != case.codepoints.shape[1]).all() for case in cases) == 1
    assert [case.chunk for case in cases if case.chunk] == [1, 7, 64]
    drawn = {chr(code) for case in cases for code in np.unique(case.codepoints).tolist()}
    assert set("abż\u0301😀") < drawn
    assert {"\U0010ffff", "\u2028", "\0", "c", "😁"} < drawn
