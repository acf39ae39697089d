"""Reads an ONNX file strictly, before an engine does: only bytes that every parser reads alike.

A model file may come from a stranger, and an engine acts on what it reads: a tensor may name
another file that holds its values, and an engine would read that file into the model. So a model is
checked first. But protobuf's parsers are lenient, each in its own way: they cut keys and numbers to
32 bits, merge a message that occurs twice, take the last of two values, skip unknown fields. A
check that reads a file in one way does not protect an engine that reads it in another.

So this reader refuses whatever could be read in two ways. In a file that it accepts

- each field is one of `FIELDS` and has the wire type given there; there are no groups, no packed
  numbers, no unknown fields;
- each integer, keys and lengths included, is written in as few bytes as it needs, and is within
  the range of its type;
- a field that is not a list occurs at most once, and of two exclusive fields only one occurs;
- text is UTF-8;
- no tensor has its values outside the file.

Sources: https://protobuf.dev/programming-guides/encoding for the encoding, and
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for messages and field numbers, as far as
`hello-export` writes them. What the graph does is checked by `graph_check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

VARINT, LENGTH_DELIMITED = 0, 2
"""The wire types of integers, and of everything else in a model file."""

MAX_FIELDS = 100_000
"""Fields of a file, at most, so that reading it ends soon; more than any network of ours has."""

NEVER = "which hello-export never writes"

Message = TypeVar("Message", bound="tuple[Any, ...]")


class Tensor(NamedTuple):
    """A constant."""

    dims: Sequence[int] = ()
    data_type: int = 0
    name: str = ""
    raw_data: memoryview = memoryview(b"")
    external_data: Sequence[memoryview] = ()
    data_location: int = 0


class Attribute(NamedTuple):
    """A parameter of a node."""

    name: str = ""
    i: int | None = None
    t: Tensor | None = None
    ints: Sequence[int] = ()
    strings: Sequence[str] = ()
    type: int = 0


class Node(NamedTuple):
    """An operation."""

    input: Sequence[str] = ()
    output: Sequence[str] = ()
    name: str = ""
    op_type: str = ""
    attribute: Sequence[Attribute] = ()


class Dimension(NamedTuple):
    """The size of an axis: a number, or the name of a free size."""

    dim_value: int | None = None
    dim_param: str | None = None


class TensorShape(NamedTuple):
    """A shape."""

    dim: Sequence[Dimension] = ()


class TensorType(NamedTuple):
    """The type of a tensor's elements, and its shape."""

    elem_type: int = 0
    shape: TensorShape | None = None


class Type(NamedTuple):
    """A type; we write tensor types only."""

    tensor_type: TensorType | None = None


class ValueInfo(NamedTuple):
    """A declared input or output."""

    name: str = ""
    type: Type | None = None


class Graph(NamedTuple):
    """The computation."""

    node: Sequence[Node] = ()
    name: str = ""
    initializer: Sequence[Tensor] = ()
    input: Sequence[ValueInfo] = ()
    output: Sequence[ValueInfo] = ()


class OperatorSet(NamedTuple):
    """The version of the operators of a domain."""

    domain: str = ""
    version: int = 0


class Entry(NamedTuple):
    """A metadata entry."""

    key: str = ""
    value: str = ""


class Model(NamedTuple):
    """A model file. Its graph is parsed later, after the metadata has shown our format."""

    ir_version: int = 0
    producer_name: str = ""
    producer_version: str = ""
    domain: str = ""
    model_version: int = 0
    doc_string: str = ""
    graph: memoryview = memoryview(b"")
    opset_import: Sequence[OperatorSet] = ()
    metadata_props: Sequence[Entry] = ()


class Field(NamedTuple):
    """A field of a message."""

    name: str
    kind: type
    """`int`, `str`, `bytes`, or the class of a message."""
    below: int | None = None
    """Exclusive limit of a non-negative integer; None for any integer of 64 bits."""
    repeated: bool = False
    """Whether it may occur several times: a list."""


def many(name: str, kind: type) -> Field:
    """Return a field that is a list."""
    return Field(name, kind, repeated=True)


FIELDS: Mapping[type, Mapping[int, Field]] = {
    Model: {
        1: Field("ir_version", int),
        2: Field("producer_name", str),
        3: Field("producer_version", str),
        4: Field("domain", str),
        5: Field("model_version", int),
        6: Field("doc_string", str),
        7: Field("graph", bytes),
        8: many("opset_import", OperatorSet),
        14: many("metadata_props", Entry),
    },
    OperatorSet: {1: Field("domain", str), 2: Field("version", int)},
    Entry: {1: Field("key", str), 2: Field("value", str)},
    Graph: {
        1: many("node", Node),
        2: Field("name", str),
        5: many("initializer", Tensor),
        11: many("input", ValueInfo),
        12: many("output", ValueInfo),
    },
    Node: {
        1: many("input", str),
        2: many("output", str),
        3: Field("name", str),
        4: Field("op_type", str),
        5: many("attribute", Attribute),
    },
    Attribute: {
        1: Field("name", str),
        3: Field("i", int),
        5: Field("t", Tensor),
        8: many("ints", int),
        9: many("strings", str),
        20: Field("type", int, below=15),
    },
    Tensor: {
        1: many("dims", int),
        2: Field("data_type", int, below=1 << 31),
        8: Field("name", str),
        9: Field("raw_data", bytes),
        13: many("external_data", bytes),
        14: Field("data_location", int, below=2),
    },
    ValueInfo: {1: Field("name", str), 2: Field("type", Type)},
    Type: {1: Field("tensor_type", TensorType)},
    TensorType: {1: Field("elem_type", int, below=1 << 31), 2: Field("shape", TensorShape)},
    TensorShape: {1: many("dim", Dimension)},
    Dimension: {1: Field("dim_value", int), 2: Field("dim_param", str)},
}
"""The fields that each message may have, by number."""


class OutsideDataError(ValueError):
    """A tensor has its values in another file."""


def read_message(kind: type[Message], content: bytes | memoryview) -> Message:
    """Return a message; its long values are views of the content, not copies.

    Raises:
        ValueError: it is no such message, or could be read in two ways.
        OutsideDataError: a tensor in it has its values in another file.
    """
    return Reader().read(kind, memoryview(content))


class Reader:
    """Reads a message and the messages in it, up to `MAX_FIELDS` fields in all."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def read(self, kind: type[Message], content: memoryview) -> Message:
        """Return a message."""
        known = FIELDS[kind]
        found: dict[str, Any] = {}
        for number, wire_type, raw in fields(content):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {MAX_FIELDS} fields")
            field = known.get(number)
            if field is None:
                raise ValueError(f"its {kind.__name__} has a field {number}, {NEVER}")
            if wire_type != (VARINT if field.kind is int else LENGTH_DELIMITED):
                raise ValueError(f"the {field.name} of its {kind.__name__} has another wire type")
            value = self._value(field, raw)
            if field.repeated:
                found.setdefault(field.name, []).append(value)
            elif field.name in found:
                raise ValueError(f"the {field.name} of its {kind.__name__} stands there twice")
            else:
                found[field.name] = value
        message = kind(**found)
        if isinstance(message, Tensor) and (message.external_data or message.data_location):
            raise OutsideDataError(f"the tensor {message.name!r} has its values in another file")
        if isinstance(message, Dimension) and None not in message:
            raise ValueError("an axis has two sizes")  # parsers take the last
        return message

    def _value(self, field: Field, raw: Any) -> Any:
        if field.kind is int:
            if field.below is not None and raw >= field.below:
                raise ValueError(f"its {field.name} is {raw}")
            return raw - (1 << 64) if raw >> 63 else raw
        if field.kind is bytes:
            return raw
        if field.kind is str:
            return str(raw, "utf-8")
        return self.read(field.kind, raw)


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield the number, wire type and value of each field: an integer, or a view of bytes.

    Raises:
        ValueError: it is cut off, or has a field of another kind.
    """
    position, end = 0, len(message)
    while position < end:
        key, position = varint(message, position)
        wire_type = key & 7
        if key >> 32 or wire_type not in (VARINT, LENGTH_DELIMITED):
            raise ValueError(f"it has a field with the key {key:#x}, {NEVER}")
        value, position = varint(message, position)
        if wire_type == VARINT:
            yield key >> 3, wire_type, value
        else:
            start, position = position, position + value
            if position > end:
                raise ValueError("a field ends behind its message")
            yield key >> 3, wire_type, message[start:position]


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the integer of at most 64 bits at a position, and the position after it.

    Raises:
        ValueError: it does not end, or has more bytes than it needs.
    """
    value = shift = 0
    for byte in message[position : position + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if value >> 64 or (byte == 0 and shift > 7):
                raise ValueError("an integer has more bytes than it needs")
            return value, position + shift // 7
    raise ValueError("an integer does not end")
