"""The operators that a model may have, each with a rule for its output types and shapes.

A rule takes what is known of the inputs (`tensors.Value`), refuses inputs that the operator cannot
take, and returns what is known of the outputs, without running anything. Every size that is a
number comes from a shape in the file; `graph_check` adds the sizes up and limits them.

A new operator is a rule of a few lines here and an entry in `OPERATORS`. Source: opset 12 at
https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import NamedTuple, TypeAlias

from hello_runtime.errors import need
from hello_runtime.model.onnx_wire import Tensor
from hello_runtime.model.tensors import (
    DTYPES,
    MAX_KNOWN,
    Shape,
    Value,
    broadcast,
    check_axis,
    constant,
    joined_sources,
    same_type,
    scalar,
)

CASTS = {("int32", "int64"), ("float16", "float32"), ("int8", "float32")}
"""The types that `Cast` may change, and to which."""

# Operators that move elements.


def transpose(data: Value, *, perm: Sequence[int]) -> Value:
    """Reorder the axes."""
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
    check_axis(data, axes[0], added=1)
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
    """Join values along an axis of known size."""
    check_axis(values[0], axis)
    need(len({len(value.shape) for value in values}) == 1, "its inputs differ in their axes")
    around = {(*value.shape[:axis], *value.shape[axis + 1 :]) for value in values}
    need(len(around) == 1, "its inputs differ in size")
    sizes = [value.shape[axis] for value in values]
    total = sum(size for size in sizes if isinstance(size, int))
    need(all(isinstance(size, int) for size in sizes), "it is of no known size")
    shape = (*values[0].shape[:axis], total, *values[0].shape[axis + 1 :])
    parts = [value.elements for value in values if value.elements is not None]
    known = len(parts) == len(values) and total <= MAX_KNOWN
    elements = tuple(size for part in parts for size in part) if known else None
    return Value(same_type(*values), shape, elements, joined_sources(*values))


def gather(data: Value, index: Value, *, axis: int) -> Value:
    """Take entries of the first axis; the engine checks the indices when it runs."""
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
    """Take entries; the last axis of the index holds their positions on the first axes."""
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


# Operators on sizes.


def shape_of(data: Value) -> Value:
    """Return the sizes of the axes."""
    return Value("int64", (len(data.shape),), data.shape)


def expand(data: Value, shape: Value) -> Value:
    """Broadcast to a shape."""
    return Value(data.dtype, broadcast(data.shape, sizes(shape)), None, data.sources)


def constant_of_shape(shape: Value, *, value: Tensor) -> Value:
    """Fill a shape with a number."""
    filling = constant(value)
    need(prod(value.dims) == 1, "its value is not one number")
    return Value(filling.dtype, sizes(shape))


def sizes(shape: Value) -> Shape:
    """Return the shape that a value holds."""
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
    """Compute each element from the elements at its position."""
    return Value(same_type(*values), broadcast(*(value.shape for value in values)))


def less(left: Value, right: Value) -> Value:
    """Compare elements at the same position."""
    return elementwise(left, right)._replace(dtype="bool")


def divide(data: Value, divisor: Value) -> Value:
    """Divide integers; by 0, or the least integer by -1, the process would crash."""
    by = scalar(divisor)
    need(isinstance(by, int) and by > 0, "it divides by what is not a positive constant")
    return elementwise(data, divisor)


def clip(data: Value, low: Value, high: Value) -> Value:
    """Limit numbers to a range."""
    need(low.shape == high.shape == (), "its bounds are not two numbers")
    return elementwise(data, low, high)


def cast(data: Value, *, to: int) -> Value:
    """Convert to a wider type."""
    dtype = DTYPES.get(to, "")
    need((data.dtype, dtype) in CASTS, f"it makes type {to} of {data.dtype}")
    return Value(dtype, data.shape)


def matmul(data: Value, matrix: Value) -> Value:
    """Multiply by a matrix along the last axis."""
    need(len(matrix.shape) == 2 and len(data.shape) > 1, "it multiplies by what is no matrix")
    need(data.shape[-1] == matrix.shape[0], "its inputs differ in size")
    return Value(same_type(data, matrix), (*data.shape[:-1], matrix.shape[1]))


def softmax(data: Value, *, axis: int) -> Value:
    """Compute probabilities along the last axis."""
    need(axis == len(data.shape) - 1, "it is not along the last axis")
    return Value(data.dtype, data.shape)


def reduce(data: Value, *, axes: Sequence[int], keepdims: int) -> Value:
    """Reduce some axes to one element."""
    for axis in axes:
        check_axis(data, axis)
    shape = [1 if axis in axes else size for axis, size in enumerate(data.shape)]
    kept = [size for axis, size in enumerate(shape) if keepdims or axis not in axes]
    return Value(data.dtype, tuple(kept))


def argmax(data: Value, *, axis: int, keepdims: int) -> Value:
    """Return the index of the largest element along an axis."""
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
    """Run a recurrent layer with `gates` gates over the first axis, from initial states."""
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
"""Attribute types by ONNX's numbers."""


class Operator(NamedTuple):
    """What a node of an operator must look like."""

    rule: Rule
    inputs: int | None
    """Number of inputs without the empty one; None for one or more."""
    attributes: Mapping[str, int] = {}
    """Required attributes and their types."""
    optional: Mapping[str, int] = {}
    """Optional attributes and their types."""
    weights: Sequence[int] = ()
    """Inputs by which every step of the first input is multiplied."""
    empty_input: int | None = None
    """The input that must be left empty, if given."""
    counts_outputs: bool = False
    """Whether the rule takes the number of outputs as the argument `outputs`."""


def recurrent(gates: int, states: int, **attributes: int) -> Operator:
    """Return a recurrent operator, whose input `sequence_lens` must be empty."""
    rule = partial(recurrence, gates=gates)
    optional = {"activations": STRINGS} if gates == 1 else {}
    attributes["hidden_size"] = INT
    return Operator(rule, 4 + states, attributes, optional, weights=(1, 2), empty_input=4)


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
    "Split": Operator(split, 1, {"axis": INT}, counts_outputs=True),
    "Squeeze": Operator(squeeze, 1, {"axes": INTS}),
    "Sub": Operator(elementwise, 2),
    "Transpose": Operator(transpose, 1, {"perm": INTS}),
    "Unsqueeze": Operator(unsqueeze, 1, {"axes": INTS}),
    "Where": Operator(where, 3),
}
"""Every operator that `hello_export.graph.onnx_graph` writes."""
