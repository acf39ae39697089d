"""The tasks `next` and `classify`: exported, proved on every engine, and each fault named."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES
from hello_export.graph.torchscript import save_program
from hello_export.proof import parity
from hello_export.proof.engines import OnnxRuntime
from hello_export.proof.runtime_engine import Runtime
from hello_runtime import Decoder, ModelFileError
from hello_runtime.model.tasks import TASKS, Task
from hello_train.errors import ConfigError
from hello_train.network.checkpoint import load_checkpoint
from hello_train.network.config import ModelConfig
from helpers import ENGINES, KINDS, TRAINING, left_out, make_network, quick_cases, save_run
from onnx import ModelProto, helper, numpy_helper
from test_faults import forget_state, rewire

GRID = [
    pytest.param(
        kind,
        task,
        bidirectional,
        layers,
        projection,
        marks=[] if projection == (layers == 1) else [pytest.mark.long],
    )
    for kind, (task, bidirectional), layers, projection in itertools.product(
        KINDS, (("next", False), ("classify", False), ("classify", True)), (1, 2), (True, False)
    )
]


@pytest.mark.parametrize(("kind", "task", "bidirectional", "layers", "projection"), GRID)
def test_both_tasks_agree_on_every_engine(
    kind: tuple[str, str],
    task: Task,
    bidirectional: bool,
    layers: int,
    projection: bool,
    tmp_path: Path,
) -> None:
    network = make_network(
        *kind,
        task=task,
        bidirectional=bidirectional,
        layers=layers,
        projection=projection,
        unknown="error" if layers == 1 else "label",
    )
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    save_program(network, tmp_path / "model.pt")
    engines = [e(network.config, tmp_path) for e in ENGINES if not e.limit(network.config)]
    cases = quick_cases(network.config)
    report = parity.compare(network, engines, cases, strict=True)
    report.check()
    assert [verdict.cases for verdict in report.verdicts] == [
        sum(case.characters <= engine.largest_case for case in cases) for engine in engines
    ]
    assert len(engines) == len(ENGINES) - len(left_out(network.config))
    assert all(verdict.max_difference for verdict in report.verdicts)
    assert {verdict.ties + verdict.text_differences for verdict in report.verdicts} == {0}


def test_the_grid_is_whole() -> None:
    assert len(GRID) == 4 * 3 * 2 * 2
    assert sum(not row.marks for row in GRID) == 4 * 3 * 2
    assert {str(row.values[1]) for row in GRID} | {"rewrite"} == set(TASKS)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("task", "bidirectional"), [("next", False), ("classify", True)])
def test_smaller_weights(task: Task, bidirectional: bool, storage: Any, tmp_path: Path) -> None:
    network = round_weights(make_network(task=task, bidirectional=bidirectional), storage)
    onnx.save(build_model(network, TRAINING, storage), tmp_path / "model.onnx")
    engines = [engine(network.config, tmp_path) for engine in (OnnxRuntime, Runtime)]
    parity.compare(network, engines, quick_cases(network.config)).check()
    assert Decoder.open(tmp_path).info.weights == storage


@pytest.mark.parametrize(("task", "bidirectional"), [("next", False), ("classify", True)])
def test_files_hold_the_task(task: Task, bidirectional: bool, tmp_path: Path) -> None:
    network = make_network(task=task, bidirectional=bidirectional)
    save_run(network, tmp_path)
    again, _ = load_checkpoint(tmp_path)
    assert again.config == network.config
    assert network.config.to_json()["task"] == task
    assert not {"output_labels", "output_alphabet", "guard"} & network.config.to_json().keys()
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    info = Decoder.open(tmp_path).info
    assert (info.task, info.classes) == (task, network.config.classes)
    assert info.format_version == network.config.format_version == 2


def test_a_rewriting_network_names_no_task() -> None:
    network = make_network()
    assert not {"task", "classes"} & network.config.to_json().keys()
    model = build_model(network, TRAINING)
    assert "task" not in {entry.key for entry in model.metadata_props}


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("next", {"bidirectional": True}, "two directions: it would see what it shall guess"),
        ("next", {"classes": ("a", "b")}, "it has classes, and its task is next"),
        ("next", {"output_labels": (("a",),)}, "its labels are not its alphabet"),
        ("next", {"unknown": "copy"}, "it writes no copies"),
        ("next", {"guard": {"a": (0,)}}, "it has a guard"),
        ("classify", {"classes": ("a",)}, "it has 1 classes; two are the fewest"),
        ("classify", {"classes": ("a", "a")}, "it has a class twice"),
        ("classify", {"classes": ("a", "")}, "a class is ''"),
        ("classify", {"classes": ("a", "b\nc")}, "must be a line of text"),
        ("classify", {"output_labels": (("a",),)}, "it has labels beside its classes"),
        ("classify", {"task": "sing"}, "task is 'sing'; it must be one of rewrite, next, classify"),
    ],
)
def test_a_configuration_that_is_none_of_its_task(
    task: Task, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(make_network(task=task).config, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "rewrite"}, "task is 'rewrite'"),
        ({"task": 5}, "task is 5"),
        ({"guard": None}, "config has guard, and its task is classify"),
        ({"output_labels": []}, "config has output_labels"),
        ({"classes": "ab"}, "its classes are not a list"),
        ({"classes": [1, 2]}, "a class is 1"),
    ],
)
def test_a_damaged_configuration_of_a_task(changes: dict[str, Any], message: str) -> None:
    held = json.loads(json.dumps(make_network(task="classify").config.to_json()))
    assert ModelConfig.from_json(held).task == "classify"
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_json(held | changes)


# Faults that the graph's writer could make.


def node(model: ModelProto, made: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(item for item in model.graph.node if made in item.output)
    return found


def read_one_step_early(model: ModelProto) -> None:
    """Take the step before the last one; a row of one character keeps its own."""
    constants = [("two", np.array(2, np.int64)), ("none", np.array(0, np.int64))]
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in constants)
    early = helper.make_node("Sub", ["row_lengths", "two"], ["early"])
    before = helper.make_node("Less", ["early", "none"], ["is_before"])
    chosen = helper.make_node("Where", ["is_before", "none", "early"], ["early_step"])
    place = [*model.graph.node].index(node(model, "end_step"))
    for item in (chosen, before, early):
        model.graph.node.insert(place, item)
    node(model, "end_step").input[0] = "early_step"


def read_in_the_padding(model: ModelProto) -> None:
    """Take the last step of the batch for every row."""
    sizes = helper.make_node("Shape", ["lengths"], ["lengths_shape"])
    first = numpy_helper.from_array(np.array(0, np.int64), "time_axis")
    model.graph.initializer.append(first)
    time = helper.make_node("Gather", ["time_and_batch", "time_axis"], ["whole_time"], axis=0)
    whole = helper.make_node("Expand", ["whole_time", "lengths_shape"], ["whole_lengths"])
    place = [*model.graph.node].index(node(model, "last_step"))
    for item in (whole, time, sizes):
        model.graph.node.insert(place, item)
    node(model, "last_step").input[0] = "whole_lengths"


def exchange_ends(model: ModelProto) -> None:
    joined = node(model, "layer0.output").input
    joined[0], joined[1] = joined[1], joined[0]


def backward_end_behind_the_last_character(model: ModelProto) -> None:
    """Reverse the backward steps, as for labels of characters: the end is then its first step."""
    made = node(model, "layer0.output")
    given = ["layer0.backward.steps", "reversal_indices"]
    place = [*model.graph.node].index(made)
    model.graph.node.insert(place, helper.make_node("GatherND", given, ["reversed"]))
    node(model, "layer0.output").input[1] = "reversed"


def shift_classes(model: ModelProto) -> None:
    tensor = next(item for item in model.graph.initializer if item.name == "class_numbers")
    rolled = np.roll(numpy_helper.to_array(tensor), 1)
    tensor.CopyFrom(numpy_helper.from_array(rolled, tensor.name))


def negate(model: ModelProto) -> None:
    """Give every step the negative logits."""
    rewire(model, "projection.output", "other")
    other = helper.make_node("Neg", ["projection.output"], ["other"])
    model.graph.node.insert([*model.graph.node].index(node(model, "logits")), other)


Fault = Callable[[ModelProto], None]
FAULTS: list[tuple[Fault, str, dict[str, Any]]] = [
    (read_one_step_early, "logits", {"task": "classify"}),
    (read_one_step_early, "logits", {"task": "classify", "bidirectional": True}),
    (read_in_the_padding, "logits", {"task": "classify"}),
    (exchange_ends, "logits", {"task": "classify", "bidirectional": True}),
    (backward_end_behind_the_last_character, "logits", {"task": "classify", "bidirectional": True}),
    (shift_classes, "label", {"task": "classify"}),
    (forget_state, "logits", {"task": "next"}),
    (negate, "logits", {"task": "next"}),
]


@pytest.mark.parametrize(("fault", "tensor", "shape"), FAULTS)
def test_a_planted_fault_is_found_and_named(
    fault: Fault, tensor: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    network = make_network(**shape)
    model = build_model(network, TRAINING)
    fault(model)
    onnx.save(model, tmp_path / "model.onnx")
    engine = OnnxRuntime(network.config, tmp_path)
    with pytest.raises(ParityError, match=f"differs from PyTorch in {tensor}") as caught:
        parity.compare(network, [engine], quick_cases(network.config)).check()
    assert "(batch " in str(caught.value)


def test_only_ragged_rows_show_a_class_from_the_padding(tmp_path: Path) -> None:
    network = make_network(task="classify")
    model = build_model(network, TRAINING)
    read_in_the_padding(model)
    onnx.save(model, tmp_path / "model.onnx")
    engine = OnnxRuntime(network.config, tmp_path)
    whole = [c for c in quick_cases(network.config) if (c.lengths == c.codepoints.shape[1]).all()]
    parity.compare(network, [engine], whole).check()


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4, 6], [0, 1, 2, 3, 4, -1]])
def test_a_label_that_is_no_class_is_refused(numbers: list[int], tmp_path: Path) -> None:
    model = build_model(make_network(task="classify"), TRAINING)
    tensor = next(item for item in model.graph.initializer if item.name == "class_numbers")
    tensor.CopyFrom(numpy_helper.from_array(np.array(numbers, np.int32), tensor.name))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match="its label is the number of no class"):
        Decoder.open(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "next", "its task is next, and it has two directions"),
        ("task", "rewrite", "lacks 'output_labels'"),
        ("task", "sing", "lacks 'output_labels'"),
        ("classes", '["a", "b"]', "the output logits is declared otherwise"),
        ("classes", '["a"]', "it has 1 classes"),
        ("causal", "true", None),
        ("format_version", "1", "its format_version is 1"),
    ],
)
def test_damaged_metadata_of_a_classifier(
    key: str, value: str, message: str | None, tmp_path: Path
) -> None:
    network = make_network(task="classify", bidirectional=True)
    model = build_model(network, TRAINING)
    next(entry for entry in model.metadata_props if entry.key == key).value = value
    onnx.save(model, tmp_path / "model.onnx")
    if message is None:  # it says nothing that the runtime needs; the proof finds it
        with pytest.raises(ParityError, match="the metadata of the model says"):
            Runtime(network.config, tmp_path).check_declaration()
        return
    with pytest.raises(ModelFileError, match=message):
        Decoder.open(tmp_path)


def test_a_classifier_alone_and_in_a_batch() -> None:
    """The network's own packed rows: each row as if it were alone."""
    for kind, bidirectional in itertools.product(KINDS, (False, True)):
        network = make_network(*kind, task="classify", bidirectional=bidirectional, layers=2)
        texts = ["abab", "ż", "😀ab?a", "b"]
        found = network.classify_lines(texts)
        alone = torch.cat([network.classify_lines([text]) for text in texts])
        assert torch.allclose(found, alone, atol=1e-6)
        assert not torch.allclose(found[0], found[1], atol=1e-3)
