"""The operators that a model may have, and what each makes of the shapes that it is given.

Each rule takes what is known of an operator's inputs, refuses what the operator cannot take, and
returns what is known of its outputs: their type and shape, worked out without running anything. In
a shape each axis is a number or the name of one that is free, `batch` or `time`. A number comes
from a shape that is written in the file, so a tensor can be as large as one likes only where the
file says so, and `graph_check` adds that up.

A new operator is a rule of a few lines here and an entry in `OPERATORS`. What the operators compute
stands at https://onnx.ai/onnx/operators, in the versions of opset 12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from hello_runtime.model.onnx_wire import Tensor, need

Size: TypeAlias = "int | str"
Shape: TypeAlias = "tuple[Size, ...]"

DTYPES = {1: "float32", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
"""The types of elements, by ONNX's numbers."""

CASTS = {("int32", "int64"), ("float16", "float32"), ("int8", "float32")}

MAX_RANK = 6
"""More axes than any of our tensors has."""
FEW = 8
"""The elements that are remembered of a tensor, at most, for they may be sizes; and the sources."""


class Value(NamedTuple):
    """What is known of a tensor before anything runs."""

    dtype: str
    shape: Shape
    elements: Shape | None = None
    """The elements, where they are integers, few, and known: numbers, and names of free axes."""
    sources: frozenset[str] | None = None
    """The constants and inputs whose elements these are, unchanged, in any order and number; None
    where they are computed."""


def constant(tensor: Tensor) -> Value:
    """Return what is known of a constant; its values must be all there."""
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise ValueError(f"has elements of type {tensor.data_type}")
    shape = tuple(tensor.dims)
    need(len(shape) <= MAX_RANK and all(size > 0 for size in shape), "has no possible shape")
    count = prod(shape)
    need(len(tensor.raw_data) == count * np.dtype(dtype).itemsize, "is not as long as its shape")
    elements = None
    if dtype in ("int32", "int64") and count <= FEW and len(shape) < 2:
        elements = tuple(np.frombuffer(tensor.raw_data, dtype).tolist())
    return Value(dtype, shape, elements, frozenset([tensor.name]))


# Helpers of the rules.


def same_type(*values: Value) -> str:
    """Return the type that values share."""
    need(len({value.dtype for value in values}) == 1, "its inputs differ in type")
    return values[0].dtype


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape of tensors that are stretched to fit each other along axes of size 1."""
    rank = max(map(len, shapes))
    axes = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    return tuple(stretched(sizes) for sizes in axes)


def stretched(sizes: Sequence[Size]) -> Size:
    """Return the size of an axis on which tensors of these sizes meet."""
    wide = set(sizes) - {1}
    need(len(wide) <= 1, f"its inputs differ in size: {' and '.join(map(str, wide))}")
    return wide.pop() if wide else 1


def joined_sources(*values: Value) -> frozenset[str] | None:
    """Return the sources of values that are put together, if they are few."""
    sources = [value.sources for value in values if value.sources is not None]
    if len(sources) < len(values):
        return None
    joined: frozenset[str] = frozenset().union(*sources)
    return joined if len(joined) <= FEW else None


def scalar(value: Value) -> Size | None:
    """Return the one element of a value without axes, if it is known."""
    return value.elements[0] if value.elements and value.shape == () else None


def check_axis(value: Value, axis: int, behind: int = 0) -> None:
    """Refuse an axis that a value has not; `behind` allows for axes that are added."""
    need(0 <= axis < len(value.shape) + behind, f"there is no axis {axis}")


# The rules: operators that move elements.


def transpose(data: Value, *, perm: Sequence[int]) -> Value:
    """Put the axes into another order."""
    need(sorted(perm) == list(range(len(data.shape))), "perm is no order of the axes")
    return Value(data.dtype, tuple(data.shape[axis] for axis in perm), None, data.sources)


def squeeze(data: Value, *, axes: Sequence[int]) -> Value:
    """Drop axes of size 1."""
    for axis in axes:
        check_axis(data, axis)
        need(data.shape[axis] == 1, "an axis that it drops is not of size 1")
    kept = tuple(size for axis, size in enumerate(data.shape) if axis not in axes)
    return Value(data.dtype, kept, None, data.sources)


def unsqueeze(data: Value, *, axes: Sequence[int]) -> Value:
    """Add an axis of size 1."""
    need(len(axes) == 1, "it adds more than one axis")
    check_axis(data, axes[0], behind=1)
    shape = (*data.shape[: axes[0]], 1, *data.shape[axes[0] :])
    return Value(data.dtype, shape, None, data.sources)


def split(data: Value, *, axis: int, outputs: int) -> list[Value]:
    """Cut into pieces of equal size."""
    check_axis(data, axis)
    size = data.shape[axis]
    if not isinstance(size, int) or size % outputs:
        raise ValueError(f"{size} is not to be cut into {outputs}")
    shape = (*data.shape[:axis], size // outputs, *data.shape[axis + 1 :])
    return [Value(data.dtype, shape, None, data.sources)] * outputs


def concat(*values: Value, axis: int) -> Value:
    """Put values behind each other along an axis of known size."""
    check_axis(values[0], axis)
    need(len({len(value.shape) for value in values}) == 1, "its inputs differ in their axes")
    around = {(*value.shape[:axis], *value.shape[axis + 1 :]) for value in values}
    need(len(around) == 1, "its inputs differ in size")
    sizes = [value.shape[axis] for value in values]
    total = sum(size for size in sizes if isinstance(size, int))
    need(all(isinstance(size, int) for size in sizes), "it is of no known size")
    shape = (*values[0].shape[:axis], total, *values[0].shape[axis + 1 :])
    parts = [value.elements for value in values if value.elements is not None]
    known = len(parts) == len(values) and total <= FEW
    elements = tuple(size for part in parts for size in part) if known else None
    return Value(same_type(*values), shape, elements, joined_sources(*values))


def gather(data: Value, index: Value, *, axis: int) -> Value:
    """Take entries of the first axis; the engine refuses an index that there is not."""
    need(axis == 0 and data.shape, "it takes entries of another axis than the first")
    need(index.dtype in ("int32", "int64"), "its index is no integer")
    elements = None
    if data.elements is not None and index.elements is not None:
        places = [place for place in index.elements if isinstance(place, int)]
        need(all(0 <= place < len(data.elements) for place in places), "there is no such entry")
        if len(places) == len(index.elements):
            elements = tuple(data.elements[place] for place in places)
    return Value(data.dtype, index.shape + data.shape[1:], elements, data.sources)


def gather_nd(data: Value, index: Value) -> Value:
    """Take the entries whose places, on the first axes, stand along the index's last axis."""
    need(index.dtype == "int64" and index.shape, "its index is no list of places")
    axes = index.shape[-1]
    if not isinstance(axes, int) or axes > len(data.shape):
        raise ValueError("its index has too many axes")
    return Value(data.dtype, index.shape[:-1] + data.shape[axes:], None, data.sources)


def where(condition: Value, yes: Value, no: Value) -> Value:
    """Choose between two values, element by element."""
    need(condition.dtype == "bool", "its condition is not true or false")
    shape = broadcast(condition.shape, yes.shape, no.shape)
    return Value(same_type(yes, no), shape, None, joined_sources(yes, no))


# Operators that make sizes, and tensors of them.


def shape_of(data: Value) -> Value:
    """Tell the sizes of the axes."""
    return Value("int64", (len(data.shape),), data.shape)


def expand(data: Value, shape: Value) -> Value:
    """Stretch to a shape."""
    return Value(data.dtype, broadcast(data.shape, sizes(shape)), None, data.sources)


def constant_of_shape(shape: Value, *, value: Tensor) -> Value:
    """Fill a shape with a number."""
    filling = constant(value)
    need(prod(value.dims) == 1, "its value is not one number")
    return Value(filling.dtype, sizes(shape))


def sizes(shape: Value) -> Shape:
    """Return the shape that a value asks for."""
    if shape.dtype != "int64" or shape.elements is None or len(shape.shape) != 1:
        raise ValueError("the shape that it makes is not known")
    need(all(isinstance(size, str) or size > 0 for size in shape.elements), "it makes a size of 0")
    return shape.elements


def count_up(start: Value, limit: Value, delta: Value) -> Value:
    """Count from 0 to a limit by 1."""
    dtype = same_type(start, limit, delta)
    size = scalar(limit)
    if scalar(start) != 0 or scalar(delta) != 1 or size is None:
        raise ValueError("it does not count from 0 to a known limit by 1")
    need(isinstance(size, str) or size > 0, "it makes a size of 0")
    return Value(dtype, (size,))


# Operators that compute.


def elementwise(*values: Value) -> Value:
    """Compute a number of numbers that stand at the same place."""
    return Value(same_type(*values), broadcast(*(value.shape for value in values)))


def less(left: Value, right: Value) -> Value:
    """Tell which numbers on the left are smaller than those on the right."""
    return elementwise(left, right)._replace(dtype="bool")


def divide(data: Value, divisor: Value) -> Value:
    """Divide integers; by 0, or the least integer by -1, would end the process."""
    by = scalar(divisor)
    need(isinstance(by, int) and by > 0, "it divides by what is not a positive constant")
    return elementwise(data, divisor)


def clip(data: Value, low: Value, high: Value) -> Value:
    """Bound numbers from below and above."""
    need(low.shape == high.shape == (), "its bounds are not two numbers")
    return elementwise(data, low, high)


def cast(data: Value, *, to: int) -> Value:
    """Change the type to a wider one."""
    dtype = DTYPES.get(to, "")
    need((data.dtype, dtype) in CASTS, f"it makes type {to} of {data.dtype}")
    return Value(dtype, data.shape)


def matmul(data: Value, matrix: Value) -> Value:
    """Multiply the last axis by a matrix."""
    need(len(matrix.shape) == 2 and len(data.shape) > 1, "it multiplies by what is no matrix")
    need(data.shape[-1] == matrix.shape[0], "its inputs differ in size")
    return Value(same_type(data, matrix), (*data.shape[:-1], matrix.shape[1]))


def softmax(data: Value, *, axis: int) -> Value:
    """Make probabilities along the last axis."""
    need(axis == len(data.shape) - 1, "it is not along the last axis")
    return Value(data.dtype, data.shape)


def reduce(data: Value, *, axes: Sequence[int], keepdims: int) -> Value:
    """Take one number of each line along some axes."""
    for axis in axes:
        check_axis(data, axis)
    shape = [1 if axis in axes else size for axis, size in enumerate(data.shape)]
    kept = [size for axis, size in enumerate(shape) if keepdims or axis not in axes]
    return Value(data.dtype, tuple(kept))


def argmax(data: Value, *, axis: int, keepdims: int) -> Value:
    """Tell where the largest number of each line along an axis stands."""
    return reduce(data, axes=[axis], keepdims=keepdims)._replace(dtype="int64")


def recurrence(
    x: Value,
    w: Value,
    r: Value,
    bias: Value,
    *initial: Value,
    gates: int,
    hidden_size: int,
    activations: Sequence[str] = ("Tanh",),
    linear_before_reset: int = 1,
) -> list[Value]:
    """Run a recurrent layer of `gates` gates over the first axis, from its initial states."""
    need(len(x.shape) == 3, "its input has not the axes time, batch and width")
    time, batch, width = x.shape
    need(isinstance(width, int) and hidden_size > 0, "it has no width")
    need(list(activations) in (["Tanh"], ["Relu"]), "its activation is neither Tanh nor Relu")
    need(linear_before_reset == 1, "linear_before_reset is not 1")
    rows, state = gates * hidden_size, (1, batch, hidden_size)
    shapes = [(1, rows, width), (1, rows, hidden_size), (1, 2 * rows), *[state] * len(initial)]
    found = [value.shape for value in (w, r, bias, *initial)]
    need(found == shapes, f"its weights and states have the shapes {found}, not {shapes}")
    dtype = same_type(x, w, r, bias, *initial)
    return [Value(dtype, (time, 1, batch, hidden_size)), *[Value(dtype, state)] * len(initial)]


Rule: TypeAlias = "Callable[..., Value | list[Value]]"

INT, TENSOR, INTS, STRINGS = 2, 4, 7, 8
"""The types of attributes, by ONNX's numbers."""


class Operator(NamedTuple):
    """What a node of this operator looks like."""

    rule: Rule
    inputs: int | None
    """How many, without the one that is left out; None for one or more."""
    attributes: Mapping[str, int] = {}
    """Those that it has, and of which type."""
    optional: Mapping[str, int] = {}
    """Those that it may have."""
    weights: Sequence[int] = ()
    """The inputs by which every step of the first one is multiplied."""
    left_out: int | None = None
    """The input that stays empty."""
    told_outputs: bool = False
    """Whether the rule is told how many outputs the node has."""


def recurrent(gates: int, states: int, **attributes: int) -> Operator:
    """Return a recurrent operator; it has no `sequence_lens`."""
    rule = partial(recurrence, gates=gates)
    optional = {"activations": STRINGS} if gates == 1 else {}
    attributes["hidden_size"] = INT
    return Operator(rule, 4 + states, attributes, optional, weights=(1, 2), left_out=4)


OPERATORS: Mapping[str, Operator] = {
    "Add": Operator(elementwise, 2),
    "ArgMax": Operator(argmax, 1, {"axis": INT, "keepdims": INT}),
    "Cast": Operator(cast, 1, {"to": INT}),
    "Clip": Operator(clip, 3),
    "Concat": Operator(concat, None, {"axis": INT}),
    "ConstantOfShape": Operator(constant_of_shape, 1, {"value": TENSOR}),
    "Div": Operator(divide, 2),
    "Expand": Operator(expand, 2),
    "GRU": recurrent(3, 1, linear_before_reset=INT),
    "Gather": Operator(gather, 2, {"axis": INT}),
    "GatherND": Operator(gather_nd, 2),
    "LSTM": recurrent(4, 2),
    "Less": Operator(less, 2),
    "MatMul": Operator(matmul, 2, weights=(1,)),
    "Max": Operator(elementwise, 2),
    "Mod": Operator(divide, 2),
    "Mul": Operator(elementwise, 2),
    "RNN": recurrent(1, 1),
    "Range": Operator(count_up, 3),
    "ReduceMax": Operator(reduce, 1, {"axes": INTS, "keepdims": INT}),
    "Shape": Operator(shape_of, 1),
    "Softmax": Operator(softmax, 1, {"axis": INT}),
    "Split": Operator(split, 1, {"axis": INT}, told_outputs=True),
    "Squeeze": Operator(squeeze, 1, {"axes": INTS}),
    "Sub": Operator(elementwise, 2),
    "Transpose": Operator(transpose, 1, {"perm": INTS}),
    "Unsqueeze": Operator(unsqueeze, 1, {"axes": INTS}),
    "Where": Operator(where, 3),
}
"""Every operator that `hello_export.graph.onnx_graph` writes."""
