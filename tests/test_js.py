"""The JavaScript module: texts, errors, damaged files, and that the proof finds its faults.

The module is an engine of the proof, so `test_parity`, `test_rounding` and `test_golden` compare it
with PyTorch on every cell, direction, number of layers and way to store weights.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fuzz.javascript import outcomes
from golden.replay import OLD, SEED, TASKS, TEMPERATURE, TEXTS, TOLERANCE, model_file, read_rows
from hello_export.errors import ParityError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES, Storage
from hello_export.proof import parity
from hello_export.proof.javascript import JavaScript, modules_folder, node_version
from hello_export.proof.verdict import Report
from hello_runtime import Decoder
from hello_runtime.errors import PolicyError, UnknownCharacterError
from hello_runtime.model.labels import alphabet_labels
from hello_runtime.model.model_file import Unknown
from hello_runtime.model.tasks import Task
from hello_runtime.text.normal_forms import NormalForm
from hello_train.network.cells import CELLS
from hello_train.network.model import Network
from helpers import LABELS, STRANGE, TRAINING, make_network, quick_cases, random_texts
from node import Node

pytestmark = pytest.mark.skipif(not node_version(), reason="Node is not installed")

MODULES = modules_folder()
FILES = int(os.environ.get("DAMAGED_FILES", 300))


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    started = Node()
    yield started
    started.close()


REWRITING = [name for name in TEXTS if name.partition("-")[0] not in TASKS]


@pytest.mark.parametrize("name", [*REWRITING, *OLD])
def test_the_golden_texts(name: str, node: Node) -> None:
    rows = read_rows(name)
    answer = node.ask(model_file(name), texts=[row["text"] for row in rows], pieces=3)
    for row, found in zip(rows, answer["results"], strict=True):
        assert found["decoded"] == row["decoded"]
        assert found["streamed"] == (row["decoded"] if answer["info"]["causal"] else None)
        for tensor in ("confidence", "logits"):
            expected = np.array(row[tensor], np.float32)
            assert np.abs(np.array(found[tensor], np.float32) - expected).max() <= TOLERANCE


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in REWRITING])
def test_the_golden_texts_of_other_tasks(name: str, node: Node) -> None:
    rows = read_rows(name)
    how = {"temperature": TEMPERATURE, "seed": SEED, "characters": 40}
    answer = node.ask(model_file(name), texts=[row["text"] for row in rows], how=how)
    for row, found in zip(rows, answer["results"], strict=True):
        if answer["info"]["task"] == "next":
            assert found["generated"] == row["drawn"]
        else:
            assert found["label"] == row["label"]
            assert abs(found["confidence"] - row["confidence"][0]) <= TOLERANCE


def compare(
    folder: Path, storage: Storage = "float32", modules: Path = MODULES, **shape: Any
) -> Report:
    """Compare the module, or another in its place, with PyTorch on a network of this shape."""
    network = round_weights(make_network(**shape), storage)
    onnx.save(build_model(network, TRAINING, storage), folder / "model.onnx")
    engine = JavaScript(network.config, folder, modules)
    try:
        report = parity.compare(network, [engine], quick_cases(network.config))
    finally:
        engine.close()
    report.check()
    return report


FAULTS: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("gates exchanged", 'gates: "zrh"', 'gates: "rzh"', "layer0.forward", {}),
    ("gates exchanged in the step", "update = sigmoid(x[j] + r[j])",
     "update = sigmoid(x[H + j] + r[H + j])", "logits", {}),
    ("output for forget", "c[j] = forget * c[j]", "c[j] = output * c[j]", "logits",
     {"cell": "lstm"}),
    ("reset before the product", "x[2 * H + j] + reset * r[2 * H + j]",
     "reset * (x[2 * H + j] + r[2 * H + j])", "logits", {}),
    ("tanh for relu", "Math.max(x, 0)", "Math.tanh(x)", "logits",
     {"cell": "rnn", "nonlinearity": "relu"}),
    ("not turned back", "step * features + direction * H",
     "n * features + direction * H", "logits", {"bidirectional": True}),
    ("not turned at all", "direction === 0 ? n : steps - 1 - n", "n", "logits",
     {"bidirectional": True}),
    ("the other direction's half", "direction * H);", "(1 - direction) * H);",
     "logits", {"bidirectional": True}),
    ("the scale on the wrong axis", "Math.floor(at / inner) % scale.length",
     "at % scale.length", "logits", {"storage": "int8"}),
    ("float16 without its sign", "bits >> 15 ? -size : size", "size", "logits",
     {"storage": "float16"}),
    ("not transposed", "matrix[(at % rows) * columns + Math.floor(at / rows)]",
     "matrix[at]", "logits", {}),
    ("biases exchanged", "b: biases.subarray(0, rows)", "b: biases.subarray(rows)",
     "logits", {}),
    ("state forgotten", "this.info.causal ? before", "false ? before", "logits", {}),
    ("states by layer", "slot % layers.length === layer",
     "Math.floor(slot / this.cell.states) === layer", "state_out", {"cell": "lstm", "layers": 2}),
    ("no guard", "if (guard && !guard.allowed[at])", "if (false)", "logits",
     {"guarded": True}),
    ("the guard by ids", "guard.classes[ids[step]]", "Math.min(ids[step], 3)",
     "logits", {"guarded": True, "labels": "width 2"}),
    ("nothing kept", "element === KEPT ?", "element === NaN ?", "decoded",
     {"labels": "one"}),
    ("one character of a label", "step * labelWidth + place", "step * labelWidth",
     "decoded", {"labels": "width 5"}),
    ("unknown characters rewritten", "if (copied) element",
     "if (false) element", "decoded", {}),
    ("unknown characters copied", 'this.info.unknown !== "label"', "true",
     "confidence", {"unknown": "label"}),
    ("the first step backward", "ends.set(features.subarray(H, 2 * H), H)", "H", "logits",
     {"task": "classify", "bidirectional": True}),
    ("no softmax", "copied ? 1 : 1 / sum", "1", "confidence", {}),
]  # fmt: skip


def planted(folder: Path, old: str, new: str) -> Path:
    """Return a folder of the modules, with a fault in one of them."""
    broken = folder / "js"
    shutil.copytree(MODULES, broken)
    sources = {file: file.read_text(encoding="utf-8") for file in broken.glob("*.mjs")}
    assert sum(source.count(old) for source in sources.values()) == 1
    for file, source in sources.items():
        file.write_text(source.replace(old, new), encoding="utf-8")
    return broken


@pytest.mark.parametrize(
    ("old", "new", "named", "shape"),
    [fault[1:] for fault in FAULTS],
    ids=[fault[0] for fault in FAULTS],
)
def test_a_planted_fault_is_found_and_named(
    old: str, new: str, named: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    broken = planted(tmp_path, old, new)
    with pytest.raises((ParityError, RuntimeError)) as caught:
        compare(tmp_path, modules=broken, **shape)
    expected = f"JavaScript differs from PyTorch in {named}" if "." not in named else named
    assert expected in str(caught.value)


@pytest.mark.parametrize("shape", [{"storage": storage} for storage in STORAGES], ids=str)
def test_without_a_fault_the_same_network_passes(shape: dict[str, Any], tmp_path: Path) -> None:
    assert compare(tmp_path, **shape).verdicts[0].cases == 17


def write_model(folder: Path, edit: Callable[[onnx.ModelProto], None] | None = None) -> Path:
    """Write a small causal GRU that copies unknown characters, edited."""
    model = build_model(make_network(), TRAINING)
    if edit:
        edit(model)
    file = folder / "model.onnx"
    onnx.save(model, file)
    return file


def set_metadata(**changed: str) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        props = {prop.key: prop.value for prop in model.metadata_props} | changed
        onnx.helper.set_model_props(model, props)

    return edit


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(item for item in model.graph.initializer if item.name == name)
    return found


@pytest.mark.parametrize("form", ["nfc", "nfd"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_text_is_brought_into_the_models_normal_form(
    form: NormalForm, pieces: int, node: Node, tmp_path: Path
) -> None:
    config = replace(make_network().config, input_alphabet="abz\u0307😀", normalization=form)
    if form == "nfc":
        config = replace(config, input_alphabet="abżą😀")
    onnx.save(build_model(Network(config).eval(), TRAINING), tmp_path / "model.onnx")
    texts = [
        "z\u0307a",
        "ża\u0328b",
        "a\u0323\u0307\u0323😀",
        "\u1100\u1161\u11a8b",
        "\U00011099\U000110ba",
        "\u0307",
        "ż" * 9,
    ]
    results = node.ask(tmp_path / "model.onnx", texts=texts, pieces=pieces)["results"]
    expected = Decoder.open(tmp_path).decode_batch(texts)
    assert [found["decoded"] for found in results] == expected
    assert [found["streamed"] for found in results] == expected


@pytest.mark.parametrize("form", ["nfc", "nfd"])
@pytest.mark.parametrize("task", ["classify", "next"])
def test_other_tasks_read_the_normal_form(
    task: Task, form: NormalForm, node: Node, tmp_path: Path
) -> None:
    config = make_network(task=task).config
    alphabet = "abżą😀" if form == "nfc" else "abz\u0307😀"
    labels = alphabet_labels(alphabet) if task == "next" else ()
    config = replace(
        config, input_alphabet=alphabet, output_labels=labels, normalization=form, projection=True
    )
    onnx.save(build_model(Network(config).eval(), TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path)
    texts = ["z\u0307a", "ża\u0328b", "a\u0323\u0307\u0323😀", "\u0307", "ż" * 9]
    answer = node.ask(tmp_path / "model.onnx", texts=texts, how={"seed": 3})
    assert answer["info"]["normalization"] == form
    for text, found in zip(texts, answer["results"], strict=True):
        if task == "next":
            assert found["generated"] == "".join(decoder.generate(text, 200, seed=3))
        else:
            row = decoder.classify(text)
            assert found["probabilities"] == pytest.approx(list(row.probabilities), abs=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_classify(cell: str, bidirectional: bool, node: Node, tmp_path: Path) -> None:
    compare(tmp_path, task="classify", cell=cell, bidirectional=bidirectional, layers=2)
    texts = ["", *random_texts(20, 20)]
    results = node.ask(tmp_path / "model.onnx", texts=texts)["results"]
    expected = Decoder.open(tmp_path).classify_batch(texts)
    assert [found["label"] for found in results] == [row.label for row in expected]
    for found, row in zip(results, expected, strict=True):
        assert found["confidence"] == pytest.approx(row.confidence, abs=1e-6)
        assert row.label == "" or found["probabilities"] == pytest.approx(
            list(row.probabilities), abs=1e-6
        )


@pytest.mark.parametrize("cell", CELLS)
def test_generate(cell: str, node: Node, tmp_path: Path) -> None:
    """The same seed gives the text that the runtime gives."""
    compare(tmp_path, task="next", cell=cell, layers=2)
    decoder = Decoder.open(tmp_path)
    for seed, temperature, top in ((0, 1.0, None), (7, 0.5, 2), (2**53, 1.5, 3), (1, 0.0, None)):
        how = {"temperature": temperature, "seed": seed, **({"top": top} if top else {})}
        answer = node.ask(tmp_path / "model.onnx", texts=["ab", "ż😀b"], how=how)
        for text, found in zip(["ab", "ż😀b"], answer["results"], strict=True):
            drawn = decoder.generate(text, 200, temperature=temperature, top=top, seed=seed)
            assert found["generated"] == "".join(drawn)


@pytest.mark.parametrize(
    "how", [{"temperature": -0.5}, {"temperature": "hot"}, {"top": 0}], ids=str
)
def test_what_cannot_be_drawn_so(how: dict[str, Any], node: Node, tmp_path: Path) -> None:
    onnx.save(build_model(make_network(task="next"), TRAINING), tmp_path / "model.onnx")
    answer = node.ask(tmp_path / "model.onnx", texts=["ab"], how=how)
    assert answer["error"] == "UnsupportedError"
    assert answer["message"].startswith("The temperature must be at least 0, and top at least 1: ")


@pytest.mark.parametrize("task", ["classify", "next"])
def test_logits_that_are_no_numbers(task: Task, node: Node, tmp_path: Path) -> None:
    network = make_network(task=task)
    network.get_parameter("projection.bias").data[1] = np.nan
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    answer = node.ask(tmp_path / "model.onnx", texts=["ab"])
    assert answer["error"] == "ModelFileError"
    assert answer["message"] == "The logits of this model are NaN or infinite."


@pytest.mark.parametrize(("task", "asked"), [("classify", "generate"), ("next", "classify")])
def test_another_task_is_refused(task: Task, asked: str, node: Node, tmp_path: Path) -> None:
    onnx.save(build_model(make_network(task=task), TRAINING), tmp_path / "model.onnx")
    for method in ("decode", asked):
        answer = node.ask(tmp_path / "model.onnx", texts=["ab"], method=method)
        assert answer["error"] == "UnsupportedError"
        wanted = "rewrite" if method == "decode" else {"generate": "next"}.get(asked, asked)
        assert answer["message"] == f"The task of this model is {task}, not {wanted}."


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("labels", LABELS)
def test_every_kind_of_label(labels: str, guarded: bool, node: Node, tmp_path: Path) -> None:
    compare(tmp_path, labels=labels, guarded=guarded, seed=1)
    texts = random_texts(20, 20)
    results = node.ask(tmp_path / "model.onnx", texts=texts, pieces=2)["results"]
    expected = Decoder.open(tmp_path).decode_batch(texts)
    assert [found["decoded"] for found in results] == expected
    assert [found["streamed"] for found in results] == expected
    for found in results:
        assert "".join(each["written"] for each in found["annotations"]) == found["decoded"]


def test_a_text_is_code_points(node: Node, tmp_path: Path) -> None:
    """Astral characters are one, a lone surrogate is unknown, and nothing is lost."""
    (found,) = node.ask(write_model(tmp_path), texts=[STRANGE])["results"]
    assert len(found["annotations"]) == len(STRANGE)
    assert [each["read"] for each in found["annotations"]] == list(STRANGE)
    for each in found["annotations"]:
        assert each["known"] == (each["read"] in "abż\u0301😀")
        assert each["known"] or (each["written"], each["confidence"]) == (each["read"], 1)


def test_no_text_is_no_text(node: Node, tmp_path: Path) -> None:
    (found,) = node.ask(write_model(tmp_path), texts=[""], pieces=1)["results"]
    assert (found["decoded"], found["streamed"], found["annotations"]) == ("", "", [])


def test_a_long_text_is_read_in_pieces(node: Node, tmp_path: Path) -> None:
    text = "abż\u0301😀🦀e" * 2000
    (found,) = node.ask(write_model(tmp_path), texts=[text], pieces=999)["results"]
    assert found["decoded"] == found["streamed"] == Decoder.open(tmp_path).decode(text)


@pytest.mark.parametrize("own", ["error", "copy", "label"])
@pytest.mark.parametrize("asked", [None, "error", "copy", "label"])
def test_the_policies_are_those_of_the_runtime(
    own: Unknown, asked: Unknown | None, node: Node, tmp_path: Path
) -> None:
    onnx.save(build_model(make_network(unknown=own), TRAINING), tmp_path / "model.onnx")
    answer = node.ask(tmp_path / "model.onnx", texts=["ab🦀"], policy=asked)
    try:
        expected = Decoder.open(tmp_path, unknown=asked).decode("ab🦀")
    except PolicyError:
        assert answer["error"] == "UnsupportedError"
        assert f"has the policy {own} for unknown characters" in answer["message"]
        assert answer["message"].endswith(f"cannot follow {asked}.")
    except UnknownCharacterError:
        assert answer["error"] == "UnknownCharacterError"
        assert answer["message"].startswith('Character 3 is "🦀", and the model reads only these')
    else:
        assert answer["results"][0]["decoded"] == expected


def test_a_refused_piece_leaves_the_stream_as_it_was(tmp_path: Path) -> None:
    onnx.save(build_model(make_network(unknown="error"), TRAINING), tmp_path / "model.onnx")
    script = f"""
        import {{ load }} from {json.dumps((MODULES / "hello_rnn.mjs").as_uri())};
        import {{ readFileSync }} from "node:fs";
        const model = load(readFileSync({json.dumps(str(tmp_path / "model.onnx"))}));
        const stream = model.stream();
        let said = stream.feed("ab");
        try {{ stream.feed("aaa?"); }} catch (error) {{ said += error.name; }}
        console.log(said + stream.feed("b"));
    """
    command = ["node", "--input-type=module", "-e", script]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")
    expected = Decoder.open(tmp_path).decode("abb")
    assert said == f"{expected[:2]}UnknownCharacterError{expected[2:]}"


def test_a_bidirectional_model_does_not_stream(node: Node, tmp_path: Path) -> None:
    onnx.save(build_model(make_network(bidirectional=True), TRAINING), tmp_path / "model.onnx")
    answer = node.ask(tmp_path / "model.onnx", texts=["ab"], stream=True)
    assert answer["error"] == "UnsupportedError"
    assert "needs the whole line and cannot stream" in answer["message"]


DAMAGES: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "newer": (
        set_metadata(format_version="31"),
        "The model has format 31, and this program reads up to format 2; take a newer",
    ),
    "no version": (set_metadata(format_version=""), "its metadata is not"),
    "another cell": (set_metadata(cell="constructor"), "its cell is not"),
    "another nonlinearity": (set_metadata(nonlinearity="sigmoid"), "its nonlinearity is not"),
    "no JSON": (set_metadata(causal="yes"), "SyntaxError"),
    "more layers": (set_metadata(layers="2"), "layer1.forward.B_zrh is missing, which is not"),
    "endless layers": (set_metadata(layers="1e300"), "layer1.forward.B_zrh is missing"),
    "another width": (set_metadata(hidden_size="6"), "the shape of layer0.forward.B_zrh is not"),
    "a guard": (set_metadata(guard="{}"), "allowed_labels is missing"),
    "a strange label": (
        lambda model: initializer(model, "label_codepoints").__setattr__(
            "raw_data", np.full(6, -3, np.int32).tobytes()
        ),
        "its labels are not",
    ),
    "no such label": (
        lambda model: initializer(model, "label_codepoints").__setattr__(
            "raw_data", np.full(6, 0x110000, np.int32).tobytes()
        ),
        "its labels are not",
    ),
    "an id too large": (
        lambda model: initializer(model, "page_ids").__setattr__(
            "raw_data", np.full(1280, 6, np.int32).tobytes()
        ),
        "the shape of embedding is not",
    ),
    "another page": (
        lambda model: initializer(model, "page_starts").__setattr__(
            "raw_data", initializer(model, "page_starts").raw_data[:-4] + b"\xff\xff\0\0"
        ),
        "page_ids are not",
    ),
    "another type": (
        lambda model: initializer(model, "embedding").__setattr__("data_type", 6),
        "embedding is not",
    ),
    "a foreign field": (
        lambda model: model.functions.add().__setattr__("name", "f"),
        "its field 25 is not",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_one_error_with_a_sentence(name: str, node: Node, tmp_path: Path) -> None:
    edit, message = DAMAGES[name]
    answer = node.ask(write_model(tmp_path, edit), texts=["ab"])
    assert answer["error"] == "ModelFileError"
    assert message in answer["message"]
    assert "\n" not in answer["message"]
    assert answer["message"].endswith(".")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"<!doctype html>", b"\0" * 5000])
def test_a_foreign_file_is_one_error(content: bytes, node: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    answer = node.ask(tmp_path / "file", texts=["ab"])
    assert answer["error"] == "ModelFileError"
    assert answer["message"].startswith("No model of hello-export, or cut off, or damaged")


def test_a_file_cut_off_anywhere_is_one_error(node: Node, tmp_path: Path) -> None:
    content = write_model(tmp_path).read_bytes()
    for size in range(0, len(content), 37):
        (tmp_path / "cut").write_bytes(content[:size])
        answer = node.ask(tmp_path / "cut", texts=["ab"])
        assert answer.get("error") == "ModelFileError", size


def test_damaged_files_give_the_right_text_or_one_error() -> None:
    counts = Counter(said for _, said in outcomes(seed=1, first=0, stop=FILES))
    assert not [said for said in counts if said.startswith("FAULT")]
    assert counts["ModelFileError"] > FILES / 3
    assert counts["decoded"] > FILES / 10


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("logits[label] > logits[best]", "logits[label] < logits[best]", "FAULT: it says"),
        ("if (error instanceof ModelFileError) throw error;", "throw error;",
         "FAULT: "),
    ],
)  # fmt: skip
def test_the_fuzz_finds_a_planted_fault(old: str, new: str, said: str, tmp_path: Path) -> None:
    modules = planted(tmp_path, old, new)
    assert any(found.startswith(said) for _, found in outcomes(4, 0, 400, modules))


def test_the_modules_are_short_and_need_nothing() -> None:
    for file in MODULES.glob("*.mjs"):
        source = file.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 300
        imported = set(re.findall(r'from "([^"]+)"', source))
        assert imported <= {"node:fs", *(f"./{each.name}" for each in MODULES.glob("*.mjs"))}
        assert ("node:fs" in imported) == (file.name == "serve.mjs")
