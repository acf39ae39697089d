"""Every shape exports and says what PyTorch says; every gate is seen to fail on a planted fault."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from hello_export import parity, proof
from hello_export.cases import Case, grid_cases
from hello_export.engines import Engine, OnnxRuntime, Outputs, Runtime
from hello_export.errors import ParityError
from hello_export.onnx_graph import build_model
from hello_export.parity import NUMBERS, ROUNDING_FACTOR, TOLERANCE, Report, Verdict
from hello_export.reference import Reference
from hello_export.storage import Storage
from hello_export.torchscript import TorchScript, save_program
from hello_train.config import Cell, Nonlinearity, Unknown
from hello_train.model import Network
from helpers import KINDS, TRAINING, make_network
from numpy.typing import NDArray
from onnx import numpy_helper

ENGINES = (TorchScript, *proof.ENGINES)
SHAPES = list(itertools.product(KINDS, (False, True), (1, 2, 3)))
POLICIES = list(itertools.product((False, True), ("error", "copy"), (False, True)))
RELU_IS_BEYOND = {"onnx evaluator", "tract"}
"""The engines that do not run an RNN with relu; `limit` says why."""


def write(network: Network, folder: Path, storage: Storage = "float32") -> None:
    onnx.save(build_model(network, TRAINING, storage), folder / "model.onnx")
    save_program(network, folder / "model.pt")


def opened(network: Network, folder: Path) -> list[Engine]:
    """Write the files of a network and open them with every engine that runs it, all in here."""
    write(network, folder)
    return [
        engine(network.config, folder) for engine in ENGINES if not engine.limit(network.config)
    ]


def check(network: Network, engines: Sequence[Engine], cases: Iterable[Case] = ()) -> Report:
    report = parity.compare(network, engines, cases or grid_cases(network.config))
    report.check()
    return report


@pytest.mark.parametrize(("kind", "bidirectional", "layers"), SHAPES)
def test_every_network_agrees_on_every_engine(
    kind: tuple[Cell, Nonlinearity], bidirectional: bool, layers: int, tmp_path: Path
) -> None:
    """The whole grid: 4 recurrences, 2 directions, 3 depths, and 8 policies of each."""
    for projection, unknown, guarded in POLICIES:
        network = make_network(
            *kind,
            layers=layers,
            bidirectional=bidirectional,
            projection=projection,
            unknown=cast(Unknown, unknown),
            guarded=guarded,
        )
        report = check(network, opened(network, tmp_path))
        left_out = RELU_IS_BEYOND if kind == ("rnn", "relu") else set()
        assert {verdict.engine: verdict.cases for verdict in report.verdicts} == {
            engine.name: 20 if bidirectional else 23
            for engine in ENGINES
            if engine.name not in left_out
        }
        assert {verdict.text_differences + verdict.ties for verdict in report.verdicts} == {0}
        assert {verdict.characters > 50_000 for verdict in report.verdicts} == {True}
        assert report.tolerance == dict.fromkeys(NUMBERS, TOLERANCE)


def test_the_grid_is_whole() -> None:
    assert len(SHAPES) * len(POLICIES) == 4 * 2 * 3 * 2 * 2 * 2
    assert [engine.name for engine in ENGINES] == [
        "TorchScript",
        "onnxruntime",
        "hello-infer",
        "onnx evaluator",
        "OpenVINO",
        "tract",
    ]
    assert all(engine.installed_version() for engine in ENGINES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_limit_of_an_engine_is_real(
    engine: type[Engine], bidirectional: bool, tmp_path: Path
) -> None:
    """An engine that is left out with a reason does fail; one that has learned it fails here."""
    network = make_network("rnn", "relu", bidirectional=bidirectional)
    write(network, tmp_path)
    failed = False
    try:
        check(network, [engine(network.config, tmp_path)])
    except Exception:
        failed = True
    assert failed == bool(engine.limit(network.config)) == (engine.name in RELU_IS_BEYOND)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("unknown", ["error", "copy"])
def test_what_is_trained_and_scored_is_what_is_exported(
    bidirectional: bool, guarded: bool, unknown: Unknown
) -> None:
    network = make_network(
        bidirectional=bidirectional, guarded=guarded, unknown=unknown, layers=2, seed=3
    )
    reference = Reference(network)
    for case in grid_cases(network.config):
        texts = ["".join(map(chr, row)) for row in case.rows]
        expected = ["".join(map(chr, reference.run(row)["decoded"].tolist())) for row in case.rows]
        assert network.rewrite_lines(texts) == expected


def test_the_signature_is_the_designs(tmp_path: Path) -> None:
    network = make_network("lstm", layers=2)
    session = engines(network, tmp_path)[1].session  # type: ignore[attr-defined]
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


# Planted faults: each changes a written graph, as a mistake in its writer would, and a gate fires.


def tensor(model: onnx.ModelProto, name: str) -> NDArray[Any]:
    return numpy_helper.to_array(constant(model, name)).copy()


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(c for c in model.graph.initializer if c.name == name)
    return found


def change(model: onnx.ModelProto, name: str, edit: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    value = np.ascontiguousarray(edit(tensor(model, name)))
    constant(model, name).CopyFrom(numpy_helper.from_array(value, name))


def node(model: onnx.ModelProto, operator: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(n for n in model.graph.node if n.op_type == operator)
    return found


def swap_first_two_gates(model: onnx.ModelProto) -> None:
    gates = tensor(model, "layer0.W").shape[1] // 5
    order = [1, 0, *range(2, gates)]
    for name in ("layer0.W", "layer0.R"):
        change(model, name, lambda w: w.reshape(1, gates, 5, -1)[:, order].reshape(w.shape))


def exchange_gates(model: onnx.ModelProto) -> None:
    """Give a cell of one gate the weights of the state in the place of the input's."""
    change(model, "layer0.R", lambda w: np.swapaxes(w, 1, 2))


def reset_before(model: onnx.ModelProto) -> None:
    attributes = node(model, "GRU").attribute
    next(item for item in attributes if item.name == "linear_before_reset").i = 0


def drop_bias(model: onnx.ModelProto) -> None:
    change(model, "layer0.B", np.zeros_like)


def exchange_bias_halves(model: onnx.ModelProto) -> None:
    change(model, "layer0.B", lambda b: np.roll(b, b.shape[1] // 2, axis=1))


def shift_alphabet(model: onnx.ModelProto) -> None:
    change(model, "page_ids", lambda ids: np.roll(ids, 1))


def shift_labels(model: onnx.ModelProto) -> None:
    change(model, "label_codepoints", lambda labels: np.roll(labels, 1))


def forget_state(model: onnx.ModelProto) -> None:
    change_inputs = node(model, "GRU").input
    del change_inputs[4:]


def least_confidence(model: onnx.ModelProto) -> None:
    node(model, "ReduceMax").op_type = "ReduceMin"


def not_turned_back(model: onnx.ModelProto) -> None:
    turned = [item for item in model.graph.node if item.op_type == "ReverseSequence"][1]
    turned.op_type = "Identity"
    del turned.attribute[:]
    del turned.input[1:]


def ignore_lengths(model: onnx.ModelProto) -> None:
    """Turn every row around as a whole, its padding included."""
    for item in model.graph.node:
        if item.op_type == "ReverseSequence":
            item.input[1] = "whole_rows"
    model.graph.node.insert(0, onnx.helper.make_node("Shape", ["codepoints"], ["shape"]))
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    zero = numpy_helper.from_array(np.array([0], np.int64), "zero")
    model.graph.initializer.extend([one, zero])
    make = onnx.helper.make_node
    model.graph.node.insert(1, make("Gather", ["shape", "one"], ["length"], axis=0))
    model.graph.node.insert(2, make("Gather", ["shape", "zero"], ["rows"], axis=0))
    model.graph.node.insert(3, make("Expand", ["length", "rows"], ["whole_rows"]))


def widen_guard(model: onnx.ModelProto) -> None:
    change(model, "allowed_labels", np.ones_like)


FAULTS: list[tuple[Callable[[onnx.ModelProto], None], str, dict[str, Any]]] = [
    (swap_first_two_gates, "logits", {"cell": "gru"}),
    (swap_first_two_gates, "logits", {"cell": "lstm"}),
    (exchange_gates, "logits", {"cell": "rnn"}),
    (reset_before, "logits", {"cell": "gru"}),
    (drop_bias, "logits", {"cell": "rnn"}),
    (drop_bias, "logits", {"cell": "gru"}),
    (drop_bias, "logits", {"cell": "lstm"}),
    (exchange_bias_halves, "logits", {"cell": "gru"}),
    (shift_alphabet, "logits", {"cell": "gru"}),
    (shift_labels, "decoded", {"cell": "gru"}),
    (forget_state, "logits", {"cell": "gru"}),
    (least_confidence, "confidence", {"cell": "gru"}),
    (not_turned_back, "logits", {"cell": "gru", "bidirectional": True}),
    (ignore_lengths, "logits", {"cell": "gru", "bidirectional": True}),
    (widen_guard, "logits", {"cell": "gru", "guarded": True}),
]


@pytest.mark.parametrize(("fault", "named", "shape"), FAULTS)
def test_a_planted_fault_is_found_and_named(
    fault: Callable[[onnx.ModelProto], None], named: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    network = make_network(**shape)
    model = build_model(network, TRAINING)
    fault(model)
    onnx.save(model, tmp_path / "model.onnx")
    engine = OnnxRuntime(network.config, tmp_path / "model.onnx")
    with pytest.raises(ParityError) as caught:
        parity.compare(network, [engine])
    assert f"differs from PyTorch in {named}" in str(caught.value)
    assert "batch" in str(caught.value)


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
        parity.compare(network, [OnnxRuntime(network.config, tmp_path / "model.onnx")])


def test_a_fault_in_the_torchscript_program_is_found(tmp_path: Path) -> None:
    network, other = make_network(), make_network()
    with torch.no_grad():
        dict(other.named_parameters())["recurrence.bias_hh_l0"].zero_()
    with pytest.raises(ParityError, match=r"TorchScript differs from PyTorch in logits by up to"):
        parity.compare(network, engines(other, tmp_path)[:1])


class Edited(Engine):
    """An engine whose outputs are edited on the way."""

    name, version = "edited", "0"

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
    engine = engines(network, tmp_path)[1]
    with pytest.raises(ParityError, match=message):
        parity.compare(network, [Edited(engine, edit)])


def test_no_case_is_no_parity(tmp_path: Path) -> None:
    network = make_network()
    with pytest.raises(ParityError, match="no case"):
        parity.compare(network, engines(network, tmp_path), cases=[])
    with pytest.raises(ParityError, match="no engine"):
        parity.compare(network, [])


def equally_good(network: Network) -> None:
    """Give two labels of a network the same logits, so that the choice between them is a tie."""
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name in ("projection.weight", "projection.bias"):
            parameters[name][1] = parameters[name][0]


def test_a_tie_is_not_a_difference_and_is_counted(tmp_path: Path) -> None:
    network = make_network()
    equally_good(network)
    engine = rewriting(engines(network, tmp_path)[1], {ord("a"): ord("b")})
    report = parity.compare(network, [engine])
    assert report.verdicts[0].ties > 100
    assert report.verdicts[0].text_differences == 0
    assert f"0 + {report.verdicts[0].ties} ties" in parity.table(report)


@pytest.mark.parametrize(
    "labels", [{ord("a"): ord("c")}, {ord("a"): 0}, {0x1F600: ord("a"), 0x0301: ord("b")}]
)
def test_a_tie_excuses_no_other_label(labels: dict[int, int], tmp_path: Path) -> None:
    """Neither a label that is not as good, nor none at all, nor a copy that was not made."""
    network = make_network()
    equally_good(network)
    engine = rewriting(engines(network, tmp_path)[1], labels)
    with pytest.raises(ParityError, match="in decoded, in"):
        parity.compare(network, [engine])


def rewriting(engine: Engine, characters: dict[int, int]) -> Engine:
    """Return the engine with some characters decoded as others."""

    def edit(out: Outputs) -> Outputs:
        decoded = out["decoded"].copy()
        for old, new in characters.items():
            decoded[out["decoded"] == old] = new
        return {**out, "decoded": decoded}

    return Edited(engine, edit)


def test_the_row_of_the_rounding_is_counted_too() -> None:
    verdict = Verdict("engine", "0", losses=[1e-6, 1.0])
    verdict.count(dict.fromkeys(parity.NUMBERS, TOLERANCE))
    assert (verdict.ties, verdict.text_differences) == (1, 1)


def test_no_rounding_excuses_more_than_the_largest_tolerance(tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        dict(network.named_parameters())["projection.weight"].mul_(10_000)
    engine = engines(network, tmp_path)[1]
    with pytest.raises(ParityError, match=r"in logits by up to .* \(allowed: 0\.001\)"):
        parity.compare(
            network, [Edited(engine, lambda out: {**out, "logits": out["logits"] + 0.002})]
        )


def test_an_engine_that_fails_is_named(tmp_path: Path) -> None:
    def fail(_: Outputs) -> Outputs:
        raise RuntimeError("out of order")

    network = make_network()
    engine = Edited(engines(network, tmp_path)[1], fail)
    with pytest.raises(ParityError, match="edited fails on batch 1, length 1: out of order"):
        parity.compare(network, [engine])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unknown", "error"),
        ("input_alphabet", '"abc"'),
        ("output_alphabet", '"x"'),
        ("guard", "{}"),
        ("layers", "8"),
        ("cell", "lstm"),
        ("causal", "false"),
    ],
)
def test_wrong_metadata_is_found(key: str, value: str, tmp_path: Path) -> None:
    network = make_network()
    model = build_model(network, TRAINING)
    next(entry for entry in model.metadata_props if entry.key == key).value = value
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ParityError, match="the metadata of the model says"):
        parity.compare(network, [Runtime(network.config, tmp_path / "model.onnx")])


def test_the_tolerance_follows_what_rounding_does(tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        dict(network.named_parameters())["projection.weight"].mul_(100)
    report = parity.compare(network, engines(network, tmp_path))
    measured = report.rounding.worst["logits"]
    assert measured > TOLERANCE / ROUNDING_FACTOR
    assert report.tolerance["logits"] == ROUNDING_FACTOR * measured
    assert report.tolerance["state_out"] == TOLERANCE


def test_the_grid_has_every_kind_of_case() -> None:
    cases = list(grid_cases(make_network().config))
    assert {case.codepoints.shape[0] for case in cases} == {1, 2, 33}
    assert {case.codepoints.shape[1] for case in cases} == {1, 2, 7, 65, 257}
    assert sum((case.lengths != case.codepoints.shape[1]).any() for case in cases) == 5
    assert sum((case.lengths != case.codepoints.shape[1]).all() for case in cases) == 1
    assert [case.chunk for case in cases if case.chunk] == [1, 7, 64]
    drawn = {chr(code) for case in cases for code in np.unique(case.codepoints).tolist()}
    assert set("abcdż") < drawn
    assert {"\U0010ffff", "\u0301", "\0", "e"} < drawn
