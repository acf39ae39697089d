"""Writes the ONNX graph of a network from its weights; nothing is traced.

PyTorch and ONNX write the same three recurrences with their gates in another order. With `W` for
the input's weights, `R` for the hidden state's, `b` and `c` for their biases, and E, H the widths
of input and hidden state:

RNN (one gate)
    h' = tanh(W x + b + R h + c), or relu instead of tanh

GRU (PyTorch stacks r, z, n; ONNX stacks z, r, h, and its h is PyTorch's n)
    r = sigmoid(W_r x + b_r + R_r h + c_r)
    z = sigmoid(W_z x + b_z + R_z h + c_z)
    n = tanh(W_n x + b_n + r * (R_n h + c_n))
    h' = (1 - z) * n + z * h
    The reset gate multiplies what comes *out of* the recurrent matrix, bias included. This is
    ONNX's `linear_before_reset=1`; its default of 0 is another network.

LSTM (PyTorch stacks i, f, g, o; ONNX stacks i, o, f, c, and its c is PyTorch's g)
    i, f, o = sigmoid(W_k x + b_k + R_k h + c_k);  g = tanh(W_g x + b_g + R_g h + c_g)
    C' = f * C + i * g;  h' = o * tanh(C')

So for a cell of G gates, `weight_ih` and `weight_hh`, [G*H, E] and [G*H, H], become `W` and `R`,
[1, G*H, E] and [1, G*H, H], with their blocks of H rows put into ONNX's order; `bias_ih` and
`bias_hh`, [G*H] each, are put into that order and laid one after the other into `B`, [1, 2*G*H].
The leading 1 is ONNX's count of directions. The names say what a tensor is: `layer1.backward.R_zrh`
holds the recurrent weights of the second layer's backward direction, with the gates z, r, h.

Two directions are two forward nodes in each layer. The backward one reads each row from its last
character to its first: `GatherND` reverses the steps of its input, and then those of its output, by
the same indices (a reversal is its own inverse). A classifier's last layer leaves the steps in the
order in which they were read, so that both directions end at the step of the row's length. ONNX has
shorter ways to write this, but not every engine supports them: only onnxruntime honours
`sequence_lens` of a bidirectional node, while others read the padding and are wrong by up to 0.25;
tract has no `ReverseSequence`, and it needs an explicit initial state.

Weights may be stored in float16, or in int8 with a scale for each channel (a gate's row, a
character's vector, a label's column). `Cast` and `Mul` expand them to float32; the writer raises if
that does not give exactly the network's numbers. onnxruntime expands them once, on opening.

Operators: https://onnx.ai/onnx/operators, in the versions of opset 12, the oldest that has all of
them (`Clip` on int32); its IR version is 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from typing import Any, Literal

import numpy as np
import onnx
from hello_runtime.model.model_file import IR_VERSION, OPSET
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from hello_export.graph.builder import Graph
from hello_export.graph.choice import write_choice, write_class, write_guarded_logits
from hello_export.graph.lookup import PAGE, build_lookup
from hello_export.graph.metadata import metadata
from hello_export.graph.signature import TensorSpec, inputs, outputs
from hello_export.graph.storage import Storage

ATTRIBUTES: dict[str, dict[str, Any]] = {"rnn": {}, "gru": {"linear_before_reset": 1}, "lstm": {}}
"""Attributes of each cell's node, beside `hidden_size`."""

Weights = Mapping[str, NDArray[np.float32]]


def build_model(network: Network, training: Training, storage: Storage = "float32") -> ModelProto:
    """Return the network as a model that reads and writes code points.

    Its inputs and outputs are those of `hello_export.graph.signature`.

    Args:
        network: its weights must be exact in `storage`, as after `rounding.round_weights`.
        training: for `hello_export.graph.metadata`.
        storage: the type of the weights in the file.

    Raises:
        ExportError: a weight is not exact in `storage`.
    """
    config = network.config
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    weights["vectors"] = network.vectors().detach().numpy()
    graph = Graph(storage)
    write_network(graph, config, weights)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            graph_name(config),
            [value_info(tensor) for tensor in inputs(config)],
            [value_info(tensor) for tensor in outputs(config)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hello-rnn",
        producer_version=installed_version("hello-rnn"),
    )
    helper.set_model_props(model, metadata(config, training, storage))
    onnx.checker.check_model(model, full_check=True)
    return model


def graph_name(config: ModelConfig) -> str:
    """Return the name of the graph, an identifier: engines name generated code after it."""
    sizes = f"{config.layers}_layers_{config.directions}_directions"
    return f"{config.cell}_{config.nonlinearity}_{sizes}"


def write_network(graph: Graph, config: ModelConfig, weights: Weights) -> None:
    """Write the whole graph, from `codepoints` to what the network says."""
    ids = write_lookup(graph, config)  # (b, t)
    steps = graph.node("Transpose", [ids], "ids_by_time", perm=[1, 0])  # (t, b)
    vectors = graph.weight("embedding", weights["vectors"], channels=0)  # (ids, E)
    hidden = graph.node("Gather", [vectors, steps], "embedded", axis=0)  # (t, b, E)
    if config.has_state:
        hidden = write_causal_layers(graph, config, weights, hidden)  # (t, b, H)
    else:
        hidden = write_line_layers(graph, config, weights, hidden, steps)  # (t, b, features)
    if config.task == "classify":
        ends = write_ends(graph, config, hidden)  # (b, features)
        if config.projection:
            write_projection(graph, weights, ends, "logits")  # (b, classes)
        write_class(graph, config.labels)  # (b)
        return
    if config.projection:
        hidden = write_projection(graph, weights, hidden)  # (t, b, labels)
    write_guarded_logits(graph, config, hidden, ids)  # (b, t, labels)
    if config.task == "rewrite":
        write_choice(graph, config, ids)  # (b, t)


def write_lookup(graph: Graph, config: ModelConfig) -> str:
    """Write the lookup of ids by code points, both int32 [batch, time]."""
    lookup = build_lookup(config.input_alphabet)
    first = graph.constant("first_codepoint", np.array(0, np.int32))
    last = graph.constant("last_codepoint", np.array(lookup.last, np.int32))
    page_ids = graph.constant("page_ids", lookup.ids)
    bounded = graph.node("Clip", ["codepoints", first, last], "bounded_codepoints")
    if lookup.is_direct:
        return graph.node("Gather", [page_ids, bounded], "ids", axis=0)
    page_size = graph.constant("page_size", np.array(PAGE, np.int32))
    page_starts = graph.constant("page_starts", lookup.page_starts)
    page = graph.node("Div", [bounded, page_size], "page")
    offset = graph.node("Mod", [bounded, page_size], "page_offset")
    start = graph.node("Gather", [page_starts, page], "page_start", axis=0)
    position = graph.node("Add", [start, offset], "page_position")
    return graph.node("Gather", [page_ids, position], "ids", axis=0)


def write_causal_layers(graph: Graph, config: ModelConfig, weights: Weights, x: str) -> str:
    """Write the layers of a causal network, (t, b, E) -> (t, b, H), from `state` to `state_out`.

    The state's slots are the layers' hidden states, then, for an LSTM, the layers' cell states.
    """
    if config.slots == 1:
        return write_recurrence(graph, config, weights, 0, "forward", x, ["state"], ["state_out"])
    before = [f"state{slot}" for slot in range(config.slots)]
    after = [f"state_out{slot}" for slot in range(config.slots)]
    graph.node("Split", ["state"], *before, axis=0)
    for layer in range(config.layers):
        own_slots = slice(layer, None, config.layers)
        x = write_recurrence(
            graph, config, weights, layer, "forward", x, before[own_slots], after[own_slots]
        )
    graph.node("Concat", after, "state_out", axis=0)
    return x


def write_line_layers(
    graph: Graph, config: ModelConfig, weights: Weights, x: str, steps: str
) -> str:
    """Write the layers of a network that reads whole lines, (t, b, E) -> (t, b, features).

    They start from zero states. The backward steps of a classifier's last layer are left in the
    order in which they were read: from the end of each row to its start. `x` is the name of the
    input, and `steps` that of a value with the axes time and batch, for their sizes.
    """
    size = graph.node("Shape", [steps], "time_and_batch")  # (2)
    if config.bidirectional:
        reversal = write_reversal_indices(graph, size)
    zeros = [write_zero_state(graph, config, size)] * len(CELLS[config.cell].states)
    for layer in range(config.layers):
        ahead = write_recurrence(graph, config, weights, layer, "forward", x, zeros)
        if not config.bidirectional:
            x = ahead
            continue
        name = f"layer{layer}.backward"
        back = graph.node("GatherND", [x, reversal], f"{name}.input")
        back = write_recurrence(graph, config, weights, layer, "backward", back, zeros)
        if config.task != "classify" or layer + 1 < config.layers:
            back = graph.node("GatherND", [back, reversal], f"{name}.output")
        x = graph.node("Concat", [ahead, back], f"layer{layer}.output", axis=2)
    return x


def write_reversal_indices(graph: Graph, size: str) -> str:
    """Write the indices that reverse each row within its length and keep its padding, (t, b, 2).

    `size` is the name of the sizes of time and batch.
    """
    zero = graph.constant("zero", np.array(0, np.int64))
    one = graph.constant("one", np.array(1, np.int64))
    time = graph.node("Gather", [size, zero], "time_size", axis=0)
    batch = graph.node("Gather", [size, one], "batch_size", axis=0)
    step = graph.node("Range", [zero, time, one], "step")
    step = graph.node("Unsqueeze", [step], "step_column", axes=[1])  # (t, 1)
    row = graph.node("Range", [zero, batch, one], "row")  # (b)
    lengths = graph.node("Cast", ["lengths"], "row_lengths", to=TensorProto.INT64)  # (b)
    last = graph.node("Sub", [lengths, one], "last_step")
    mirrored = graph.node("Sub", [last, step], "mirrored_step")  # (t, b)
    inside = graph.node("Less", [step, lengths], "inside_row")
    turned = graph.node("Where", [inside, mirrored, step], "turned_step")
    turned = graph.node("Unsqueeze", [turned], "reversal_step", axes=[2])
    rows = graph.node("Expand", [row, size], "rows")
    rows = graph.node("Unsqueeze", [rows], "reversal_row", axes=[2])
    return graph.node("Concat", [turned, rows], "reversal_indices", axis=2)


def write_ends(graph: Graph, config: ModelConfig, hidden: str) -> str:
    """Write the hidden states at the end of each row, (t, b, features) -> (b, features).

    Without a projection they are the logits.
    """
    if not config.bidirectional:  # the indices of the reversal are made of the same values
        one = graph.constant("one", np.array(1, np.int64))
        zero = graph.constant("zero", np.array(0, np.int64))
        batch = graph.node("Gather", ["time_and_batch", one], "batch_size", axis=0)
        graph.node("Range", [zero, batch, one], "row")  # (b)
        lengths = graph.node("Cast", ["lengths"], "row_lengths", to=TensorProto.INT64)
        graph.node("Sub", [lengths, one], "last_step")  # (b)
    last = graph.node("Unsqueeze", ["last_step"], "end_step", axes=[1])
    row = graph.node("Unsqueeze", ["row"], "end_row", axes=[1])
    places = graph.node("Concat", [last, row], "end_indices", axis=1)  # (b, 2)
    return graph.node("GatherND", [hidden, places], "ends" if config.projection else "logits")


def write_zero_state(graph: Graph, config: ModelConfig, size: str) -> str:
    """Write the initial state of one layer and direction, (1, b, H)."""
    one = graph.constant("one_direction", np.array([1], np.int64))
    hidden = graph.constant("hidden_size", np.array([config.hidden_size], np.int64))
    batch = graph.node("Gather", [size, one], "batch_size_alone", axis=0)  # (1)
    shape = graph.node("Concat", [one, batch, hidden], "state_shape", axis=0)
    zero = numpy_helper.from_array(np.zeros(1, np.float32))
    return graph.node("ConstantOfShape", [shape], "zero_state", value=zero)


def write_recurrence(
    graph: Graph,
    config: ModelConfig,
    weights: Weights,
    layer: int,
    direction: Literal["forward", "backward"],
    x: str,
    before: Sequence[str],
    after: Sequence[str] = (),
) -> str:
    """Write one layer in one direction, (t, b, E) -> (t, b, H).

    Args:
        graph: the graph to write to.
        config: the network's configuration.
        weights: the network's weights, by PyTorch's names.
        layer: number of the layer, from 0.
        direction: a backward one gets its input reversed.
        x: name of the input.
        before: names of the initial hidden state and an LSTM's cell state, [1, b, H] each.
        after: names for the same states after the last step; where nothing reads them, their own,
            because some engines open only nodes with all outputs named.
    """
    cell = CELLS[config.cell]
    gates = cell.onnx_gates

    def onnx_gates(kind: str) -> NDArray[np.float32]:
        suffix = "_reverse" if direction == "backward" else ""
        blocks = np.split(weights[f"recurrence.{kind}_l{layer}{suffix}"], len(gates))
        by_gate = dict(zip(cell.pytorch_gates, blocks, strict=True))
        return np.concatenate([by_gate[gate] for gate in gates])

    name = f"layer{layer}.{direction}"
    biases = np.concatenate([onnx_gates("bias_ih"), onnx_gates("bias_hh")])
    attributes = {"hidden_size": config.hidden_size, **ATTRIBUTES[config.cell]}
    if config.nonlinearity != "tanh":
        attributes["activations"] = [config.nonlinearity.title()]
    hidden = graph.node(
        cell.title,
        [
            x,
            graph.weight(f"{name}.W_{gates}", onnx_gates("weight_ih")[None], channels=1),
            graph.weight(f"{name}.R_{gates}", onnx_gates("weight_hh")[None], channels=1),
            graph.constant(f"{name}.B_{gates}", biases[None]),
            "",  # leaves out sequence_lens
            *before,
        ],
        f"{name}.hidden",
        *(after or [f"{name}.last_{state}" for state in cell.states]),
        **attributes,
    )  # (t, 1, b, H)
    return graph.node("Squeeze", [hidden], f"{name}.steps", axes=[1])


def write_projection(
    graph: Graph, weights: Weights, hidden: str, name: str = "projection.output"
) -> str:
    """Write the Linear layer, (..., features) -> (..., labels), under a name."""
    matrix = graph.weight("projection.weight", weights["projection.weight"].T, channels=1)
    bias = graph.constant("projection.bias", weights["projection.bias"])
    product = graph.node("MatMul", [hidden, matrix], "projection.product")
    return graph.node("Add", [product, bias], name)


def value_info(tensor: TensorSpec) -> onnx.ValueInfoProto:
    """Return the graph's declaration of an input or output."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, element, list(tensor.axes))
