"""Writes the ONNX graph of a network from its weights; nothing is traced.

PyTorch and ONNX write the same three recurrences with their gates in another order. With `W` for
the input's weights, `R` for the hidden state's, `b` and `c` for their biases, and E, H the widths
of input and hidden state:

RNN (one gate)
    h' = tanh(W x + b + R h + c)

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

So for a network of G gates, `weight_ih` and `weight_hh`, [G*H, E] and [G*H, H], become `W` and `R`,
[1, G*H, E] and [1, G*H, H], with their blocks of H rows put into ONNX's order; `bias_ih` and
`bias_hh`, [G*H] each, are put into that order and laid one after the other into `B`, [1, 2*G*H].
The leading 1 is ONNX's count of directions.

Two directions are two forward nodes in each layer. The backward one reads its input through
`ReverseSequence`, which turns each row around within its own length, and its output is turned back
the same way. ONNX's bidirectional node with `sequence_lens` would say the same in fewer nodes, but
only onnxruntime honours that input: other engines read the padding and are wrong by up to 0.25.

Operators: https://onnx.ai/onnx/operators, in the versions of opset 12, the oldest that has all of
them (`Clip` on int32); its IR version is 7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx
from hello_runtime.model_file import FORMAT_VERSION
from hello_train.checkpoint import Training
from hello_train.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.model import Network, allowed_labels
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from hello_export.lookup import PAGE, build_lookup
from hello_export.signature import TensorSpec, inputs, outputs

OPSET = 12
IR_VERSION = 7

OPERATORS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
GATE_ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
"""Which of PyTorch's gates stands at each of ONNX's places."""

Weights = Mapping[str, NDArray[np.float32]]


def build_model(network: Network, training: Training) -> ModelProto:
    """Return the network as a model that reads and writes code points.

    Its inputs and outputs are those of `hello_export.signature`; what a runtime needs to know
    beside them is in its metadata.
    """
    config = network.config
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    weights["vectors"] = network.vectors().detach().numpy()
    graph = Graph()
    write_network(graph, config, weights)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"{config.cell}, {config.layers} layers, {config.directions} directions",
            [value_info(tensor) for tensor in inputs(config)],
            [value_info(tensor) for tensor in outputs(config)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hello-rnn",
        producer_version=version("hello-rnn"),
    )
    helper.set_model_props(model, metadata(config, training))
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(config: ModelConfig, training: Training) -> dict[str, str]:
    """Return what the model file says of itself; values that are not plain words are JSON."""
    return {
        "format_version": str(FORMAT_VERSION),
        "cell": config.cell,
        "causal": json.dumps(not config.bidirectional),
        "layers": str(config.layers),
        "hidden_size": str(config.hidden_size),
        "input_alphabet": json.dumps(config.input_alphabet),
        "output_alphabet": json.dumps(config.output_alphabet),
        "unknown": config.unknown,
        "guard": json.dumps(config.guard),
        "training": json.dumps(asdict(training)),
    }


class Graph:
    """Collects nodes and constants; a node is named after its first output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, given: Sequence[str], *made: str, **attributes: Any) -> str:
        """Add a node that makes the values `made` of the values `given`; return the first."""
        self.nodes.append(helper.make_node(operator, given, made, name=made[0], **attributes))
        return made[0]


def write_network(graph: Graph, config: ModelConfig, weights: Weights) -> None:
    """Write everything between the code points read and the code points written."""
    ids = write_lookup(graph, config)  # (b, t)
    steps = graph.node("Transpose", [ids], "ids_by_time", perm=[1, 0])  # (t, b)
    vectors = graph.constant("embedding", weights["vectors"])  # (ids, E)
    hidden = graph.node("Gather", [vectors, steps], "embedded", axis=0)  # (t, b, E)
    if config.bidirectional:
        hidden = write_bidirectional_layers(graph, config, weights, hidden)  # (t, b, 2H)
    else:
        hidden = write_causal_layers(graph, config, weights, hidden)  # (t, b, H)
    if config.projection:
        hidden = write_projection(graph, weights, hidden)  # (t, b, labels)
    write_guarded_logits(graph, config, hidden, ids)  # (b, t, labels)
    write_choice(graph, config, ids)  # (b, t)


def write_lookup(graph: Graph, config: ModelConfig) -> str:
    """Write the way from code points to ids, both int32 [batch, time]."""
    lookup = build_lookup(config.input_alphabet)
    first = graph.constant("first_codepoint", np.array(0, np.int32))
    last = graph.constant("last_codepoint", np.array(lookup.last, np.int32))
    page_size = graph.constant("page_size", np.array(PAGE, np.int32))
    page_starts = graph.constant("page_starts", lookup.page_starts)
    page_ids = graph.constant("page_ids", lookup.ids)
    bounded = graph.node("Clip", ["codepoints", first, last], "bounded_codepoints")
    page = graph.node("Div", [bounded, page_size], "page")
    offset = graph.node("Mod", [bounded, page_size], "page_offset")
    start = graph.node("Gather", [page_starts, page], "page_start", axis=0)
    position = graph.node("Add", [start, offset], "page_position")
    return graph.node("Gather", [page_ids, position], "ids", axis=0)


def write_causal_layers(graph: Graph, config: ModelConfig, weights: Weights, x: str) -> str:
    """Write the layers of a causal network, (t, b, E) -> (t, b, H), from `state` to `state_out`.

    The state's slots are the layers' hidden states, then, for an LSTM, the layers' cell states.
    """
    before = [f"state{slot}" for slot in range(config.slots)]
    after = [f"state_out{slot}" for slot in range(config.slots)]
    graph.node("Split", ["state"], *before, axis=0)
    for layer in range(config.layers):
        own_slots = slice(layer, None, config.layers)
        x = write_recurrence(
            graph, config, weights, f"layer{layer}", x, layer, before[own_slots], after[own_slots]
        )
    graph.node("Concat", after, "state_out", axis=0)
    return x


def write_bidirectional_layers(graph: Graph, config: ModelConfig, weights: Weights, x: str) -> str:
    """Write the layers of a bidirectional network, (t, b, E) -> (t, b, 2H), from zero states."""
    lengths = graph.node("Cast", ["lengths"], "row_lengths", to=TensorProto.INT64)
    around = {"time_axis": 0, "batch_axis": 1}
    for layer in range(config.layers):
        name = f"layer{layer}"
        ahead = write_recurrence(graph, config, weights, f"{name}.forward", x, layer)
        turned = graph.node("ReverseSequence", [x, lengths], f"{name}.backward.input", **around)
        back = write_recurrence(
            graph, config, weights, f"{name}.backward", turned, layer, suffix="_reverse"
        )
        back = graph.node("ReverseSequence", [back, lengths], f"{name}.backward.output", **around)
        x = graph.node("Concat", [ahead, back], f"{name}.output", axis=2)
    return x


def write_recurrence(
    graph: Graph,
    config: ModelConfig,
    weights: Weights,
    name: str,
    x: str,
    layer: int,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    suffix: str = "",
) -> str:
    """Write one layer in one direction, (t, b, E) -> (t, b, H).

    Args:
        graph: where to.
        config: the network's configuration.
        weights: the network's weights, by PyTorch's names.
        name: what the layer and direction are called in the graph.
        x: the input's name.
        layer: which of PyTorch's layers.
        before: names of the initial hidden state and an LSTM's cell state, [1, b, H] each; none
            for zeros.
        after: what to call the same states after the last step.
        suffix: of PyTorch's names for this direction.
    """

    def onnx_gates(kind: str) -> NDArray[np.float32]:
        gates = np.split(
            weights[f"recurrence.{kind}_l{layer}{suffix}"], len(GATE_ORDER[config.cell])
        )
        return np.concatenate([gates[place] for place in GATE_ORDER[config.cell]])

    biases = np.concatenate([onnx_gates("bias_ih"), onnx_gates("bias_hh")])
    given = [
        x,
        graph.constant(f"{name}.W", onnx_gates("weight_ih")[None]),  # (1, G*H, E)
        graph.constant(f"{name}.R", onnx_gates("weight_hh")[None]),  # (1, G*H, H)
        graph.constant(f"{name}.B", biases[None]),  # (1, 2*G*H)
    ]
    if before:
        given += ["", *before]  # the empty name leaves out sequence_lens
    attributes: dict[str, Any] = {"hidden_size": config.hidden_size}
    if config.cell == "gru":
        attributes["linear_before_reset"] = 1
    hidden = graph.node(
        OPERATORS[config.cell], given, f"{name}.hidden", *after, **attributes
    )  # (t, 1, b, H)
    return graph.node("Squeeze", [hidden], f"{name}.steps", axes=[1])


def write_projection(graph: Graph, weights: Weights, hidden: str) -> str:
    """Write the Linear layer, (t, b, features) -> (t, b, labels)."""
    matrix = graph.constant("projection.weight", weights["projection.weight"].T)
    bias = graph.constant("projection.bias", weights["projection.bias"])
    product = graph.node("MatMul", [hidden, matrix], "projection.product")
    return graph.node("Add", [product, bias], "projection.output")


def write_guarded_logits(graph: Graph, config: ModelConfig, hidden: str, ids: str) -> None:
    """Write `logits`, (t, b, labels) -> (b, t, labels), with what the guard forbids put out."""
    if config.guard is None:
        graph.node("Transpose", [hidden], "logits", perm=[1, 0, 2])
        return
    free = graph.node("Transpose", [hidden], "unguarded_logits", perm=[1, 0, 2])
    table = graph.constant("allowed_labels", allowed_labels(config).numpy())
    allowed = graph.node("Gather", [table, ids], "allowed", axis=0)
    forbidden = graph.constant("forbidden_logit", np.array(FORBIDDEN_LOGIT, np.float32))
    graph.node("Where", [allowed, free, forbidden], "logits")


def write_choice(graph: Graph, config: ModelConfig, ids: str) -> None:
    """Write `decoded` and `confidence`, (b, t), from `logits`; unknown characters are copied."""
    unknown_id = graph.constant("unknown_id", np.array(config.unknown_id, np.int32))
    known = graph.node("Less", [ids, unknown_id], "known")

    characters = np.array([ord(char) for char in config.output_alphabet], np.int32)
    label_codepoints = graph.constant("label_codepoints", characters)
    label = graph.node("ArgMax", ["logits"], "label", axis=2, keepdims=0)
    rewritten = graph.node("Gather", [label_codepoints, label], "rewritten", axis=0)
    graph.node("Where", [known, rewritten, "codepoints"], "decoded")

    certain = graph.constant("certain", np.array(1, np.float32))
    probabilities = graph.node("Softmax", ["logits"], "probabilities", axis=2)
    highest = graph.node("ReduceMax", [probabilities], "highest_probability", axes=[2], keepdims=0)
    graph.node("Where", [known, highest, certain], "confidence")


def value_info(tensor: TensorSpec) -> onnx.ValueInfoProto:
    """Return an input or output as the graph declares it."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, element, list(tensor.axes))
