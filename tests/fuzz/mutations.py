"""Damaged and hostile model files: the bytes, the protobuf encoding, and the graph are changed.

`mutated(random)` returns one; the same state of `random` gives the same file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import onnx
from hello_runtime.model import onnx_wire
from hello_runtime.model.model_file import locate
from hello_runtime.model.onnx_wire import FIELDS, VARINT
from hello_runtime.model.operators import OPERATORS
from onnx import ModelProto, TensorProto, helper, numpy_helper

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = ("wide", "next", "classify")
SEEDS = (
    *(locate(None, cell) for cell in ("rnn", "gru", "lstm")),
    *(GOLDEN / f"deep-{kind}.onnx" for kind in ("gru", "lstm", "relu")),
    *(GOLDEN / f"tall-{kind}.onnx" for kind in ("lstm", "float16", "int8")),
    *(GOLDEN / f"{shape}-{kind}.onnx" for shape in SHAPES for kind in ("gru", "lstm")),
)
"""One of each cell, causal and in two directions, guarded or not, each way to store weights, labels
of several characters, and each task."""

INTEGERS = (0, 1, 2, 3, 5, 127, 255, 1 << 16, 10**5, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1)
FIXED64, FIXED32 = 1, 5
FREE = ("batch", "time", "other", "")


def mutated(random: Random) -> bytes:
    """Return a damaged or hostile model file."""
    content = random.choice(SEEDS).read_bytes()
    graph, encoding, raw = random.choice(
        [(1, 0, 0), (1, 0, 0), (2, 0, 0), (4, 0, 0), (0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 0, 1)]
    )
    if graph:
        model = onnx.load_model_from_string(content)
        for _ in range(random.randint(1, graph)):
            with suppress(Exception):  # of whatever class, where the model is damaged already
                random.choice(GRAPH_MUTATIONS)(model, random)
        content = model.SerializeToString()
    if encoding:
        message = parse(content, onnx_wire.Model)
        for _ in range(random.randint(1, 2 * encoding)):
            mutate_encoding(message, random)
        content = encode(message)
    for _ in range(raw and random.randint(1, 4)):
        content = mutate_bytes(content, random)
    return content


# Bytes.


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """Change, insert, remove, repeat or cut off bytes."""
    data = bytearray(content or b"\0")
    place = random.randrange(len(data))
    size = random.choice((1, 1, 2, 4, 16, 100))
    match random.randrange(7):
        case 0:
            data[place] ^= 1 << random.randrange(8)
        case 1:
            data[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        case 2:
            data[place:place] = random.randbytes(size)
        case 3:
            del data[place : place + size]
        case 4:
            data[place:place] = data[place : place + size]
        case 5:
            data[place : place + size] = random.choice(SEEDS).read_bytes()[place : place + size]
        case 6:
            if random.random() < 0.2:
                del data[place:]
            data[place : place + 4] = np.float32(random.choice((np.nan, np.inf, 0))).tobytes()
    return bytes(data)


# The encoding: a message as a tree of fields, each of which may be written otherwise than it must.


@dataclass
class Item:
    """A field."""

    number: int
    wire_type: int
    value: int | bytes | list[Item]
    key: bytes | None = None
    """How its key is written, if not as it must be."""
    padding: int = 0
    """Bytes by which its length or number is longer than it needs."""


def parse(content: bytes, kind: type | None) -> list[Item]:
    """Return the fields of a sound message, with those of the messages in it that we know."""
    items = []
    position = 0
    while position < len(content):
        key, position = onnx_wire.varint(memoryview(content), position)
        number, wire_type = key >> 3, key & 7
        if wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            size, position = onnx_wire.varint(memoryview(content), position)
        if wire_type == VARINT:
            items.append(Item(number, wire_type, size))
            continue
        whole = content[position : position + size]
        position += size
        field = FIELDS[kind].get(number) if kind else None
        inner = onnx_wire.Graph if field and field.name == "graph" else field and field.kind
        known = inner in FIELDS
        items.append(Item(number, wire_type, parse(whole, inner) if known else whole))
    return items


def encode(items: Sequence[Item]) -> bytes:
    """Return a message of these fields."""
    parts = []
    for item in items:
        parts.append(varint(item.number << 3 | item.wire_type) if item.key is None else item.key)
        if isinstance(item.value, int):
            parts.append(varint(item.value, item.padding))
        else:
            content = item.value if isinstance(item.value, bytes) else encode(item.value)
            if item.wire_type == 2:
                parts.append(varint(len(content), item.padding))
            parts.append(content)
    return b"".join(parts)


def varint(value: int, padding: int = 0) -> bytes:
    """Return an integer of 64 bits, in more bytes than it needs where that is asked for."""
    value &= (1 << 64) - 1
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    if not padding:
        return bytes([*digits, value])
    return bytes([*digits, value | 0x80, *[0x80] * (padding - 1), 0])


def lists_of(items: list[Item]) -> list[list[Item]]:
    """Return the fields of a message and of each message in it."""
    found = [items]
    for item in items:
        if isinstance(item.value, list):
            found += lists_of(item.value)
    return found


def hostile_items() -> list[Item]:
    """Return fields by which messages of different kinds say what must not be."""
    outside = [Item(1, 2, b"location"), Item(2, 2, b"/etc/passwd")]
    tensor = [Item(1, VARINT, 4), Item(2, VARINT, 1), Item(8, 2, b"x"), Item(13, 2, outside)]
    tensor.append(Item(14, VARINT, 1))
    graph = [Item(5, 2, tensor), Item(15, 2, [Item(1, 2, tensor)])]
    return [
        Item(13, 2, outside),
        Item(14, VARINT, 1),
        Item(5, 2, tensor),
        Item(15, 2, [Item(1, 2, tensor)]),
        Item(6, 2, graph),
        Item(10, 2, tensor),
        Item(7, 2, graph),
        Item(20, 2, [Item(1, 2, graph), Item(2, 2, graph)]),
        Item(25, 2, [Item(7, 2, [Item(5, 2, [Item(5, 2, tensor)])])]),
    ]


def mutate_encoding(message: list[Item], random: Random) -> None:
    """Write a field otherwise, or add, repeat, move or remove one."""
    items = random.choice(lists_of(message))
    if not items or random.random() < 0.2:
        items.insert(random.randint(0, len(items)), random.choice(hostile_items()))
    item = random.choice(items)
    key = item.number << 3 | item.wire_type
    match random.randrange(12):
        case 0 | 1:
            item.key = varint(key | random.choice((1 << 32, 1 << 33, 1 << 35, 1 << 63)))
        case 2:
            item.key = varint(key, random.randint(1, 6))
        case 3 | 4:
            item.padding = random.randint(1, 8)
        case 5:
            items.insert(random.randint(0, len(items)), item)
        case 6:
            other = random.choice(lists_of(message))
            other.insert(random.randint(0, len(other)), deepcopy(item))
        case 7:
            items.remove(item)
        case 8:
            item.number = random.choice((0, random.randrange(30), 1 << 28, (1 << 29) - 1))
        case 9:
            item.key = varint(item.number << 3 | random.randrange(8))
        case 10:
            group = random.choice((item.number, random.randrange(30)))
            items[:] = [Item(group, 3, b""), *items, Item(group, 4, b"")]
        case 11:
            mutate_value(item, random)


def mutate_value(item: Item, random: Random) -> None:
    """Change what a field holds."""
    if isinstance(item.value, int):
        item.value = random.choice((random.choice(INTEGERS), -random.choice(INTEGERS)))
    elif isinstance(item.value, bytes):
        item.value = mutate_bytes(item.value, random)
    else:  # cut in two, which protobuf's parsers join again
        place = random.randint(0, len(item.value))
        item.value, rest = item.value[:place], item.value[place:]
        item.value = [*item.value, Item(item.number, 2, rest)]


# The graph, by the onnx package.


def any_name(model: ModelProto, random: Random) -> str:
    """Return the name of some value."""
    names: list[str] = []
    for node in model.graph.node:
        names += [*node.input, *node.output]
    return random.choice([*names, "codepoints", "no such value"])


def edit_constant(model: ModelProto, random: Random) -> None:
    """Change some elements of a constant."""
    tensor = random.choice(model.graph.initializer)
    array = numpy_helper.to_array(tensor).copy().reshape(-1)
    with np.errstate(all="ignore"):
        for _ in range(random.randint(1, 3)):
            value = random.choice((*INTEGERS, -1, -(2**31), np.nan, np.inf, 10))
            if array.dtype.kind == "f":
                array[random.randrange(array.size)] = np.float64(value).astype(array.dtype)
            elif value == value and abs(value) < np.inf:
                wrapped = np.array(int(value) & 0xFFFF_FFFF_FFFF_FFFF, np.uint64)
                array[random.randrange(array.size)] = wrapped.astype(array.dtype)
    tensor.CopyFrom(numpy_helper.from_array(array.reshape(tuple(tensor.dims)), tensor.name))


def edit_dims(model: ModelProto, random: Random) -> None:
    """Claim another shape or type of a constant."""
    tensor = random.choice(model.graph.initializer)
    match random.randrange(4):
        case 0:
            tensor.dims.append(random.choice(INTEGERS))
        case 1:
            tensor.dims.reverse()
        case 2:
            tensor.data_type = random.randrange(20)
        case 3:
            if tensor.dims:
                tensor.dims[random.randrange(len(tensor.dims))] = random.choice((-1, *INTEGERS))


def reshape_constant(model: ModelProto, random: Random) -> None:
    """Give a constant another shape, with as many values as that has."""
    tensor = random.choice(model.graph.initializer)
    dims = [random.choice((1, 1, 2, 3, 5, 100, max(1, size))) for size in (*tensor.dims, 1)]
    shape = dims[: random.randint(0, len(dims))]
    dtype = numpy_helper.to_array(tensor).dtype
    tensor.CopyFrom(numpy_helper.from_array(np.ones(shape, dtype), tensor.name))


def rewire(model: ModelProto, random: Random) -> None:
    """Have a node read another value, or make one of another name."""
    node = random.choice(model.graph.node)
    values = random.choice((node.input, node.output))
    if values:
        values[random.randrange(len(values))] = random.choice((any_name(model, random), ""))


def change_operator(model: ModelProto, random: Random) -> None:
    """Have a node do something else."""
    foreign = ("Loop", "If", "Scan", "Reshape", "Tile", "Pad", "Identity", "ReverseSequence")
    node = random.choice(model.graph.node)
    node.op_type = random.choice((*OPERATORS, *foreign, "\x1b[31mred\nred", "Add" * 1000))
    if random.random() < 0.1:
        node.domain = random.choice(("com.microsoft", "ai.onnx.ml", "other"))


def edit_attribute(model: ModelProto, random: Random) -> None:
    """Change, add, repeat or remove an attribute."""
    node = random.choice([node for node in model.graph.node if node.attribute])
    attribute = random.choice(node.attribute)
    match random.randrange(6):
        case 0:
            attribute.i = random.choice((-1, -2, *INTEGERS))
        case 1:
            attribute.ints.append(random.choice((-1, *INTEGERS)))
        case 2:
            attribute.type = random.randrange(1, 15)
        case 3:
            node.attribute.remove(attribute)
        case 4:
            node.attribute.append(attribute)
        case 5:
            name = random.choice(("axis", "layout", "direction", "clip", "batch_dims", "fmod"))
            node.attribute.append(helper.make_attribute(name, random.choice((0, 1, 2, 0.5, "x"))))


def add_node(model: ModelProto, random: Random) -> None:
    """Put one more node between a value and what reads it."""
    name = any_name(model, random)
    made = f"made{random.randrange(1000)}"
    constant = numpy_helper.from_array(np.array(random.choice(INTEGERS), np.int64), f"{made}.n")
    sizes = np.array(random.choices(INTEGERS, k=random.randint(1, 3)), np.int64)
    shape = numpy_helper.from_array(sizes, f"{made}.shape")
    node = random.choice(
        (
            helper.make_node("Concat", [name] * random.choice((2, 10, 1000)), [made], axis=0),
            helper.make_node("Concat", [name, name], [made], axis=random.randrange(3)),
            helper.make_node("Expand", [name, shape.name], [made]),
            helper.make_node("ConstantOfShape", [shape.name], [made]),
            helper.make_node("Range", [constant.name] * 3, [made]),
            helper.make_node("Tile", [name, shape.name], [made]),
            helper.make_node("Identity", [name], [made]),
            helper.make_node("Shape", [name], [made]),
            helper.make_node("Max", [name, name], [made]),
            helper.make_node("Transpose", [name], [made], perm=random.sample(range(3), 3)),
            helper.make_node("Gather", [name, constant.name], [made], axis=0),
            helper.make_node("Unsqueeze", [name], [made], axes=[random.randrange(3)]),
            helper.make_node("MatMul", [name, name], [made]),
        )
    )
    model.graph.initializer.extend([constant, shape])
    place = random.randint(0, len(model.graph.node))
    for later in model.graph.node[place:]:
        later.input[:] = [made if given == name else given for given in later.input]
    model.graph.node.insert(place, node)


def widen(model: ModelProto, random: Random) -> None:
    """Double a value again and again, or multiply it."""
    name, size, axis = any_name(model, random), random.choice((2, 5, 30)), random.randrange(4)
    for index in range(random.choice((1, 5, 40))):
        made = f"wide{index}"
        model.graph.node.append(helper.make_node("Concat", [name] * size, [made], axis=axis))
        name = made
    if random.random() < 0.5:
        add_output(model, name)


def add_output(model: ModelProto, name: str) -> None:
    """Have a value be an output, so that it is computed."""
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))


def move_node(model: ModelProto, random: Random) -> None:
    """Remove a node, repeat it, or put it elsewhere."""
    node = onnx.NodeProto()
    place = random.randrange(len(model.graph.node))
    node.CopyFrom(model.graph.node[place])
    if random.random() < 0.7:
        del model.graph.node[place]
    if random.random() < 0.7:
        model.graph.node.insert(random.randint(0, len(model.graph.node)), node)


def edit_declaration(model: ModelProto, random: Random) -> None:
    """Declare an input or output otherwise."""
    declared = random.choice((model.graph.input, model.graph.output))
    info = random.choice(declared)
    dims = info.type.tensor_type.shape.dim
    match random.randrange(6):
        case 0:
            random.choice(dims).dim_value = random.choice((-1, *INTEGERS))
        case 1:
            random.choice(dims).dim_param = random.choice(FREE)
        case 2:
            info.type.tensor_type.elem_type = random.randrange(20)
        case 3:
            dims.add(dim_value=1)
        case 4:
            info.name = any_name(model, random)
        case 5:
            declared.remove(info)


def edit_metadata(model: ModelProto, random: Random) -> None:
    """Have the model say something else of itself."""
    entry = random.choice(model.metadata_props)
    match random.randrange(6):
        case 0:
            entry.value = json.dumps(random.choice(ODD_VALUES))
        case 1:
            entry.value = random.choice(
                ("", "x" * 10**5, "\x1b[31mred\nred", "9" * 5000, "[" * 9999)
            )
        case 2:
            place = random.randrange(len(entry.value) + 1)
            entry.value = (
                entry.value[:place]
                + random.choice(('"', "\\n", "\n", "é", "9"))
                + (entry.value[place + random.randrange(2) :])
            )
        case 3:
            model.metadata_props.append(entry)
        case 4:
            model.metadata_props.remove(entry)
        case 5:
            entry.key = random.choice(("cell", "guard", "ort_config", "", "\x1b[31m"))


ODD_VALUES: tuple[object, ...] = (
    None, 0, -1, 1e308, True, [], {}, "", "\ud800\n", "\n", "a\na", ["h"], {"h": 3}, {"x": "\n"},
    {"h": "\ud800"}, "ehlo", "olhe", "ehlo\n", [None], [[None], ""], [[None, "\n"], "x"],
    [["aeloszżł 😀", [0, 1]]], [["a", [True, 9]]], [["aa", [[]]]],
)  # fmt: skip


def write_line_feeds(model: ModelProto, random: Random) -> None:
    """Have labels be characters that no text may get from a model, here and in the metadata."""
    for tensor in model.graph.initializer:
        if tensor.name in ("label_codepoints", "label_elements", "copied_edit"):
            array = numpy_helper.to_array(tensor).copy()
            array[...] = random.choice((10, 0xD800, 0x110000, -1, -2, -3, 13, 0x1F600))
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            characters = [*map(chr, np.clip(array, 0, 0x10FFFF).ravel().tolist())]
            for entry in model.metadata_props:
                if entry.key == "output_alphabet" and random.random() < 0.5:
                    entry.value = json.dumps("".join(characters))
                if entry.key == "output_labels" and random.random() < 0.5:
                    entry.value = json.dumps(characters)


def keep_outside(model: ModelProto, random: Random) -> None:
    """Have a tensor somewhere keep its values in another file."""
    outside = numpy_helper.from_array(np.zeros(4, np.float32), "x")
    onnx.external_data_helper.set_external_data(outside, "/etc/passwd")
    outside.ClearField("raw_data")
    graph = helper.make_graph([], "inner", [], [], [outside])
    opsets = [helper.make_opsetid("", 12)]
    holder = helper.make_node("Constant", [], ["x"], value=outside)
    match random.randrange(7):
        case 0:
            onnx.external_data_helper.set_external_data(
                random.choice(model.graph.initializer), "/etc/passwd"
            )
        case 1:
            model.graph.initializer.append(outside)
        case 2:
            model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=graph))
        case 3:
            model.functions.append(helper.make_function("d", "f", [], ["x"], [holder], opsets))
        case 4:
            model.training_info.add().algorithm.CopyFrom(graph)
        case 5:
            model.graph.sparse_initializer.add().values.CopyFrom(outside)
        case 6:
            model.graph.node.append(holder)


def add_loop(model: ModelProto, random: Random) -> None:
    """Add a loop that does not end."""
    yes = helper.make_node("Constant", [], ["go"], value=numpy_helper.from_array(np.array(True)))
    go = helper.make_tensor_value_info("go", TensorProto.BOOL, [])
    count = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    given = helper.make_tensor_value_info("given", TensorProto.BOOL, [])
    body = helper.make_graph([yes], "body", [count, given], [go])
    loop = helper.make_node("Loop", ["", "go0"], [], body=body)
    model.graph.node.insert(0, loop)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "go0"))


GRAPH_MUTATIONS: list[Callable[[ModelProto, Random], None]] = [
    *[edit_constant] * 12,
    *[edit_metadata, rewire, edit_attribute] * 3,
    *[edit_dims, reshape_constant, change_operator, move_node, edit_declaration] * 2,
    *[add_node, widen, write_line_feeds, keep_outside, add_loop],
]
"""Each as often as it shall come; changed elements mostly leave a model that opens."""
