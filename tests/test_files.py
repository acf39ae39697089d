"""One named error for each way in which a checkpoint or a model file can be wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Decoder, ModelFileError
from hello_train.errors import CheckpointError
from hello_train.network.checkpoint import METADATA_KEY, load_checkpoint, save_checkpoint
from helpers import GOLDEN, Run, assert_one_line_error, read_golden
from safetensors import safe_open
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]
Header = dict[str, Any]


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    golden = read_golden("deep-lstm")
    save_checkpoint(tmp_path / "run", golden.network, golden.training)
    network, training = load_checkpoint(tmp_path / "run")
    assert network.config == golden.network.config
    assert training == golden.training
    for name, tensor in golden.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.safetensors"]


def edited_checkpoint(folder: Path, edit: Callable[[Tensors, Header], None]) -> Path:
    with safe_open(GOLDEN / "hello-gru.safetensors", framework="pt") as content:
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        header = json.loads(content.metadata()[METADATA_KEY])
    edit(tensors, header)
    file = folder / "checkpoint.safetensors"
    save_file(tensors, file, {METADATA_KEY: json.dumps(header)})
    return file


BIAS = "recurrence.bias_ih_l0"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t, _: t.pop(BIAS), f"tensor {BIAS} is missing"),
        (lambda t, _: t.update(extra=t[BIAS].clone()), "tensor extra does not belong"),
        (lambda t, _: t.update({BIAS: t[BIAS][:3]}), r"has shape \[3\], .* wants \[12\]"),
        (lambda t, _: t.update({BIAS: t[BIAS].double()}), "is torch.float64, not float32"),
        (lambda t, _: t.update({BIAS: t[BIAS] * float("nan")}), "values that are not finite"),
        (lambda t, _: t.update({BIAS: t[BIAS] / 0}), "values that are not finite"),
        (lambda _, h: h["config"].update(hidden_size=5), "without a projection the 5 hidden"),
        (lambda _, h: h["config"].update(cell="cnn"), "cell is 'cnn'; it must be one of"),
        (lambda _, h: h["config"].update(unknown="drop"), "unknown is 'drop'"),
        (lambda _, h: h["config"].update(nonlinearity="elu"), "nonlinearity is 'elu'; of gru it"),
        (lambda _, h: h["config"].update(nonlinearity=None), "nonlinearity is None"),
        (lambda _, h: h["config"].update(nonlinearity="relu"), "of gru it must be tanh"),
        (lambda _, h: h["config"].update(layers=0), "layers is 0; it must be at least 1"),
        (lambda _, h: h["config"].update(input_alphabet="hh"), "must name each character once"),
        (
            lambda _, h: h["config"].update(output_alphabet="ehl\n"),
            "label 3: it has LF, which would make",
        ),
        (lambda _, h: h["config"].update(guard={"h": "h"}), "guard is not of the characters"),
        (lambda _, h: h["config"].update(hidden_size=4.0), "hidden_size is 4.0; .* type int"),
        (lambda _, h: h["config"].update(hidden_size=10**9), "without a projection"),
        (lambda _, h: h["config"].update(embedding_dim=10**12), r"has shape .* wants"),
        (lambda _, h: h["config"].update(embedding_dim=10**30), "sizes beyond all bounds"),
        (lambda _, h: h["config"].update(embedding_dim=2**63), "sizes beyond all bounds"),
        (lambda _, h: h["config"].update(layers=10**9), "more layers than it has tensors"),
        (lambda _, h: h["config"].update(bidirectional=None), "bidirectional is None"),
        (lambda _, h: h["config"].update(guard="ehlo"), "guard is neither an object nor null"),
        (lambda _, h: h["config"].update(input_alphabet=["e", "hl"]), "input_alphabet is"),
        (lambda _, h: h["config"].update(input_alphabet="ehl\ud800"), "has a surrogate"),
        (lambda _, h: h["config"].pop("guard"), "damaged header .*guard"),
        (lambda _, h: h["training"].update(example=3), "example is 3; .* type str"),
        (lambda _, h: h["training"].update(scores=3), "scores is 3"),
        (lambda _, h: h.update(format_version=float("inf")), "damaged header"),
        (lambda _, h: h["config"].update(wings=2), "damaged header .*wings"),
        (lambda _, h: h["config"].pop("cell"), "damaged header .*cell"),
        (lambda _, h: h.pop("training"), "damaged header .*training"),
        (lambda _, h: h.update(format_version=3), "format 3, and this hello-rnn reads up to 2"),
        (lambda _, h: h.update(format_version=2), "its format_version is 2, and not 1"),
        (lambda _, h: h["config"].update(unknown="label"), "has output_alphabet, as in format 1"),
    ],
)
def test_a_checkpoint_that_does_not_fit(
    edit: Callable[[Tensors, Header], None], message: str, tmp_path: Path
) -> None:
    file = edited_checkpoint(tmp_path, edit)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(file)


def test_a_checkpoint_is_read_without_pytorchs_compiler() -> None:
    """Its import takes seconds, in each command that reads a checkpoint."""
    script = (
        "import sys; from pathlib import Path; "
        "from hello_train.network.checkpoint import load_checkpoint; "
        "load_checkpoint(Path(sys.argv[1])); "
        "print(*{'torch.nn', 'torch._dynamo'} & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, GOLDEN / "hello-gru.safetensors"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert result.stdout.split() == ["torch.nn"]


def test_a_checkpoint_older_than_the_choice_of_nonlinearity_has_tanh(tmp_path: Path) -> None:
    file = edited_checkpoint(tmp_path, lambda _, header: header["config"].pop("nonlinearity"))
    assert load_checkpoint(file)[0].config.nonlinearity == "tanh"


def test_files_that_are_no_checkpoints(run: Run, tmp_path: Path) -> None:
    whole = (GOLDEN / "hello-gru.safetensors").read_bytes()
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    for name, content in (("empty", b""), ("text", b"hello\n"), ("cut", whole[:-9])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"{name}: not a readable safetensors file"):
            load_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match="has no hello-rnn configuration"):
        load_checkpoint(foreign)
    for name in ("empty", "text", "foreign.safetensors"):
        assert_one_line_error(
            run("hello-export", name), f"{name}: it is no checkpoint", "--alphabet"
        )
    assert_one_line_error(run("hello-export", "cut"), "cut: not a readable safetensors file")


def model_bytes(edit: Callable[[onnx.ModelProto], None]) -> bytes:
    golden = read_golden("hello-gru")
    model = build_model(golden.network, golden.training)
    edit(model)
    content: bytes = model.SerializeToString()
    return content


def set_metadata(key: str, value: str | None) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        entries = [entry for entry in model.metadata_props if entry.key != key]
        del model.metadata_props[:]
        model.metadata_props.extend(entries)
        if value is not None:
            model.metadata_props.add(key=key, value=value)

    return edit


def keep_weights_outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")


def disguised_path() -> bytes:
    """Write the length of the key `location` in two bytes, as protobuf may and nobody does."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    entry = b"\n\x88\x00location" + field(2, b"/etc/passwd")
    return field(7, field(5, field(13, entry)))


def keep_a_branch_outside(model: onnx.ModelProto) -> None:
    tensor = onnx.TensorProto(name="x", data_location=onnx.TensorProto.EXTERNAL)
    branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
    model.graph.node.append(onnx.helper.make_node("If", ["y"], ["z"], then_branch=branch))


def free_the_state(model: onnx.ModelProto) -> None:
    model.graph.input[1].type.tensor_type.shape.dim[2].dim_param = "hidden"


BAD_MODELS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"hello, this is no model\n" * 9, "it is no ONNX model, but a text file"),
    "cut": (lambda: model_bytes(lambda _: None)[:2000], "no ONNX model, or cut off"),
    "graphless": (lambda: model_bytes(lambda model: model.ClearField("graph")), "its inputs are"),
    "foreign": (
        lambda: model_bytes(lambda model: model.ClearField("metadata_props")),
        "its metadata has no hello-rnn format_version",
    ),
    "newer": (
        lambda: model_bytes(set_metadata("format_version", "3")),
        "format 3, and this hello-rnn reads up to format 2; run: pip install --upgrade",
    ),
    "poor": (lambda: model_bytes(set_metadata("cell", None)), "its metadata lacks 'cell'"),
    "damaged": (lambda: model_bytes(set_metadata("causal", "perhaps")), "damaged metadata"),
    "outside": (lambda: model_bytes(keep_weights_outside), "keeps weights in other files"),
    "disguised": (lambda: model_bytes(lambda _: None) + disguised_path(), "stands there twice"),
    "nested": (lambda: model_bytes(keep_a_branch_outside), "its Attribute has a field 6"),
    "typeless": (lambda: model_bytes(set_metadata("input_alphabet", "3")), "is not a text"),
    "broken": (
        lambda: model_bytes(set_metadata("input_alphabet", '"\\ud800"')),
        "damaged metadata",
    ),
    "deep": (lambda: model_bytes(set_metadata("training", "[" * 100_000)), "damaged metadata"),
    "listed": (lambda: model_bytes(set_metadata("training", "[1]")), "training is not an object"),
    "policy": (lambda: model_bytes(set_metadata("unknown", "drop")), "unknown is 'drop'"),
    "cell": (lambda: model_bytes(set_metadata("cell", "c n n")), "cell is 'c n n'"),
    "long": (lambda: model_bytes(set_metadata("format_version", "9" * 5000)), "format_version"),
    "stateless": (lambda: model_bytes(free_the_state), "codepoints with lengths, or with a state"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_bad_model_file(name: str, run: Run, tmp_path: Path) -> None:
    make, message = BAD_MODELS[name]
    file = tmp_path / f"{name}.onnx"
    file.write_bytes(make())
    result = run("hello-infer", "--model", file, "hello", "--output", "out.txt")
    assert_one_line_error(result, file.name, message)
    assert not (tmp_path / "out.txt").exists()
    with pytest.raises(ModelFileError):
        Decoder.open(file)


def test_a_model_that_is_not_there(run: Run, tmp_path: Path) -> None:
    for path in ("none.onnx", "none", "."):
        assert_one_line_error(run("hello-infer", "--model", path, "hello"), "no model there")
    (tmp_path / "model.onnx").mkdir()
    assert_one_line_error(run("hello-infer", "--model", ".", "hello"), "no model there")


def test_an_unchanged_model_opens(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model_bytes(lambda _: None))
    assert Decoder.open(tmp_path).decode("hello") == "ohlol"


def test_an_alphabet_of_control_characters_survives_the_metadata(tmp_path: Path) -> None:
    edit = set_metadata("input_alphabet", json.dumps("\0\n\"e'hlo🦀"))
    (tmp_path / "model.onnx").write_bytes(model_bytes(edit))
    assert Decoder.open(tmp_path).info.input_alphabet == "\0\n\"e'hlo🦀"
