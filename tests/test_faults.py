"""Faults that the graph's writer could make: the comparison finds each and names the tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import Storage
from hello_export.proof import parity
from hello_export.proof.engines import OnnxRuntime
from helpers import TRAINING, make_network, short_cases
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

Fault = Callable[[ModelProto], None]


def named(model: ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(
        item for item in model.graph.initializer if item.name.startswith(name)
    )
    return found


def change(model: ModelProto, name: str, edit: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Edit the constant whose name has this prefix."""
    tensor = named(model, name)
    value = np.ascontiguousarray(edit(numpy_helper.to_array(tensor).copy()))
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def node(model: ModelProto, made: str) -> onnx.NodeProto:
    """Return the node that makes this value."""
    found: onnx.NodeProto = next(item for item in model.graph.node if made in item.output)
    return found


def rewire(model: ModelProto, old: str, new: str) -> None:
    """Make every node that reads the value `old` read `new`."""
    for item in model.graph.node:
        for index, name in enumerate(item.input):
            if name == old:
                item.input[index] = new


def swap_first_two_gates(model: ModelProto) -> None:
    gates = len(named(model, "layer0.forward.W_").name.split("_")[1])
    order = [1, 0, *range(2, gates)]
    for name in ("layer0.forward.W_", "layer0.forward.R_"):
        change(model, name, lambda w: w.reshape(1, gates, 5, -1)[:, order].reshape(w.shape))


def transpose_recurrent_weights(model: ModelProto) -> None:
    """The RNN has a single gate, which cannot be swapped with another."""
    change(model, "layer0.forward.R_", lambda w: np.swapaxes(w, 1, 2))


def reset_before(model: ModelProto) -> None:
    attributes = node(model, "layer0.forward.hidden").attribute
    next(item for item in attributes if item.name == "linear_before_reset").i = 0


def tanh_for_relu(model: ModelProto) -> None:
    attributes = node(model, "layer0.forward.hidden").attribute
    next(item for item in attributes if item.name == "activations").strings[0] = b"Tanh"


def drop_bias(model: ModelProto) -> None:
    change(model, "layer0.forward.B_", np.zeros_like)


def exchange_bias_halves(model: ModelProto) -> None:
    change(model, "layer0.forward.B_", lambda b: np.roll(b, b.shape[1] // 2, axis=1))


def shift_alphabet(model: ModelProto) -> None:
    change(model, "page_ids", lambda ids: np.roll(ids, 1))


def shift_labels(model: ModelProto) -> None:
    change(model, "label_codepoints", lambda labels: np.roll(labels, 1))


def rewrite_unknown(model: ModelProto) -> None:
    node(model, "decoded").input[2] = "rewritten"


def copy_unknown(model: ModelProto) -> None:
    """Copy unknown characters, although the policy gives them labels."""
    node(model, "decoded").output[0] = "rewritten"
    constants = (np.array(5, np.int32), "unknown_id"), (np.array(1, np.float32), "certain")
    model.graph.initializer.extend(numpy_helper.from_array(*constant) for constant in constants)
    model.graph.node.append(helper.make_node("Less", ["ids", "unknown_id"], ["known"]))
    given = ["known", "rewritten", "codepoints"]
    model.graph.node.append(helper.make_node("Where", given, ["decoded"]))


def shift_edits(model: ModelProto) -> None:
    change(model, "label_elements", lambda table: np.roll(table, 1, axis=0))


def exchange_keep_and_delete(model: ModelProto) -> None:
    change(model, "label_elements", lambda table: table[[1, 0, *range(2, len(table))]])


def append_for_prepend(model: ModelProto) -> None:
    """The fourth label of width 2 prepends a space."""

    def exchange(table: NDArray[Any]) -> NDArray[Any]:
        assert table[3].tolist() == [ord(" "), -2]
        table[3] = table[3, ::-1]
        return table

    change(model, "label_elements", exchange)


def fill_with_nul(model: ModelProto) -> None:
    change(model, "label_elements", lambda table: np.where(table == -1, np.int32(0), table))


def edit_unknown(model: ModelProto) -> None:
    rewire(model, "edit_or_copy", "edit")


def keep_the_mark(model: ModelProto) -> None:
    """Leave -2 where the character that was read should be."""
    node(model, "decoded").input[1] = "edit_or_copy"


def class_of_the_neighbour(model: ModelProto) -> None:
    change(model, "class_of_id", lambda classes: np.roll(classes, 1))


def labels_of_the_neighbour(model: ModelProto) -> None:
    change(model, "allowed_labels", lambda table: np.roll(table, 1, axis=0))


def forget_state(model: ModelProto) -> None:
    del node(model, "layer0.forward.hidden").input[4:]


def shuffle_state(model: ModelProto) -> None:
    """Exchange two slots of `state` and of `state_out`, which changes nothing else."""
    for values in (node(model, "state0").output, node(model, "state_out").input):
        values[0], values[1] = values[1], values[0]


def confidence_of_the_first_label(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "first"))
    inputs, outputs = ["probabilities", "first"], ["highest_probability"]
    node(model, outputs[0]).CopyFrom(helper.make_node("Gather", inputs, outputs, axis=2))


def output_not_reversed(model: ModelProto) -> None:
    rewire(model, "layer0.backward.output", "layer0.backward.steps")


def nothing_reversed(model: ModelProto) -> None:
    output_not_reversed(model)
    rewire(model, "layer0.backward.input", "embedded")


def ignore_lengths(model: ModelProto) -> None:
    """Reverse every row together with its padding."""
    sizes = helper.make_node("Shape", ["lengths"], ["lengths_shape"])
    whole = helper.make_node("Expand", ["time_size", "lengths_shape"], ["row_lengths"])
    node(model, "row_lengths").CopyFrom(whole)
    model.graph.node.insert(0, sizes)


def drop_second_layer(model: ModelProto) -> None:
    rewire(model, "layer1.forward.steps", "layer0.forward.steps")


def transpose_projection(model: ModelProto) -> None:
    change(model, "projection.weight", np.transpose)


def widen_guard(model: ModelProto) -> None:
    change(model, "allowed_labels", np.ones_like)


def shift_guard(model: ModelProto) -> None:
    change(model, "allowed_labels", lambda mask: np.roll(mask, 1, axis=1))


def round_twice(model: ModelProto) -> None:
    change(model, "layer0.forward.W_iofc.scale", lambda s: s.astype(np.float16).astype(np.float32))


FAULTS: list[tuple[Fault, str, dict[str, Any]]] = [
    (swap_first_two_gates, "logits", {"cell": "gru"}),
    (swap_first_two_gates, "logits", {"cell": "lstm"}),
    (transpose_recurrent_weights, "logits", {"cell": "rnn"}),
    (reset_before, "logits", {"cell": "gru"}),
    (tanh_for_relu, "logits", {"cell": "rnn", "nonlinearity": "relu"}),
    (drop_bias, "logits", {"cell": "rnn"}),
    (drop_bias, "logits", {"cell": "gru"}),
    (drop_bias, "logits", {"cell": "lstm"}),
    (exchange_bias_halves, "logits", {"cell": "gru"}),
    (shift_alphabet, "logits", {}),
    (shift_labels, "decoded", {}),
    (rewrite_unknown, "decoded", {}),
    (copy_unknown, "decoded", {"unknown": "label"}),
    *[(shift_edits, "decoded", {"labels": labels}) for labels in ("one", "width 1", "width 5")],
    (exchange_keep_and_delete, "decoded", {"labels": "width 1"}),
    (exchange_keep_and_delete, "decoded", {"labels": "width 5"}),
    (append_for_prepend, "decoded", {"labels": "width 2"}),
    (fill_with_nul, "decoded", {"labels": "width 2"}),
    (edit_unknown, "decoded", {"labels": "width 2"}),
    (keep_the_mark, "decoded", {"labels": "width 2"}),
    (class_of_the_neighbour, "logits", {"labels": "width 2", "guarded": True}),
    (labels_of_the_neighbour, "logits", {"labels": "width 2", "guarded": True}),
    (forget_state, "logits", {}),
    (shuffle_state, "state_out", {"cell": "lstm", "layers": 2}),
    (confidence_of_the_first_label, "confidence", {}),
    (output_not_reversed, "logits", {"bidirectional": True}),
    (nothing_reversed, "logits", {"bidirectional": True}),
    (ignore_lengths, "logits", {"bidirectional": True}),
    (drop_second_layer, "logits", {"layers": 2}),
    (transpose_projection, "logits", {"hidden_size": 6}),
    (widen_guard, "logits", {"guarded": True}),
    (shift_guard, "logits", {"guarded": True}),
]


def find(fault: Fault, shape: dict[str, Any], folder: Path, storage: Storage = "float32") -> str:
    """Return the comparison's error for a graph with a fault."""
    network = round_weights(make_network(**shape), storage)
    model = build_model(network, TRAINING, storage)
    fault(model)
    onnx.save(model, folder / "model.onnx")
    engine = OnnxRuntime(network.config, folder)
    with pytest.raises(ParityError) as caught:
        parity.compare(network, [engine], short_cases(network.config)).check()
    return str(caught.value)


@pytest.mark.parametrize(("fault", "tensor", "shape"), FAULTS)
def test_a_planted_fault_is_found_and_named(
    fault: Fault, tensor: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    message = find(fault, shape, tmp_path)
    assert f"differs from PyTorch in {tensor}" in message
    assert "(batch " in message


def test_weights_rounded_twice_are_found(tmp_path: Path) -> None:
    message = find(round_twice, {"cell": "lstm"}, tmp_path, storage="int8")
    assert "differs from PyTorch in logits" in message


SHAPES: list[dict[str, Any]] = []
for *_, one in FAULTS:
    SHAPES += [one] * (one not in SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_without_a_fault_the_same_network_passes(shape: dict[str, Any], tmp_path: Path) -> None:
    network = make_network(**shape)
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    engine = OnnxRuntime(network.config, tmp_path)
    parity.compare(network, [engine], short_cases(network.config)).check()
