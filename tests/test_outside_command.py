"""`hello-export WEIGHTS`: a network of one's own becomes an artifact, or the error says why not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn

import pytest
import safetensors.torch
import torch
from hello_export import artifact
from hello_export.errors import ExportError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.intake.alphabets import read_entries, read_labels
from hello_export.intake.network import build_network
from hello_export.intake.recognise import recognise
from hello_runtime import DecodeColumn, Decoder
from hello_train.errors import ConfigError
from hello_train.network.checkpoint import Training, load_checkpoint, save_checkpoint
from helpers import SHORT_PROOF, Export, Run, assert_one_line_error, make_network
from outside import CellLoop, NoNameNet, Tagger
from torch import Tensor, nn

FILES = ["checkpoint.safetensors", "manifest.json", "model.onnx", "model.pt"]
State = dict[str, Any]


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()


def save(module: nn.Module, file: Path) -> Path:
    torch.save(module.state_dict(), file)
    return file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def say(module: nn.Module, ids: list[int], labels: str) -> str:
    """Return the labels that a module gives to a line of ids."""
    with torch.inference_mode():
        logits: Tensor = module(torch.tensor([ids]))
    return "".join(labels[label] for label in logits[0].argmax(-1).tolist())


def train_as_the_post(seed: int) -> tuple[NoNameNet, bool]:
    """Train a network by the post's loop; return it, and whether it learned."""
    torch.manual_seed(seed)
    model = NoNameNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    inputs, targets = torch.tensor([1, 0, 2, 2, 3]).view(5, 1), torch.tensor([3, 1, 2, 3, 2])
    for _ in range(400):
        outputs = model(inputs)
        loss = nn.functional.cross_entropy(outputs, targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model, torch.equal(model(inputs).argmax(1), targets)


def test_the_readers_of_the_post_bring_their_network(run: Run, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        trained = map(train_as_the_post, range(5))  # some starts never learn it
        model = next(model for model, learned in trained if learned)
    save(model, tmp_path / "hello.pt")
    result = run("hello-export", "hello.pt", "--alphabet", "ehlo", "--cell", "gru")
    assert result.returncode == 0, result.stderr
    lines = result.stderr.splitlines()
    assert lines[0].startswith("hello.pt: GRU, layers: 1, directions: 1, hidden values: 4, linear")
    told = {line.split()[0]: line for line in lines[1:14]}
    assert told.keys() == model.state_dict().keys()
    assert "embedding" in told["emb.weight"]
    assert "float32 [12, 10]  GRU layer 0: input weights" in told["gru.weight_ih_l0"]
    for cell in ("rnn", "lstm"):
        assert "not used: --cell chose gru" in told[f"{cell}.bias_hh_l0"]
    assert lines[14] == "unknown characters are an error"
    assert lines[15] == "writing model.onnx and model.pt"
    assert "saved hello; now" in result.stdout
    assert shlex.split(result.stdout.splitlines()[-1])[:3] == ["hello-infer", "--model", "hello"]
    assert run("hello-infer", "--model", "hello", "hello").stdout == "ohlol\n"
    assert names(tmp_path) == ["hello", "hello.pt"]
    assert names(tmp_path / "hello") == FILES


def test_without_a_choice_the_error_names_the_recurrences(run: Run, tmp_path: Path) -> None:
    save(seeded(NoNameNet), tmp_path / "hello.pt")
    result = run("hello-export", "hello.pt", "--alphabet", "ehlo")
    assert_one_line_error(result, "hello.pt: there are 3 recurrences", "rnn", "lstm", "--cell gru")
    assert names(tmp_path) == ["hello.pt"]


def test_what_was_recognised_is_printed_before_anything_is_written(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> NoReturn:
        raise ExportError("stopped")

    monkeypatch.setattr(artifact, "write_artifact", stop)
    save(seeded(Tagger), tmp_path / "w.pt")
    result = export("w.pt", "--alphabet", "abcdef", "--labels", "wxyz")
    assert result.stdout == ""
    first = result.stderr.splitlines()[1]
    assert first.split() == [
        "embed.weight",
        "float32",
        "[6,",
        "7]",
        "embedding:",
        "6",
        "rows",
        "of",
        "width",
        "7",
    ]
    assert result.stderr.splitlines()[-1] == "Error: stopped"
    assert names(tmp_path) == ["w.pt"]


def test_the_source_is_told_and_nothing_that_nobody_knows(export: Export, tmp_path: Path) -> None:
    file = save(seeded(Tagger), tmp_path / "w.pt")
    assert export(file, "--alphabet", "abcdef", "--labels", "wxyz").exit_code == 0
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    record = {"example": "abcde", "scores": {}, "source": {"file": "w.pt", "sha256": digest}}
    manifest = json.loads((tmp_path / "w/manifest.json").read_text(encoding="utf-8"))
    assert manifest["training"] == record
    assert Decoder.open(tmp_path / "w").info.training == record
    training = load_checkpoint(tmp_path / "w")[1]
    assert training.record() == record
    assert (training.seed, training.data, training.characters) == (None, None, None)


def test_info_shows_the_source(run: Run, export: Export, tmp_path: Path) -> None:
    file = save(seeded(Tagger), tmp_path / "w.pt")
    export(file, "--alphabet", "abcdef", "--labels", "wxyz")
    lines = run("hello-infer", "--model", "w", "--info").stdout.splitlines()
    shown = [line.split(maxsplit=2) for line in lines if line.startswith(("source", "training"))]
    assert shown == [
        ["training,", "example", "abcde"],
        ["source,", "file", "w.pt"],
        ["source,", "sha256", hashlib.sha256(file.read_bytes()).hexdigest()],
    ]


def test_a_record_without_source_needs_the_rest(tmp_path: Path) -> None:
    whole = {"data": "x", "example": "x", "seed": 0, "characters": 1}
    assert Training.from_record(whole).record() == {**whole, "scores": {}}
    for name in ("data", "seed", "characters"):
        with pytest.raises(TypeError, match=name):
            Training.from_record({key: value for key, value in whole.items() if key != name})
        with pytest.raises(ConfigError, match=f"{name} is None"):
            Training.from_record({**whole, name: None})
    for source in (["w.pt"], {"file": 1}, "w.pt"):
        with pytest.raises(ConfigError, match="source is "):
            Training.from_record({"example": "x", "source": source})


def test_a_checkpoint_from_outside_has_the_format_that_older_versions_refuse(
    tmp_path: Path,
) -> None:
    network = make_network()
    for training, version in (
        (Training.from_outside({"module": "Net"}, "x"), 2),
        (Training("x", "x", 0, 1), 1),
    ):
        content = save_checkpoint(tmp_path, network, training).read_bytes()
        assert f'\\"format_version\\": {version},'.encode() in content
        assert load_checkpoint(tmp_path)[1] == training


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_everything_behind_it_works(
    export: Export, run: Run, tmp_path: Path, cell: str, bidirectional: bool
) -> None:
    """The text is PyTorch's, by every way of decoding."""
    module = seeded(lambda: Tagger(cell, layers=2, bidirectional=bidirectional))
    save(module, tmp_path / "w.pt")
    choice = ["--nonlinearity", "tanh"] if cell == "rnn" else []
    known = ["w.pt", "--alphabet", "abcde", "--labels", "wxyz", *choice]
    assert export(*known).exit_code == 0
    text = "abcdeedcba?e"
    ids = ["abcde".find(char) % 6 for char in text]
    expected = say(module, ids, "wxyz")
    decoder = Decoder.open(tmp_path / "w")
    assert decoder.info.unknown == "label"
    assert decoder.decode_batch([text, "", "a"]) == [expected, "", say(module, [0], "wxyz")]
    column = DecodeColumn(str(tmp_path / "w"))
    assert column({"text": [text]})["decoded"].tolist() == [expected]
    if not bidirectional:
        stream = decoder.stream()
        assert "".join(stream.feed(char) for char in text) == expected
    storage = "int8" if bidirectional else "float16"
    result = export(*known, "--weights", storage)
    assert result.exit_code == 0, result.stderr
    assert f"{storage}: model.onnx has " in result.stdout
    assert Decoder.open(tmp_path / "w").info.weights == storage
    verified = run("hello-export", "--verify", "w", **SHORT_PROOF) if cell == "gru" else None
    assert verified is None or verified.returncode == 0


@pytest.mark.parametrize(
    ("policy", "written"), [("label", "network"), ("copy", "?"), ("error", "error")]
)
def test_the_policies_for_unknown_characters(
    export: Export, run: Run, tmp_path: Path, policy: str, written: str
) -> None:
    module = seeded(Tagger)
    save(module, tmp_path / "w.pt")
    (tmp_path / "a.txt").write_text("<pad>\n<unk>\na\nb\nc\nd\n")
    result = export(
        "w.pt", "--alphabet", "a.txt", "--labels", "wxyz",
        "--unknown-token", "<unk>", "--unknown", policy,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    row = "is left out" if policy == "error" else "is read for them"
    assert f"; row 1 of the embedding {row}\n" in result.stderr
    assert "rows of the embedding that no text reaches: 0 ('<pad>')\n" in result.stderr
    said = run("hello-infer", "--model", "w", "a?d")
    expected = say(module, [2, 1, 5], "wxyz")
    if written == "error":
        assert_one_line_error(said, "'?' (U+003F)")
    else:
        assert said.stdout == (
            f"{expected[0]}?{expected[2]}\n" if written == "?" else f"{expected}\n"
        )


def test_labels_that_add_and_delete(export: Export, run: Run, tmp_path: Path) -> None:
    """The network's labels are those of plain PyTorch; what they write is an edit of each."""
    module = seeded(Tagger)
    save(module, tmp_path / "w.pt")
    (tmp_path / "labels.json").write_text('[[null, "\u064e"], "", "ab", [null]]')
    result = export("w.pt", "--alphabet", "abcdef", "--labels", "labels.json")
    assert result.exit_code == 0, result.stderr
    told = "labels that do not write one certain character: 0 ([null, "
    assert told in result.stderr
    text = "abcdeffedcba"
    numbers = say(module, ["abcdef".index(char) for char in text], "0123")
    assert len(set(numbers)) > 1
    written = {"0": "{}\u064e", "1": "", "2": "ab", "3": "{}"}
    expected = "".join(written[n].format(char) for n, char in zip(numbers, text, strict=True))
    assert run("hello-infer", "--model", "w", text).stdout == expected + "\n"


def test_float64_weights_say_how_they_were_rounded(export: Export, tmp_path: Path) -> None:
    state = {name: tensor.double() + 1e-10 for name, tensor in seeded(Tagger).state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    result = export("w.pt", "--alphabet", "abcdef", "--labels", "wxyz")
    assert result.exit_code == 0, result.stderr
    note = (
        r"7 tensors are float64 and are rounded to float32; the largest change is \d\.\de-\d\d, in "
    )
    assert re.search(note, result.stderr)
    assert re.search(r"^  embed\.weight +float64 \[6, 7\] +embedding", result.stderr, re.MULTILINE)


def test_names_may_have_the_prefixes_that_fall_away(export: Export, tmp_path: Path) -> None:
    module = seeded(lambda: Tagger("lstm"))
    state = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    safetensors.torch.save_file(
        state | {"module.old.weight": torch.ones(2)}, tmp_path / "w.safetensors"
    )
    known = ["w.safetensors", "--alphabet", "abcdef", "--labels", "wxyz"]
    result = export(*known)
    assert result.exit_code == 1
    assert "old.weight [2]" in result.stderr
    chosen = [
        "--embedding",
        "module.embed.weight",
        "--linear",
        "module.head",
        "--ignore",
        "module.old",
    ]
    result = export(*known, *chosen)
    assert result.exit_code == 0, result.stderr
    assert "old.weight            float32 [2]      not used: --ignore old" in result.stderr


def test_output_and_a_name_without_a_suffix(export: Export, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    save(seeded(Tagger), tmp_path / "a/w")
    known = ["a/w", "--alphabet", "abcdef", "--labels", "wxyz"]
    result = export(*known)
    assert result.exit_code == 1
    assert "a/w: its name has no suffix" in result.stderr
    assert "--output" in result.stderr
    assert names(tmp_path / "a") == ["w"]
    assert export(*known, "--output", "b").exit_code == 0
    assert names(tmp_path / "b") == FILES
    assert export("b", "--output", "c").exit_code == 0  # an artifact is exported as any other
    assert Decoder.open("c").info == Decoder.open("b").info


def changed(change: Callable[[State], object]) -> State:
    """Return the state dict of a network of two layers, with a change."""
    state = dict(seeded(lambda: Tagger(layers=2)).state_dict())
    change(state)
    return state


def put(name: str, value: object) -> Callable[[State], object]:
    return lambda state: state.__setitem__(name, value)


def poison(name: str, value: float) -> Callable[[State], object]:
    return lambda state: state[name].flatten()[:1].fill_(value)


def drop(*endings: str) -> Callable[[State], object]:
    return lambda state: [state.pop(name) for name in [*state] if name.endswith(endings)]


def backward_of_one_layer(state: State) -> None:
    for name in [name for name in state if name.endswith("_l0")]:
        state[f"{name}_reverse"] = state[name].clone()


BAD_STATES: dict[str, tuple[State, list[str]]] = {
    "NaN": (
        changed(lambda state: [poison("embed.weight", float("nan"))(state),
                               poison("head.bias", float("inf"))(state)]),
        ["embed.weight has 1 values that are NaN or infinite", "head.bias has 1 values"],
    ),
    "a bias of another width": (
        changed(put("encoder.bias_ih_l1", torch.zeros(14))), ["encoder.bias_ih_l1 [14]"],
    ),
    "layer 2 without layer 1": (changed(drop("_l0")), ["encoder.", "_l1"]),
    "one layer has two directions": (changed(backward_of_one_layer), ["encoder.", "backward"]),
    "a projection": (
        nn.ModuleDict({"e": nn.Embedding(6, 7), "r": nn.LSTM(7, 5, proj_size=4)}).state_dict(),
        ["r.weight_hr_l0 [4, 5]", "proj_size"],
    ),
    "a layer of norms": (
        changed(lambda state: state.update(nn.ModuleDict({"norm": nn.LayerNorm(5)}).state_dict())),
        ["norm.weight [5]", "norm.bias [5]", "supported"],
    ),
    "a convolution": (
        changed(put("conv.weight", torch.zeros(3, 7, 5))), ["conv.weight [3, 7, 5]", "supported"],
    ),
    "attention": (
        nn.TransformerEncoderLayer(8, 2, 4).state_dict(),
        ["self_attn.in_proj_weight [24, 8]", "linear1.weight [4, 8]", "supported"],
    ),
    "an optimizer": (
        torch.optim.Adam(seeded(Tagger).parameters()).state_dict(), ["state of an optimizer"],
    ),
    "whole numbers": (
        changed(put("embed.weight", torch.zeros(6, 7, dtype=torch.int64))), ["embed.weight"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_STATES)
def test_weights_that_are_no_network_of_ours(export: Export, tmp_path: Path, name: str) -> None:
    state, words = BAD_STATES[name]
    torch.save(state, tmp_path / "w.pt")
    assert_refused(export("w.pt", "--alphabet", "abcdef", "--labels", "wxyz"), "w.pt: ", *words)
    assert names(tmp_path) == ["w.pt"]


def assert_refused(result: Any, *words: str) -> None:
    """Check that a command failed with one line of error that has these words."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    for part in words:
        assert part in line


def test_a_pickled_module_is_not_loaded(run: Run, tmp_path: Path) -> None:
    torch.save(seeded(Tagger), tmp_path / "net.pt")
    assert_one_line_error(
        run("hello-export", "net.pt", "--alphabet", "abcdef"),
        "net.pt: it is a pickle of outside.Tagger, and nothing of it was loaded",
        "torch.save(model.state_dict(), 'weights.pt')",
        "hello_export.export",
    )


class RunsOnLoading:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def test_a_malicious_pickle_does_not_run(run: Run, tmp_path: Path) -> None:
    torch.save({"embed.weight": torch.ones(2, 2), "x": RunsOnLoading()}, tmp_path / "net.pt")
    assert_one_line_error(run("hello-export", "net.pt", "--alphabet", "ab"), "net.pt", ".system")
    assert_one_line_error(run("hello-export", "net.pt"), "net.pt: it is no checkpoint")
    assert names(tmp_path) == ["net.pt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--alphabet", "abcd"], ["w.pt: embed.weight has 6 rows", "'abcd' has 4 entries"]),
        (["--alphabet", "hello", "--labels", "wxyz"], ["'hello': 'l' has the ids 2 and 3"]),
        (["--alphabet", "twice.txt", "--labels", "wxyz"], ["twice.txt: 'a' has the ids 0 and 2"]),
        (
            ["--alphabet", "abcdef", "--labels", "short.txt"],
            ["w.pt: head.weight gives 4 logits", "the labels short.txt, of 2 entries"],
        ),
        (
            ["--alphabet", "hello", "--labels", "twice.txt", "--ignore", "none"],
            ["'hello': 'l'", "twice.txt: 'a'", "--ignore none: no tensor has this prefix"],
        ),
        (["--alphabet", "none.txt"], ["none.txt: No such file"]),
        (["--alphabet", "w.pt"], ["w.pt: a file of entries ends in .txt or .json"]),
        (
            ["--alphabet", "reserved.json", "--cell", "rnn"],
            ["--cell rnn", "reserved.json: label 0 is '<reserved>'"],
        ),
        (
            ["--alphabet", "abcdef", "--labels", "wxyz", "--unknown", "label"],
            ["--unknown label needs a row for unknown characters"],
        ),
        (
            ["--alphabet", "abcdef", "--labels", "wxyz", "--unknown-token", "<unk>"],
            ["'abcdef' has no entry '<unk>'"],
        ),
        (["--alphabet", "abcdef", "--labels", "wxyz", "--cell", "lstm"], ["lstm", "encoder"]),
    ],
)
def test_options_that_do_not_fit_the_weights(
    export: Export, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    save(seeded(Tagger), tmp_path / "w.pt")
    (tmp_path / "twice.txt").write_text("a\nb\na\nc\nd\ne\n")
    (tmp_path / "short.txt").write_text("w\nx\n")
    (tmp_path / "reserved.json").write_text('["<reserved>", "a"]')
    result = export("w.pt", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    for part in words:
        assert part in last
    assert names(tmp_path) == ["reserved.json", "short.txt", "twice.txt", "w.pt"]


@pytest.mark.parametrize("content", [b"", b"hello\n", b"PK\3\4", b"\x80\2", b"\x89HDF\r\n\x1a\n"])
def test_a_file_of_no_weights(export: Export, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    assert_refused(export("w.pt", "--alphabet", "ab"), "w.pt: ")
    assert_refused(export("w.pt"), "w.pt: it is no checkpoint of hello-train", "--alphabet")
    assert_refused(export("none.pt", "--alphabet", "ab"), "none.pt: No such file")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alphabet", "ehlo"], "--alphabet belongs to a file of weights: name it."),
        (["w.pt", "--labels", "ehlo"], "--labels belongs to --alphabet."),
        (["w.pt", "--unknown-token", "x"], "--unknown-token belongs to --alphabet."),
        (["w.pt", "--ignore", "x"], "--ignore belongs to --alphabet."),
        (["run", "--alphabet", "ehlo"], "a run has its alphabet."),
        (["run/checkpoint.safetensors", "--alphabet", "ehlo"], "a run has its alphabet."),
        (["--verify", "run", "--alphabet", "ehlo"], "--verify takes an artifact alone"),
        (["run", "--cell", "gru"], "RUN and --cell exclude each other"),
    ],
)
def test_wrong_usage(export: Export, tmp_path: Path, arguments: list[str], message: str) -> None:
    save(seeded(Tagger), tmp_path / "w.pt")
    save_checkpoint(tmp_path / "run", make_network(), Training("x", "x", 0, 1))
    result = export(*arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert result.stderr.splitlines()[-1].endswith(message) or message in result.stderr


def test_a_loop_of_cells(export: Export, run: Run, tmp_path: Path) -> None:
    module = seeded(lambda: CellLoop("lstm", layers=2))
    save(module, tmp_path / "w.pt")
    assert export("w.pt", "--alphabet", "abcdef", "--labels", "wxyz").exit_code == 0
    said = run("hello-infer", "--model", "w", "fedcba").stdout
    assert said == say(module, [5, 4, 3, 2, 1, 0], "wxyz") + "\n"


def test_a_network_of_two_wide_layers_is_small_in_int8() -> None:
    """Its form is that of rawi-v2, which restores Arabic vowels."""
    net = seeded(
        lambda: Tagger(
            "lstm", layers=2, bidirectional=True, width=128, hidden=256, rows=236, labels=75
        )
    )
    alphabet = read_entries("".join(map(chr, range(0x600, 0x600 + 236))))
    vowels = "".join(map(chr, range(0x64B, 0x660)))
    edits = [[None, *marks] for count in range(4) for marks in combinations(vowels, count)]
    labels = read_labels(["", *edits[:74]])
    network = build_network(recognise(net.state_dict()), alphabet, labels)
    training = Training.from_outside({"file": "w.pt"}, "x")
    model = build_model(round_weights(network, "int8"), training, "int8")
    assert model.ByteSize() < 2_600_000
