"""What is known of a tensor before the graph runs: its type, its shape, sometimes its elements.

Each axis of a shape is a number or the name of a free size, `batch` or `time`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from hello_runtime.errors import need
from hello_runtime.model.onnx_wire import Tensor

Size: TypeAlias = "int | str"
Shape: TypeAlias = "tuple[Size, ...]"

DTYPES = {1: "float32", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
"""Element types by ONNX's numbers."""

MAX_RANK = 6
"""Axes of a tensor, at most; more than any of ours has."""
MAX_KNOWN = 8
"""Elements that a `Value` keeps, at most, because they may be sizes; and sources, at most."""


class Value(NamedTuple):
    """What is known of a tensor before anything runs."""

    dtype: str
    shape: Shape
    elements: Shape | None = None
    """The elements, if they are few known integers or names of free axes."""
    sources: frozenset[str] | None = None
    """The constants and inputs from which every element is a copy; None for computed elements."""


def constant(tensor: Tensor) -> Value:
    """Return what is known of a constant; the file must hold all of its elements."""
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise ValueError(f"has elements of type {tensor.data_type}")
    shape = tuple(tensor.dims)
    need(len(shape) <= MAX_RANK and all(size > 0 for size in shape), "has no possible shape")
    count = prod(shape)
    need(len(tensor.raw_data) == count * np.dtype(dtype).itemsize, "is not as long as its shape")
    elements = None
    if dtype in ("int32", "int64") and count <= MAX_KNOWN and len(shape) < 2:
        elements = tuple(np.frombuffer(tensor.raw_data, dtype).tolist())
    return Value(dtype, shape, elements, frozenset([tensor.name]))


def same_type(*values: Value) -> str:
    """Return the common type of values."""
    need(len({value.dtype for value in values}) == 1, "its inputs differ in type")
    return values[0].dtype


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape to which tensors broadcast."""
    rank = max(map(len, shapes))
    axes = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    return tuple(broadcast_size(sizes) for sizes in axes)


def broadcast_size(sizes: Sequence[Size]) -> Size:
    """Return the size to which the sizes of an axis broadcast."""
    wide = set(sizes) - {1}
    need(len(wide) <= 1, f"its inputs differ in size: {' and '.join(map(str, wide))}")
    return wide.pop() if wide else 1


def joined_sources(*values: Value) -> frozenset[str] | None:
    """Return the sources of all values together, if they are known and few."""
    sources = [value.sources for value in values if value.sources is not None]
    if len(sources) < len(values):
        return None
    joined: frozenset[str] = frozenset().union(*sources)
    return joined if len(joined) <= MAX_KNOWN else None


def scalar(value: Value) -> Size | None:
    """Return the element of a value without axes, if it is known."""
    return value.elements[0] if value.elements and value.shape == () else None


def check_axis(value: Value, axis: int, added: int = 0) -> None:
    """Refuse an axis that a value does not have; `added` counts axes that an operator adds."""
    need(0 <= axis < len(value.shape) + added, f"there is no axis {axis}")
