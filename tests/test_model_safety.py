"""A model file may come from a stranger: what it may be, what it may do, and what it may say.

The long form is `python tests/fuzz/models.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fuzz.models import compare_readings, outcomes
from fuzz.mutations import Item, add_loop, encode, parse, varint
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES
from hello_runtime import Decoder, EngineError, ModelFileError
from hello_runtime.engine import devices
from hello_runtime.errors import first_line
from hello_runtime.model import onnx_wire, operators
from hello_runtime.model.graph_check import Budget, declarations, infer_values, run_node
from hello_runtime.model.labels import alphabet_guard
from hello_runtime.model.load import load_model
from hello_runtime.model.model_file import UNKNOWN_POLICIES, locate
from hello_runtime.model.operators import OPERATORS
from hello_runtime.model.tensors import Shape, Value
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from helpers import GOLDEN, KINDS, LABELS, TRAINING, Run, assert_one_line_error, make_network
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.onnx_cpp2py_export import inliner

CAUSAL, BOTH_WAYS = GOLDEN / "tall-gru.onnx", GOLDEN / "deep-lstm.onnx"
WIDE = GOLDEN / "wide-lstm.onnx"
ONE = np.ones(1, np.float32)
ZERO = numpy_helper.from_array(np.zeros(1, np.float32))


def refused(file: Path, content: bytes | ModelProto, message: str) -> None:
    """Check that a model is refused before an engine sees it."""
    data = content if isinstance(content, bytes) else content.SerializeToString()
    file.write_bytes(data)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(file)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


# What a file may be: bytes that have one reading.


def outside_tensor() -> list[Item]:
    """Return the fields of a tensor that has its values in another file."""
    place = [Item(1, 2, b"location"), Item(2, 2, b"/etc/passwd")]
    return [Item(1, 0, 4), Item(2, 0, 1), Item(8, 2, b"x"), Item(13, 2, place), Item(14, 0, 1)]


def message(path: Path = CAUSAL) -> list[Item]:
    return parse(path.read_bytes(), onnx_wire.Model)


def inner(items: list[Item], *numbers: int) -> list[Item]:
    """Return the fields of the first message within others that is found by these numbers."""
    if not numbers:
        return items
    for item in items:
        if item.number == numbers[0] and isinstance(item.value, list):
            with suppress(LookupError):
                return inner(item.value, *numbers[1:])
    raise LookupError(numbers)


def graph_behind_a_long_key() -> bytes:
    """Write a graph that reads a file, by a key that C++ cuts down to that of the graph."""
    items = message()
    inner(items, 7).append(Item(5, 2, outside_tensor()))
    next(item for item in items if item.number == 7).key = varint(1 << 32 | 7 << 3 | 2)
    return encode(items)


def with_item(number: int, *path: int, **options: Any) -> bytes:
    """Write the field of some number otherwise."""
    items = message()
    for item in inner(items, *path):
        if item.number == number:
            for name, value in options.items():
                setattr(item, name, value)
            return encode(items)
    raise LookupError(number)


def with_more(*added: Item, path: Sequence[int] = ()) -> bytes:
    """Write fields behind the others of a message."""
    items = message()
    inner(items, *path).extend(added)
    return encode(items)


TENSOR, NODE, INPUT = (7, 5), (7, 1), (7, 11)
AXIS = (*INPUT, 2, 1, 2, 1)

ENCODINGS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a key of 33 bits": (graph_behind_a_long_key, "field with the key 0x10000003a"),
    "a key longer than it needs": (
        lambda: with_item(7, key=varint(7 << 3 | 2, 3)),
        "more bytes than it needs",
    ),
    "a key that does not end": (lambda: with_more(Item(0, 0, b"", b"\x80" * 11)), "does not end"),
    "a length longer than it needs": (lambda: with_item(7, padding=1), "more bytes than it needs"),
    "a number longer than it needs": (lambda: with_item(1, padding=9), "does not end|more bytes"),
    "a number of 65 bits": (
        lambda: with_more(Item(1, 0, b"\xff" * 9 + b"\x02")),
        "more bytes than it needs",
    ),
    "a type of 33 bits": (lambda: with_item(2, *TENSOR, value=1 << 32 | 1), "its data_type is"),
    "a type that is none": (lambda: with_item(20, *NODE, 5, value=15), "its type is 15"),
    "a field of number 0": (lambda: with_more(Item(0, 0, 1)), "has a field 0"),
    "an unknown field": (lambda: with_more(Item(100, 2, b"x")), "has a field 100"),
    "a group": (lambda: with_more(Item(7, 3, b""), Item(7, 4, b"")), "the key 0x3b"),
    "a field of 32 bits": (lambda: with_more(Item(2, 5, b"\0" * 4), path=(*NODE, 5)), "key 0x15"),
    "a number for a message": (lambda: with_more(Item(7, 0, 1)), "another wire type"),
    "packed numbers": (lambda: with_more(Item(1, 2, b"\1\2"), path=TENSOR), "another wire type"),
    "a graph in two parts": (
        lambda: with_more(Item(7, 2, [Item(5, 2, outside_tensor())])),
        "the graph of its Model stands there twice",
    ),
    "two names": (lambda: with_more(Item(8, 2, b"x"), path=TENSOR), "name of its Tensor stands"),
    "two sizes of an axis": (lambda: with_more(Item(1, 0, 9), path=AXIS), "two sizes"),
    "no UTF-8": (lambda: with_item(2, 14, value=b"\xff"), "utf-8"),
    "a field behind the end": (lambda: CAUSAL.read_bytes()[:-1], "ends behind its message"),
    "values outside": (lambda: with_more(Item(5, 2, outside_tensor()), path=(7,)), "other files"),
    "values outside, said otherwise": (
        lambda: with_more(Item(14, 0, 1), path=TENSOR),
        "keeps weights in other files",
    ),
    "values outside, in an attribute": (
        lambda: with_more(Item(5, 2, [Item(5, 2, outside_tensor())]), path=NODE),
        "keeps weights in other files",
    ),
    "a format of onnxruntime's own": (
        lambda: b"\x08\x07\x12\x08ORTMORTM" + CAUSAL.read_bytes()[2 + 2 + len("hello-rnn") :],
        "marked as onnxruntime's own format",
    ),
    "more fields than any model has": (
        lambda: with_more(*[Item(8, 2, b"")] * onnx_wire.MAX_FIELDS),
        "more than 100000 fields",
    ),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_bytes_that_could_be_read_otherwise_are_refused(name: str, file: Path) -> None:
    make, message = ENCODINGS[name]
    refused(file, make(), message)


def test_the_parser_of_engines_does_read_those_bytes_otherwise() -> None:
    """So the reader is asked for something: to C++ these are models, with values outside."""
    for name in ("a key of 33 bits", "a graph in two parts"):
        content = inliner.inline_local_functions(ENCODINGS[name][0](), False)
        graph = onnx.load_model_from_string(content).graph
        assert graph.initializer[-1].data_location == TensorProto.EXTERNAL
        assert graph.node


def test_what_is_saved_with_its_weights_inside_opens(file: Path) -> None:
    """The onnx package then says of each tensor that its values are inside."""
    model = onnx.load(CAUSAL)
    for tensor in model.graph.initializer:
        tensor.data_location = TensorProto.DEFAULT
    onnx.save(model, file)
    assert load_model(file).graph.state == (3, 4)


# What a graph may do.


def open_edited(
    file: Path, edit: Callable[[ModelProto], object], message: str, base: Path = CAUSAL
) -> None:
    model = onnx.load(base)
    edit(model)
    refused(file, model, message)


def append(*nodes: onnx.NodeProto, **constants: Any) -> Callable[[ModelProto], None]:
    """Return an edit that adds nodes and the constants that they read."""

    def edit(model: ModelProto) -> None:
        for name, value in constants.items():
            model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
        model.graph.node.extend(nodes)

    return edit


def node(operator: str, given: Sequence[str], made: str = "made", **attributes: Any) -> Any:
    return helper.make_node(operator, given, [made], name=made, **attributes)


def named(model: ModelProto, made: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(item for item in model.graph.node if made in item.output)
    return found


def change(name: str, value: Any) -> Callable[[ModelProto], None]:
    """Return an edit that gives a constant another value."""

    def edit(model: ModelProto) -> None:
        tensor = next(item for item in model.graph.initializer if item.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.array(value), name))

    return edit


def set_metadata(key: str, value: str) -> Callable[[ModelProto], None]:
    """Return an edit that changes what a model says of itself."""

    def edit(model: ModelProto) -> None:
        next(item for item in model.metadata_props if item.key == key).value = value

    return edit


def doubled(model: ModelProto) -> None:
    """Make a tensor of the logits' width twice as wide, forty times."""
    names = ["logits", *(f"wide{index}" for index in range(40))]
    for given, made in pairwise(names):
        model.graph.node.append(node("Concat", [given, given], made, axis=2))


def multiplied_again(model: ModelProto) -> None:
    """Multiply by the same large matrix again and again."""
    append(
        node("Gather", ["table", "ids_by_time"], "product0", axis=0),
        *[node("MatMul", [f"product{i}", "matrix"], f"product{i + 1}") for i in range(10)],
        table=np.zeros((6, 400), np.float32),
        matrix=np.zeros((400, 400), np.float32),
    )(model)


def loop_for_ever(model: ModelProto) -> None:
    add_loop(model, Random(0))


def swap_axes(model: ModelProto) -> None:
    """Have the state's axes, declared and computed, be of 10^5 each."""
    for info in (model.graph.input[1], model.graph.output[-1]):
        info.type.tensor_type.shape.dim[0].dim_value = 10**5
        info.type.tensor_type.shape.dim[2].dim_value = 10**5


def squared(model: ModelProto) -> None:
    append(
        node("Shape", ["lengths"], "b"),
        node("Concat", ["b", "b"], "bb", axis=0),
        node("Expand", ["lengths", "bb"], "square"),
    )(model)


def with_attribute(made: str, **attributes: Any) -> Callable[[ModelProto], None]:
    def edit(model: ModelProto) -> None:
        for name, value in attributes.items():
            named(model, made).attribute.append(helper.make_attribute(name, value))

    return edit


def second_of_a_name(model: ModelProto) -> None:
    model.graph.node.append(node("Max", ["confidence", "confidence"], "confidence"))


def read_before_it_is_made(model: ModelProto) -> None:
    model.graph.node.insert(0, node("Max", ["confidence", "confidence"]))


def other_operators(model: ModelProto) -> None:
    model.opset_import[0].version = 13


def one_more_set_of_operators(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def another_ir(model: ModelProto) -> None:
    model.ir_version = 8


def functions(model: ModelProto) -> None:
    opsets = [helper.make_opsetid("", 12)]
    model.functions.append(helper.make_function("d", "f", ["x"], ["x"], [], opsets))


def training(model: ModelProto) -> None:
    model.training_info.add()


def sparse(model: ModelProto) -> None:
    model.graph.sparse_initializer.add()


def of_a_domain(model: ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def longer_constant(model: ModelProto) -> None:
    model.graph.initializer[0].dims.append(10**12)


def empty_constant(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((0, 4), np.float32), "x"))


def no_confidence(model: ModelProto) -> None:
    del model.graph.output[1]


def wide_confidence(model: ModelProto) -> None:
    model.graph.output[1].CopyFrom(
        helper.make_tensor_value_info("confidence", TensorProto.FLOAT, ["batch", "time", 1])
    )


def flat_confidence(model: ModelProto) -> None:
    """Declare what is not made."""
    named(model, "highest_probability").attribute[1].i = 1
    assert named(model, "highest_probability").attribute[1].name == "keepdims"


def moved_state(model: ModelProto) -> None:
    model.graph.input.append(model.graph.input.pop(0))


def many_nodes(model: ModelProto) -> None:
    append(*[node("Max", ["c", "c"], f"c{i}") for i in range(4096)], c=ONE)(model)


GRAPHS: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "a loop": (loop_for_ever, "Attribute has a field 6"),
    "a huge constant": (
        append(node("Expand", ["c", "shape"]), c=ONE, shape=[10**6, 10**6]),
        "more than the file's size explains",
    ),
    "a huge constant of zeros": (
        append(node("ConstantOfShape", ["n"], value=ZERO), n=[10**12]),
        "more than the file's size explains",
    ),
    "a long range": (
        append(node("Range", ["no", "limit", "step"]), no=0, limit=10**12, step=1),
        "more than the file's size explains",
    ),
    "a range of small steps": (
        append(node("Range", ["no", "limit", "step"]), no=-(10**12), limit=0, step=1),
        "does not count from 0",
    ),
    "a size that is computed": (
        append(
            node("Shape", ["logits"], "sizes"),
            node("Mul", ["sizes", "sizes"], "squares"),
            node("ConstantOfShape", ["squares"], value=ZERO),
        ),
        "the shape that it makes is not known",
    ),
    "doubling": (doubled, "more than the file's size explains"),
    "weights multiplied again": (multiplied_again, "multiplies by more weights"),
    "a huge state": (swap_axes, "more than the file's size explains"),
    "many nodes": (many_nodes, "more than 4096 nodes"),
    "division by zero": (change("page_size", np.int32(0)), "not a positive constant"),
    "division by what is read": (
        append(node("Div", ["codepoints", "codepoints"])),
        "not a positive constant",
    ),
    "a foreign operator": (
        append(node("Tile", ["logits", "c"]), c=[9]),
        "hello-export writes no such operator",
    ),
    "a foreign domain": (of_a_domain, "Node has a field 7"),
    "a foreign attribute": (with_attribute("layer0.forward.hidden", clip=0.5), "key 0x15"),
    "a foreign attribute of numbers": (
        with_attribute("layer0.forward.hidden", layout=1),
        "its attribute 'layout' is none that we write",
    ),
    "an attribute twice": (with_attribute("ids", axis=0), "has an attribute twice"),
    "an attribute of another type": (
        lambda model: named(model, "ids").attribute[0].CopyFrom(helper.make_attribute("axis", [0])),
        "its attribute 'axis' is none that we write",
    ),
    "a node that makes nothing": (
        lambda model: named(model, "state0").ClearField("output"),
        "nothing",
    ),
    "a node that makes too much": (
        lambda model: named(model, "ids").output.append("more"),
        "too many outputs",
    ),
    "functions": (functions, "Model has a field 25"),
    "training": (training, "Model has a field 20"),
    "sparse constants": (sparse, "Graph has a field 15"),
    "other operators": (other_operators, "other sets of operators"),
    "more operators": (one_more_set_of_operators, "other sets of operators"),
    "another version of the file": (another_ir, "IR version is 8"),
    "a constant that is cut off": (longer_constant, "is not as long as its shape"),
    "a constant of nothing": (empty_constant, "has no possible shape"),
    "a second value of a name": (second_of_a_name, "a second value of the name 'confidence'"),
    "a value of later": (read_before_it_is_made, "nothing before it makes its input"),
    "an output too few": (no_confidence, "its outputs are not decoded, confidence, logits"),
    "an output of another shape": (wide_confidence, "confidence is declared otherwise"),
    "an output that is not so": (flat_confidence, "differ in size"),
    "inputs in another order": (moved_state, "inputs are not codepoints with"),
    "labels beyond the metadata": (
        change("label_codepoints", np.array([*map(ord, "aełz")], np.int32)),
        "writes what is none of its labels",
    ),
    "text that is computed": (
        lambda model: named(model, "decoded").CopyFrom(
            node("Add", ["codepoints", "codepoints"], "decoded")
        ),
        "computed and not chosen",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_we_would_not_write_is_refused(name: str, file: Path) -> None:
    edit, message = GRAPHS[name]
    open_edited(file, edit, message)


NUMBERS = [-(2**63), -1, 0, 1, 1, 2, 3, 6, 2**62]


def random_value(random: Random, shape: Shape) -> Value:
    """Return a value of this shape, or of another."""
    few: Shape = tuple(random.choices([*NUMBERS, "batch"], k=random.randrange(1, 4)))
    return Value(
        random.choice(["float32", "float32", "int64", "int64", "int32", "bool", "int8"]),
        random.choice([shape, shape, random_shape(random), (), (len(few),)]),
        random.choice([None, few]),
    )


def random_shape(random: Random) -> Shape:
    return tuple(random.choices(["batch", "time", 1, 1, 2, 3, 4], k=random.randrange(4)))


def random_attribute(random: Random, name: str, kind: int) -> onnx_wire.Attribute:
    attribute = onnx_wire.Attribute(name, type=kind)
    if kind == operators.INT:
        return attribute._replace(i=random.choice(NUMBERS))
    if kind == operators.INTS:
        return attribute._replace(ints=random.choices(NUMBERS, k=random.randrange(1, 4)))
    if kind == operators.STRINGS:
        return attribute._replace(strings=["Relu"])
    return attribute._replace(t=onnx_wire.Tensor([1], 1, "", memoryview(bytes(4))))


def random_node(random: Random, name: str, values: Sequence[str]) -> onnx_wire.Node:
    """Return a node of an operator that has inputs and attributes as it must, by their kind."""
    operator = OPERATORS[name]
    kinds = {**operator.attributes, **operator.optional}
    inputs = random.choices(values, k=operator.inputs or random.randrange(1, 4))
    if operator.empty_input:
        inputs.insert(operator.empty_input, "")
    made = [f"made{index}" for index in range(random.choice([1, 1, 1, 0, 2, 3]))]
    attributes = [random_attribute(random, *item) for item in kinds.items()]
    return onnx_wire.Node(inputs, made, "", name, attributes)


def test_a_rule_refuses_whatever_it_is_given_by_one_class() -> None:
    """Shapes, attributes and outputs at random: some fit, and no rule fails otherwise."""
    random = Random(0)
    fitting = set()
    for name in [*OPERATORS] * 400:
        shape = random_shape(random)
        values = {letter: random_value(random, shape) for letter in "abcdefgh"}
        node = random_node(random, name, [*values])
        with suppress(ValueError):
            run_node(node, values, Budget(10**6, 10**6))
            fitting.add(name)
    assert len(fitting) >= 20


def test_a_size_that_grows_with_a_square_is_refused(file: Path) -> None:
    open_edited(file, squared, "grows with the square", BOTH_WAYS)


def test_a_model_without_a_state_that_calls_itself_causal(file: Path) -> None:
    def edit(model: ModelProto) -> None:
        next(item for item in model.metadata_props if item.key == "causal").value = "true"

    open_edited(file, edit, "not those of its metadata", BOTH_WAYS)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["causal", "bidirectional"])
def test_every_network_of_ours_opens(kind: Any, bidirectional: bool, file: Path) -> None:
    for layers in (1, 3):
        for number in range(15):
            network = make_network(
                *kind,
                layers=layers,
                bidirectional=bidirectional,
                projection=number % 2 == 0,
                guarded=number % 4 < 2,
                unknown=UNKNOWN_POLICIES[number // 5],
                hidden_size=(5, 300)[number == 0],
                labels=[*LABELS][number % 5],
            )
            storage = STORAGES[number % 3]
            model = build_model(round_weights(network, storage), TRAINING, storage)
            file.write_bytes(model.SerializeToString())
            content, info, graph = load_model(file)
            config = network.config
            assert (info.output_labels, info.guard) == (config.output_labels, config.guard)
            assert graph.state == (None if bidirectional else (config.slots, config.hidden_size))
            assert compare_readings(content) == "read"


UNLIKELY: dict[str, dict[str, Any]] = {
    "wide embeddings": {"cell": "rnn", "embedding_dim": 8192, "hidden_size": 1},
    "many labels": {"cell": "rnn", "labels": 5000, "hidden_size": 1},
    "many guarded labels": {"cell": "rnn", "labels": 5000, "hidden_size": 2, "guarded": True},
    "many layers": {"cell": "lstm", "layers": 64, "hidden_size": 1},
    "many long labels": {"cell": "rnn", "labels": 5000, "width": 8, "hidden_size": 1},
    "a wide layer": {"cell": "gru", "hidden_size": 700},
}


EDITED: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "a character of no label": (
        change("label_elements", np.full((6, 2), 97, np.int32)),
        "it writes what is none of its labels",
    ),
    "another width": (
        change("label_elements", np.full((6, 3), -1, np.int32)),
        "the output decoded is not what is declared",
    ),
    "a width that is declared otherwise": (
        lambda model: set_width(model, 3),
        "the output decoded is declared otherwise",
    ),
    "labels of another width": (
        set_metadata("output_labels", '[[null], "", "x", [" ", null], "y", [null, "", "z"]]'),
        "label 5: '' is no character",
    ),
    "labels that keep nothing": (
        set_metadata("output_labels", '["a", "", "bc", "d", "e", "f"]'),
        "it writes what is none of its labels",
    ),
    "an object": (set_metadata("output_labels", '{"a": 1}'), "its labels are not a list"),
    "a label that ends a line": (
        set_metadata("output_labels", '[[null, "\\n"]]'),
        "label 0: it has LF",
    ),
    "a label of nine": (
        set_metadata("output_labels", '["123456789"]'),
        "label 0: it has 9 elements; 8 are possible",
    ),
    "a label twice": (set_metadata("output_labels", "[[null], [null]]"), "it has a label twice"),
    "no label": (set_metadata("output_labels", "[]"), "it has no labels"),
    "a guard of characters": (
        set_metadata("guard", '{"a": "a"}'),
        "guard is neither a list nor null",
    ),
    "a guard of an unknown label": (
        set_metadata("guard", '[["aelosz żł😀", [6]]]'),
        "guard gives what it does not write",
    ),
    "a guard that allows nothing": (
        set_metadata("guard", '[["aelosz żł😀", []]]'),
        "guard gives what it does not write",
    ),
    "a guard of other characters": (
        set_metadata("guard", '[["aelosz żł", [0]]]'),
        "guard is not of the characters",
    ),
    "a guard with a character twice": (
        set_metadata("guard", '[["aelosz żł😀", [0]], ["a", [1]]]'),
        "guard has a character twice",
    ),
    "a guard that is no class": (
        set_metadata("guard", '[["a", [true]]]'),
        "guard has what is no class of characters",
    ),
    "an older format": (
        set_metadata("format_version", "1"),
        "its metadata lacks 'output_alphabet'",
    ),
}


def set_width(model: ModelProto, width: int) -> None:
    """Declare another width of what is written."""
    output = next(item for item in model.graph.output if item.name == "decoded")
    output.type.tensor_type.shape.dim[2].dim_value = width


@pytest.mark.parametrize("name", EDITED)
def test_a_graph_writes_the_labels_of_its_metadata(name: str, file: Path) -> None:
    edit, message = EDITED[name]
    open_edited(file, edit, message, WIDE)


@pytest.mark.parametrize("name", UNLIKELY)
def test_the_least_file_of_unlikely_sizes_opens(name: str, file: Path) -> None:
    """With int8 weights and an alphabet of two characters, which explain the least."""
    sizes = dict(UNLIKELY[name])
    labels = "".join(chr(0x4E00 + index) for index in range(sizes.pop("labels", 2)))
    guard = {"a": labels[0], "b": labels[1]} if sizes.pop("guarded", False) else None
    width = sizes.pop("width", 1)
    config = ModelConfig(
        input_alphabet="ab",
        output_labels=tuple([(char,) * width for char in labels]),
        bidirectional=True,
        projection=True,
        unknown="copy",
        guard=alphabet_guard(guard, labels) if guard else None,
        **{"embedding_dim": 1, "layers": 1, **sizes},
    )
    network = round_weights(Network(config).eval(), "int8")
    file.write_bytes(build_model(network, TRAINING, "int8").SerializeToString())
    assert load_model(file).info.hidden_size == config.hidden_size


@pytest.mark.parametrize(
    "name", ["tall-int8", "deep-lstm", "deep-gru", "deep-relu", "wide-lstm", "wide-gru"]
)
def test_every_shape_that_is_worked_out_is_what_the_engine_makes(name: str) -> None:
    content = (GOLDEN / f"{name}.onnx").read_bytes()
    graph = onnx_wire.read_message(
        onnx_wire.Graph, onnx_wire.read_message(onnx_wire.Model, content).graph
    )
    declared = declarations(graph.input)
    values = infer_values(graph, declared, len(content))
    model = onnx.load_model_from_string(content)
    names = [made for item in model.graph.node for made in item.output if made]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=made) for made in names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    sizes = {name: sized(values[name].shape) for name in [*declared, *names]}
    given = {name: np.ones(sizes[name], values[name].dtype) for name in declared}
    results = session.run(names, given)
    assert len(names) > 20
    for made, array in zip(names, results, strict=True):
        assert (made, array.shape, array.dtype.name) == (made, sizes[made], values[made].dtype)


def sized(shape: Shape) -> tuple[int, ...]:
    """Return a shape for a batch of two rows of three characters."""
    return tuple({"batch": 2, "time": 3}[size] if isinstance(size, str) else size for size in shape)


def test_every_operator_is_one_that_we_write() -> None:
    written = set()
    for cell in ("rnn", "gru", "lstm"):
        for both in (False, True):
            network = make_network(cell, bidirectional=both, guarded=True)
            model = build_model(round_weights(network, "int8"), TRAINING, "int8")
            written |= {item.op_type for item in model.graph.node}
    assert written == set(OPERATORS)


# What a model may say of itself.

METADATA: dict[str, tuple[str, str, str]] = {
    "a label that ends a line": ("output_alphabet", '"ehl\\n"', "label 3: it has LF, which"),
    "a label that is a surrogate": ("output_alphabet", '"ehl\\ud800"', "damaged metadata"),
    "a label twice": ("output_alphabet", '"ehle"', "it has a label twice"),
    "labels that are no text": ("output_alphabet", '["e", "h"]', "an alphabet is not a text"),
    "a guard of other characters": ("guard", '{"a": "a"}', "guard is not of the characters"),
    "a guard of numbers": ("guard", '{"a": 1, "b": 2}', "guard"),
    "a guard that is a list": ("guard", "[1]", "guard is neither an object nor null"),
    "no layers": ("layers", "0", "it has no layers"),
    "more layers than numbers": ("layers", "9" * 5000, "damaged metadata"),
    "another nonlinearity": ("nonlinearity", "\x1b[31mtanh\n", "nonlinearity is '"),
    "other weights": ("weights", "w" * 10**6, "weights are 'www"),
    "a policy of a newer format": ("unknown", "label", "its format_version is 1"),
    "a newer format than it needs": ("format_version", "2", "its metadata lacks 'output_labels'"),
    "a cell of ten megabytes": ("cell", "\x1b[31m\n" * 10**6, "cell is '"),
    "a number that JSON has not": ("training", '{"seed": NaN}', "damaged metadata"),
    "an end too early": ("training", "{", "damaged metadata"),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_is_damaged_is_refused(name: str, file: Path) -> None:
    key, value, message = METADATA[name]
    open_edited(file, set_metadata(key, value), message)


def test_a_key_of_the_metadata_stands_once(file: Path) -> None:
    """The engine would take the last, and others the first."""
    open_edited(
        file, lambda model: model.metadata_props.add(key="cell"), "a key stands there twice"
    )


def test_a_newer_format_is_told_before_the_graph_is_read(file: Path) -> None:
    def edit(model: ModelProto) -> None:
        set_metadata("format_version", "3")(model)
        model.graph.node[0].domain = "of the future"

    open_edited(file, edit, "written in format 3, .* run: pip install --upgrade hello-rnn")


def test_a_graph_that_copies_nothing_is_not_of_format_1(file: Path) -> None:
    """Runtimes of format 1 that are told to copy unknown characters leave it to the graph."""
    old, new = onnx.load(GOLDEN / "0.1.0" / "hello-gru.onnx"), onnx.load(locate(None, "gru"))
    versions = [
        next(item.value for item in model.metadata_props if item.key == "format_version")
        for model in (old, new)
    ]
    assert versions == ["1", "2"]
    del new.metadata_props[:]
    new.metadata_props.extend(old.metadata_props)
    refused(file, new, "it labels what it should copy")


def test_other_labels_that_some_tools_take_for_ends_end_no_line(run: Run, tmp_path: Path) -> None:
    """A line ends at LF and nowhere else: a text may have CR within its lines, as may labels."""
    labels = "\r\x0b\x85\u2028"
    model = onnx.load(CAUSAL)
    set_metadata("output_alphabet", json.dumps(labels))(model)
    change("label_codepoints", np.array([*map(ord, labels)], np.int32))(model)
    onnx.save(model, tmp_path / "model.onnx")
    result = run("hello-infer", "--model", "model.onnx", stdin="aełaełae\nł\n")
    assert result.returncode == 0
    assert [len(line) for line in result.stdout.split("\n")] == [8, 1, 0]
    assert set(result.stdout) & set(labels)


def test_what_a_model_says_of_itself_does_nothing_to_a_terminal(run: Run, file: Path) -> None:
    model = onnx.load(CAUSAL)
    set_metadata("training", json.dumps({"\x1b[31m\ud800": "\x1b[31m\n\ud800"}))(model)
    onnx.save(model, file)
    for arguments in ((), ("--json",)):
        result = run("hello-infer", "--model", file, "--info", *arguments)
        assert result.returncode == 0
        assert all(line.isprintable() for line in result.stdout.splitlines())


# What it may give: text of the length that was read, or an error.


@pytest.fixture
def decoder() -> Decoder:
    return Decoder.open(CAUSAL, threads=1)


OUTPUTS: dict[str, tuple[str, Any]] = {
    "fewer rows": ("decoded", lambda array: array[:0]),
    "shorter rows": ("decoded", lambda array: array[:, 1:]),
    "longer rows": ("decoded", lambda array: np.repeat(array, 2, axis=1)),
    "no axes": ("decoded", lambda _: np.array(97, np.int32)),
    "other numbers": ("decoded", lambda array: array.astype(np.int64)),
    "one confidence": ("confidence", lambda array: array[:, :1]),
    "confidences of nothing": ("confidence", lambda _: np.zeros((0, 0), np.float32)),
    "a smaller state": ("state_out", lambda array: array[:1]),
    "another state": ("state_out", lambda array: array.astype(np.float64)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_of_another_shape_is_an_error(name: str, decoder: Decoder) -> None:
    changed, edit = OUTPUTS[name]
    session = decoder._session

    def run_session(outputs: list[str], inputs: dict[str, Any], options: Any) -> list[Any]:
        results = session.run(outputs, inputs, options)
        return [
            edit(result) if output == changed else result
            for output, result in zip(outputs, results, strict=True)
        ]

    decoder._session = SimpleNamespace(run=run_session)
    calls: list[Callable[[], object]] = [
        lambda: decoder.stream().feed("ae"),
        lambda: decoder.decode("ae" * LONGEST_ROW),
        lambda: decoder.annotate_batch(["ae", "ł", ""]),
        lambda: decoder.decode("ae"),
        lambda: decoder.decode_batch(["ae", "ł"]),
        lambda: list(decoder.decode_batches([["ae"], ["ł", "a"]])),
    ]
    # The state is asked for where a text goes on, a confidence by `annotate_batch`.
    for call in {"confidence": calls[2:3], "state_out": calls[:2]}.get(changed, calls):
        with pytest.raises(EngineError, match=f"gave a {changed} of .* was due; export it again"):
            call()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_network_that_grows_beyond_float32_is_an_error(
    tmp_path: Path, run: Run, bidirectional: bool
) -> None:
    """Its probabilities are no numbers then."""
    network = make_network("rnn", "relu", bidirectional=bidirectional, unknown="label")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
        for name, weight in network.recurrence.named_parameters():
            if name.startswith("weight_hh"):
                weight.copy_(2 * torch.eye(len(weight)))
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path)
    assert decoder.annotate_batch(["ab" * 20])[0].confidence.max() <= 1
    with pytest.raises(ModelFileError, match="its logits are NaN or infinite: the network grows"):
        decoder.annotate_batch(["ab", "ab" * 100])
    result = run("hello-infer", "--model", ".", "--json", "ab" * 100)
    assert_one_line_error(result, "model.onnx: its logits are NaN or infinite")
    calls: list[Callable[[], object]] = [
        lambda: decoder.decode("ab" * 100),
        lambda: decoder.decode("ab" * LONGEST_ROW),
        lambda: decoder.decode_batch(["ab", "ab" * 100]),
        lambda: list(decoder.decode_batches([["ab" * 100]])),
        lambda: decoder.stream().feed("ab" * 100),
    ]
    for call in calls[:-1] if bidirectional else calls:
        with pytest.raises(ModelFileError, match="its logits are NaN or infinite"):
            call()


def test_an_index_that_there_is_not_is_an_error(
    file: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """The engine refuses it, and its message has names of the file."""
    model = onnx.load(CAUSAL)
    change("page_ids", np.full(512, 10**6, np.int32))(model)
    named(model, "embedded").name = "\x1b[31m\n" + "long" * 10**6
    onnx.save(model, file)
    decoder = Decoder.open(file)
    with pytest.raises(EngineError, match=r"out of data bounds|\[ONNXRuntimeError\]") as caught:
        decoder.decode("a")
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")
    assert_one_line_error(run("hello-infer", "--model", file, "a"), "onnxruntime failed")


# What an error quotes.


def test_a_foreign_text_becomes_one_printable_line() -> None:
    assert first_line("a\nb") == first_line("\n \n\x0ba\r\nb") == "a"
    assert first_line("\x1b[31mróż\t\u202e\ud800") == r"\x1b[31mróż\t\u202e\ud800"
    assert first_line("x" * 10**7, 10) == "xxxxxxxxxx…"
    assert len(first_line("\0" * 10**7)) < 500
    assert first_line(ValueError("a\nb")) == "a"
    assert first_line(ValueError("\n")) == first_line(ValueError()) == "ValueError"


class Noisy(onnxruntime.InferenceSession):  # type: ignore[misc]
    """A session that cannot be opened, by an error on which onnxruntime would try again."""

    def _create_inference_session(self, *arguments: Any, **options: Any) -> None:
        raise ValueError("\x1b[31mred\nlines\n" * 10**6)


def test_an_engine_that_fails_says_nothing_itself(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", Noisy)
    with pytest.raises(ModelFileError, match=r"cannot open it: \\x1b\[31mred$"):
        Decoder.open(CAUSAL)
    assert capfd.readouterr() == ("", "")


def test_what_an_engine_cannot_allocate_is_not_told_on_stderr(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its allocators have a log of their own; the check of the graph is left out here."""
    model = onnx.load(CAUSAL)
    append(node("Expand", ["c", "shape"], "big"), c=ONE, shape=[2**20, 2**22])(model)
    model.graph.output.append(helper.make_tensor_value_info("big", TensorProto.FLOAT, None))
    opened = devices.open_session(model.SerializeToString(), file, "cpu")
    given = {"codepoints": np.zeros((1, 1), np.int32), "state": np.zeros((3, 1, 4), np.float32)}
    with pytest.raises(Exception, match=r"llocat|memory"):
        opened.session.run(["big"], given)
    assert capfd.readouterr() == ("", "")


def test_a_file_is_read_as_onnx_whatever_its_mark_says(file: Path) -> None:
    content = ENCODINGS["a format of onnxruntime's own"][0]()
    assert onnx.load_model_from_string(content).graph.node
    opened = devices.open_session(content, file, "cpu")
    assert opened.session.get_inputs()[0].name == "codepoints"


# The fuzz, in its short form.


def test_damaged_and_hostile_files_end_in_text_or_a_named_error() -> None:
    said = [said for _, said in outcomes(seed=0, first=0, stop=300)]
    assert len(said) == 300
    assert not [text for text in said if text.startswith("FAULT")]
    assert {"read, decoded", "read, ModelFileError", "not read, ModelFileError"} <= set(said)


PLANTED = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from fuzz import models

def outcome(seed, number, folder):
    if number == 1:
        while True:
            pass
    if number == 2:
        os.abort()
    if number == 3:
        return str(len(b"x" * (60 << 20)))
    if number == 4:
        os.write(2, b"noise")
    return "fine"

models.CPU_SECONDS = 1
models.MEGABYTES = 50  # a system under load may take a second to give 500
models.outcome = outcome
seed, first, stop = map(int, sys.argv[2:5])
models.serve(seed, first, stop, Path(sys.argv[5]))
"""


def test_the_fuzz_finds_what_is_planted(tmp_path: Path) -> None:
    script = tmp_path / "planted.py"
    script.write_text(PLANTED.format(tests=str(Path(__file__).parent)))
    assert [said for _, said in outcomes(0, 0, 6, str(script))] == [
        "fine",
        "FAULT: more than 2.0 s of CPU time",
        "FAULT: the process died (SIGABRT)",
        "FAULT: more than 50 MB",
        "FAULT: it wrote to stdout or stderr",
        "fine",
    ]
