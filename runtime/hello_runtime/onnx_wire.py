"""Looks into the bytes of an ONNX file, before an engine acts on them.

A tensor of ONNX may keep its values in another file, by a path of the model's choice: whoever opens
an untrusted model then reads that file into it. Only the protobuf encoding tells for certain
(https://protobuf.dev/programming-guides/encoding; field numbers from onnx.proto), so it is parsed
here as far as tensors can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5

PARTS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""For each message the fields through which tensors are reached, and what they hold."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""The fields of a tensor that say that its values are elsewhere."""


def keeps_data_outside(model: bytes) -> bool:
    """Tell whether any tensor of a model has its values in another file.

    Raises:
        ValueError: these are not the bytes of a protobuf message.
    """
    pending = [("model", memoryview(model))]
    while pending:
        kind, message = pending.pop()
        for number, value in fields(message):
            if kind == "tensor" and number in (EXTERNAL_DATA, DATA_LOCATION) and value != 0:
                return True
            part = PARTS[kind].get(number)
            if part and isinstance(value, memoryview):
                pending.append((part, value))
    return False


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field: an integer, or the bytes of a delimited one."""
    position = 0
    while position < len(message):
        key, position = varint(message, position)
        wire_type = key & 7
        value: int | memoryview = 0
        if wire_type == VARINT:
            value, position = varint(message, position)
        elif wire_type == LENGTH_DELIMITED:
            length, start = varint(message, position)
            position = start + length
            value = message[start:position]
        elif wire_type in (FIXED64, FIXED32):
            position += 8 if wire_type == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type}")
        if position > len(message):
            raise ValueError("a field ends behind its message")
        yield key >> 3, value


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the integer that starts at a position, and the position behind it."""
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise ValueError("an integer that does not end")
