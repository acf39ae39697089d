"""Checks what a graph would do, before an engine runs it.

A model file may come from a stranger, and an engine computes whatever the file says: an endless
loop, constants that expand to terabytes while it opens, a division that crashes the process. So a
graph is accepted only if `hello_export.graph.onnx_graph` could have written it:

- Its operators are those in `operators`, with the version and attributes that we write. There are
  no subgraphs and no functions, and the nodes are in the order in which they run.
- Its inputs and outputs have the names, types and axes of `docs/engines.md`.
- Every shape is known beforehand. The only free sizes are `batch` and `time`, each at most once in
  a tensor. So a call allocates and multiplies at most a constant times batch x time, and the size
  of the file limits that constant (`Budget`).
- Each element of `decoded` is a copy of one of a label in the metadata, or of an input code point,
  if a label keeps those or the policy for unknown characters copies them. Each `label` of a
  classifier is the number of one of its classes.

Not checked: that the text is any good. Not limited: the memory for a large file, which grows with
the file. And `Gather` and `GatherND` have indices that are known only when the graph runs;
onnxruntime's CPU kernels check them, other providers may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from hello_runtime.errors import first_line, need
from hello_runtime.model.labels import oldest_format, width_of
from hello_runtime.model.onnx_wire import Attribute, Graph, Node, Tensor, ValueInfo
from hello_runtime.model.operators import INT, INTS, OPERATORS, STRINGS, TENSOR, Operator
from hello_runtime.model.tensors import DTYPES, MAX_RANK, Shape, Value, constant
from hello_runtime.text.edits import KEEP, KEPT, NOTHING, edit_table

if TYPE_CHECKING:
    from hello_runtime.model.tasks import Task
    from hello_runtime.text.edits import Edit

BATCH, TIME = "batch", "time"
"""The free sizes."""

Declared: TypeAlias = "tuple[str, Shape]"
"""The type and shape of an input or output."""
State: TypeAlias = "tuple[int, int] | None"
"""The slots and the hidden size of a model's state; None for one that needs the whole line."""

CODEPOINTS: Declared = ("int32", (BATCH, TIME))
LENGTHS: Declared = ("int32", (BATCH,))

MAX_NODES = 4096
"""Two directions of 64 layers with int8 weights have about 1100. The time to open a model grows
with the square of the number."""

MAX_WIDTH = 1024
MAX_FIXED = 1 << 16
MAX_PRODUCTS = 1 << 16
"""What even the smallest file may use; `Budget` adds to it in proportion to the file's size."""


class Permitted(NamedTuple):
    """What the metadata permits a model to say."""

    task: Task
    labels: Sequence[Edit]
    """What it may write for a character; none of a classifier."""
    size: int
    """The number of its labels, or classes."""
    copies: bool
    """Whether it may also copy a character, without such a label."""


class CheckedGraph(NamedTuple):
    """What an engine call of a checked graph takes, gives and costs."""

    state: State
    outputs: Mapping[str, Declared]
    """The type and shape of each output, in order."""
    numbers: int
    """How many numbers it makes of each character, in all its nodes."""


def check_graph(graph: Graph, permitted: Permitted, file_size: int) -> CheckedGraph:
    """Check that hello-export could have written a graph, and that its file's size limits its cost.

    Raises:
        ValueError: the graph is refused; the message says where and why.
    """
    inputs = declarations(graph.input)
    state = state_of(inputs)
    values = infer_values(graph, inputs, file_size)
    outputs = outputs_of(permitted, state)
    check_outputs(declarations(graph.output), values, outputs)
    if permitted.task == "rewrite":
        check_labels(
            values["decoded"], graph.initializer, permitted.labels, copies=permitted.copies
        )
    elif permitted.task == "classify":
        check_classes(values["label"], graph.initializer, permitted.size)
    sizes = [size_of(value.shape) for value in values.values()]
    return CheckedGraph(state, outputs, sum(count for count, free in sizes if free))


def infer_values(graph: Graph, inputs: Mapping[str, Declared], file_size: int) -> dict[str, Value]:
    """Return what is known of each value in a graph, by name.

    Raises:
        ValueError: a node is none that we write, or makes more than the file explains.
    """
    need(len(graph.node) <= MAX_NODES, f"it has more than {MAX_NODES} nodes")
    budget = Budget(file_size, sum(prod(tensor.dims) for tensor in graph.initializer))
    values: dict[str, Value] = {}
    for name, (dtype, shape) in inputs.items():
        budget.allocate(shape)
        add(values, name, Value(dtype, shape, sources=frozenset([name])))
    for tensor in graph.initializer:
        with located("constant", tensor.name):
            add(values, tensor.name, constant(tensor))
    for node in graph.node:
        with located(node.op_type, node.name):
            run_node(node, values, budget)
    return values


@contextmanager
def located(kind: str, name: str) -> Iterator[None]:
    """Add the kind and name of a node or constant to the ValueErrors of this context."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{first_line(kind, 40)} {first_line(name, 40)!r}: {error}") from error


class Budget:
    """Adds up what a graph allocates and multiplies, and refuses more than its file explains.

    A graph that we write expands each weight at most twice (`Cast`, `Mul`), and multiplies by it
    once in each step. The tensors of a step together have fewer elements than half the bytes of the
    file. For the wide tensors are as wide as a hidden state, whose recurrent matrix has the square
    of that, or as the labels, each of which has a column of weights, a bias, a code point and a
    character in the metadata.
    """

    def __init__(self, file_size: int, weights: int) -> None:
        """Set the limits; `weights` is the number of elements of all constants."""
        self._width = MAX_WIDTH + file_size // 2
        self._fixed = MAX_FIXED + 4 * weights
        self._products = MAX_PRODUCTS + 2 * weights

    def allocate(self, shape: Shape) -> None:
        """Count the elements of a tensor: per step, or in all if it has no free size."""
        need(len(shape) <= MAX_RANK, "it makes too many axes")
        count, free = size_of(shape)
        need(len(set(free)) == len(free), "its size grows with the square of what it is given")
        if free:
            self._width -= count
        else:
            self._fixed -= count
        need(self._width >= 0 and self._fixed >= 0, "it makes more than the file's size explains")

    def multiply(self, data: Shape, weights: Sequence[Shape]) -> None:
        """Count the products of each step with weights, and the elements of their result."""
        steps, _ = size_of(data[:-1])
        for shape in weights:
            count, free = size_of(shape)
            need(not free, "its weights have no fixed size")
            self._products -= steps * count
        need(self._products >= 0, "it multiplies by more weights than the file has")
        self.allocate((*data[:-1], weights[0][1]))


def size_of(shape: Shape) -> tuple[int, list[str]]:
    """Return the product of the fixed sizes, and the names of the free ones."""
    fixed = prod(size for size in shape if isinstance(size, int))
    return fixed, [size for size in shape if isinstance(size, str)]


def add(values: dict[str, Value], name: str, value: Value) -> None:
    """Add a value to the known ones, under a new name."""
    need(name and name not in values, f"a second value of the name {first_line(name, 40)!r}")
    values[name] = value


def run_node(node: Node, values: dict[str, Value], budget: Budget) -> None:
    """Add what is known of a node's outputs to the known values."""
    operator = OPERATORS.get(node.op_type)
    if operator is None:
        raise ValueError("hello-export writes no such operator")
    need(node.output, "it makes nothing")
    inputs = known_inputs(node, operator, values)
    arguments = attributes(node, operator)
    if operator.counts_outputs:
        arguments["outputs"] = len(node.output)
    made = operator.rule(*inputs, **arguments)
    results = made if isinstance(made, list) else [made]
    need(len(node.output) <= len(results), "it has too many outputs")
    if operator.weights:
        budget.multiply(inputs[0].shape, [inputs[index].shape for index in operator.weights])
    for value in results:
        budget.allocate(value.shape)
    for name, value in zip(node.output, results, strict=False):
        if name:  # an output without a name is not used
            add(values, name, value)


def known_inputs(node: Node, operator: Operator, values: Mapping[str, Value]) -> list[Value]:
    """Return what is known of a node's inputs, without the empty one."""
    names, empty = list(node.input), operator.empty_input
    if empty is not None and len(names) > empty:
        need(names.pop(empty) == "", f"its input {empty} is not left out")
    need(names and operator.inputs in (len(names), None), "it has another number of inputs")
    for name in names:
        need(name in values, f"nothing before it makes its input {first_line(name, 40)!r}")
    return [values[name] for name in names]


def attributes(node: Node, operator: Operator) -> dict[str, Any]:
    """Return the attributes of a node by name, checked against its operator."""
    kinds = {**operator.attributes, **operator.optional}
    found = {item.name: attribute_value(item, kinds.get(item.name)) for item in node.attribute}
    need(len(found) == len(node.attribute), "it has an attribute twice")
    need(found.keys() >= operator.attributes.keys(), "it lacks an attribute")
    return found


def attribute_value(attribute: Attribute, kind: int | None) -> Any:
    """Return the value of an attribute, which must have the one type `kind`."""
    values: dict[int, Any] = {INT: attribute.i, TENSOR: attribute.t}
    values |= {INTS: attribute.ints or None, STRINGS: attribute.strings or None}
    given = [number for number, value in values.items() if value is not None]
    need(
        given == [kind] == [attribute.type],
        f"its attribute {first_line(attribute.name, 40)!r} is none that we write",
    )
    return values[attribute.type]


def declarations(declared: Sequence[ValueInfo]) -> dict[str, Declared]:
    """Return the declared types and shapes of inputs or outputs by name."""
    found = {}
    for info in declared:
        tensor = info.type and info.type.tensor_type
        if not tensor or not tensor.shape:
            raise ValueError("an input or output has no type or shape")
        found[info.name] = (
            DTYPES.get(tensor.elem_type, "unknown"),
            tuple(
                size.dim_param or "unknown" if size.dim_value is None else size.dim_value
                for size in tensor.shape.dim
            ),
        )
    need(len(found) == len(declared), "an input or output is declared twice")
    return found


def state_of(inputs: Mapping[str, Declared]) -> State:
    """Return the state of a model; None if it has lengths instead.

    Raises:
        ValueError: the inputs are those of neither.
    """
    match list(inputs.items()):
        case [("codepoints", codepoints), ("lengths", lengths)]:
            if (codepoints, lengths) == (CODEPOINTS, LENGTHS):
                return None
        case [("codepoints", codepoints), ("state", ("float32", (int(slots), "batch", int(size))))]:
            if codepoints == CODEPOINTS and slots > 0 and size > 0:
                return slots, size
    raise ValueError("its inputs are not codepoints with lengths, or with a state")


def outputs_of(permitted: Permitted, state: tuple[int, int] | None) -> dict[str, Declared]:
    """Return the outputs that a model must declare, in order."""
    axes: Shape = (BATCH,) if permitted.task == "classify" else (BATCH, TIME)
    expected: dict[str, Declared] = {}
    if permitted.task == "classify":
        expected["label"] = ("int32", axes)
    elif permitted.task == "rewrite":
        width = width_of(permitted.labels)
        expected["decoded"] = ("int32", axes if width is None else (*axes, width))
    if permitted.task != "next":
        expected["confidence"] = ("float32", axes)
    expected["logits"] = ("float32", (*axes, permitted.size))
    if state:
        expected["state_out"] = ("float32", (state[0], BATCH, state[1]))
    return expected


def check_outputs(
    declared: Mapping[str, Declared],
    values: Mapping[str, Value],
    expected: Mapping[str, Declared],
) -> None:
    """Raise a ValueError unless the declared outputs are the expected ones, and computed so."""
    need(list(declared) == list(expected), f"its outputs are not {', '.join(expected)}")
    for name, (dtype, shape) in expected.items():
        need(declared[name] == (dtype, shape), f"the output {name} is declared otherwise")
        value = values.get(name)
        need(value and value[:2] == (dtype, shape), f"the output {name} is not what is declared")


def check_labels(
    decoded: Value, constants: Sequence[Tensor], labels: Sequence[Edit], *, copies: bool
) -> None:
    """Raise a ValueError if a graph may write anything but its labels, and copies if `copies`."""
    if decoded.sources is None:
        raise ValueError("what it writes is computed and not chosen")
    keeps = copies or any(KEEP in label for label in labels)
    allowed = set(edit_table(labels).ravel().tolist())
    if copies and oldest_format(labels, "copy") > 1:
        allowed |= {KEPT, NOTHING}  # of the row that copies
    for tensor in constants:
        if tensor.name in decoded.sources:
            table = np.frombuffer(tensor.raw_data, "<i4")
            need(allowed.issuperset(table.tolist()), "it writes what is none of its labels")
    foreign = decoded.sources - {"codepoints", *(item.name for item in constants)}
    need(not foreign, "it writes what is no character")
    need(keeps or "codepoints" not in decoded.sources, "it copies what it should label")
    need(not copies or "codepoints" in decoded.sources, "it labels what it should copy")


def check_classes(label: Value, constants: Sequence[Tensor], count: int) -> None:
    """Raise a ValueError unless a line's label is the number of a class, copied from a constant."""
    sources = label.sources or frozenset()
    tables = [np.frombuffer(t.raw_data, "<i4") for t in constants if t.name in sources]
    need(tables and len(tables) == len(sources), "its label is computed and not chosen")
    known = all(table.min() >= 0 and table.max() < count for table in tables)
    need(known, "its label is the number of no class")
