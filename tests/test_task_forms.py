"""Normal forms of the tasks `classify` and `next`, and of the lines that every task reads."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hello_export
import numpy as np
import onnx
import pytest
import torch
from hello_export.graph.onnx_graph import build_model
from hello_runtime import DecodeColumn, Decoder
from hello_runtime.model.tasks import Task
from hello_runtime.text.lines import NormalLines
from hello_runtime.text.normal_forms import NORMAL_FORMS, NormalForm, normalise
from hello_runtime.text.passages import passages_of
from hello_train.network.checkpoint import load_checkpoint
from hello_train.network.model import Network
from helpers import SHORT_PROOF, TRAINING, Export, Run, assert_one_line_error, make_network
from torch import nn

FORMS: tuple[NormalForm, ...] = ("nfc", "nfd")
POLISH = (Path(__file__).parent / "data" / "zolw.txt").read_text(encoding="utf-8")
TINY = ("--hidden-size", 8, "--embedding-dim", 4, "--epochs", 2, "--holdout", 0)
CLUSTERS = (
    "z\u0307",
    "ż",
    "a\u0328",
    "e\u0323\u0307",
    "b",
    "\u0301",
    "\u1100\u1161",
    "가",
    "<\u0338",
)


def random_texts(count: int, seed: int = 0) -> list[str]:
    source = random.Random(seed)
    texts = ["".join(source.choices(CLUSTERS, k=source.randint(0, 20))) for _ in range(count)]
    return [*texts, "z\u0307" * 5000]


def open_task(
    folder: Path, task: Task, form: NormalForm, *, bidirectional: bool = False
) -> Decoder:
    """Open a random network that tells the characters of the form from others."""
    alphabet = normalise("".join(CLUSTERS), form)
    config = make_network(task=task, bidirectional=bidirectional).config
    alphabet = "".join(dict.fromkeys(alphabet))
    labels = tuple((char,) for char in alphabet) if task == "next" else ()
    config = replace(
        config, input_alphabet=alphabet, output_labels=labels, normalization=form, projection=True
    )
    torch.manual_seed(3)
    network = Network(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    return Decoder.open(folder, threads=2)


# Lines.


@pytest.mark.parametrize("form", NORMAL_FORMS)
@pytest.mark.parametrize("longest", [None, 1, 3, 1000])
def test_lines_in_parts_are_the_normal_form_of_the_whole(
    form: NormalForm, longest: int | None, tmp_path: Path
) -> None:
    texts = random_texts(200)
    (tmp_path / "lines").write_text("\n".join(texts), encoding="utf-8")
    lines = NormalLines(tmp_path / "lines", form, longest)
    found = [""] * len(texts)
    for number, part in lines:
        assert longest is None or 0 < len(part) <= longest
        found[number - 1] += part
    expected = [normalise(text, form) for text in texts]
    assert found == expected
    assert lines.count == len(texts)
    assert lines.changed == sum(a != b for a, b in zip(texts, expected, strict=True))
    assert (lines.changed > 0) == (form != "none")


# The runtime.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_classifier_reads_its_normal_form(
    form: NormalForm, bidirectional: bool, tmp_path: Path, run: Run
) -> None:
    decoder = open_task(tmp_path, "classify", form, bidirectional=bidirectional)
    texts = random_texts(100)
    normal = [normalise(text, form) for text in texts]
    assert normal != texts
    expected = [row.label for row in decoder.classify_batch(normal)]
    assert len(set(expected)) > 2
    assert [row.label for row in decoder.classify_batch(texts)] == expected
    assert [decoder.classify(text).label for text in texts] == expected
    assert decoder.decode_batch(texts) == expected
    assert [*map(decoder.decode, texts)] == expected
    column = DecodeColumn(tmp_path)({"text": np.array(texts, object)})["decoded"]
    assert column.tolist() == expected
    (tmp_path / "texts").write_text("\n".join(texts), encoding="utf-8")
    names = "\n".join(expected)
    infer = ("hello-infer", "--model", tmp_path)
    assert run(*infer, "--input", "texts").stdout == names
    rows = [json.loads(row) for row in run(*infer, "--json", *texts[:9]).stdout.splitlines()]
    assert [row["input"] for row in rows] == normal[:9]
    assert [row["class"] or "" for row in rows] == expected[:9]
    assert json.loads(run(*infer, "--info", "--json").stdout)["normalization"] == form


@pytest.mark.parametrize("form", FORMS)
def test_a_prompt_is_brought_into_the_normal_form(
    form: NormalForm, tmp_path: Path, run: Run
) -> None:
    decoder = open_task(tmp_path, "next", form)
    prompts = [text for text in random_texts(30) if text]
    normal = [normalise(prompt, form) for prompt in prompts]
    expected = ["".join(decoder.generate(text, 20, seed=0)) for text in normal]
    assert len(set(expected)) > 4
    assert ["".join(decoder.generate(text, 20, seed=0)) for text in prompts] == expected
    assert decoder.generate_batch(prompts, 20, seed=0) == decoder.generate_batch(normal, 20, seed=0)
    infer = ("hello-infer", "--model", tmp_path, "--generate", 20, "--seed", 0)
    assert run(*infer, "--prompt", prompts[0]).stdout == f"{normal[0]}{expected[0]}\n"
    assert run(*infer[:3], "--info").stdout.count(f"normalization               {form}\n") == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", ["classify", "next"])
def test_scores_of_both_forms_are_equal(
    task: Task, form: NormalForm, tmp_path: Path, run: Run
) -> None:
    decoder = open_task(tmp_path, task, form)
    lines = [line for line in random_texts(100) if line]
    if task == "classify":
        named = [(line, decoder.classify(line).label) for line in lines]
        lines = [f"{line}\t{name}" for line, name in named if name != "\t"]
    scored = []
    for other in FORMS:
        (tmp_path / "lines").write_text(normalise("\n".join(lines), other), encoding="utf-8")
        scored.append(run("hello-infer", "--model", tmp_path, "--score", "lines", "--json").stdout)
    assert scored[0] == scored[1] != ""
    if task == "classify":
        assert json.loads(scored[0])["model"]["accuracy"] == 1


def test_a_class_is_right_in_either_form(tmp_path: Path, run: Run) -> None:
    """The classes of a network from outside may be decomposed."""
    network = make_network(task="classify")
    names = tuple(normalise(f"ż{name}", "nfd") for name in "abcdef")
    network.config = replace(network.config, classes=names, normalization="nfc")
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    label = Decoder.open(tmp_path).classify("ab").label
    assert label in names
    (tmp_path / "lines").write_text(f"ab\t{label}", encoding="utf-8")
    scored = run("hello-infer", "--model", tmp_path, "--score", "lines", "--json").stdout
    assert json.loads(scored)["model"]["accuracy"] == 1


# The training.


def task_file(folder: Path, task: Task, form: NormalForm) -> Sequence[object]:
    """Write the lines of a task in a form, and return the options that learn it."""
    folder.mkdir()
    lines = [line for line in POLISH.splitlines() if line]
    if task == "classify":
        lines = [f"{line}\tżół {len(line) % 2}" for line in lines]
    (folder / "lines").write_text(normalise("\n".join(lines), form), encoding="utf-8")
    file = f"{folder.name}/lines"
    return ("--classes", file) if task == "classify" else ("--next", "--text", file)


@pytest.mark.parametrize("task", ["classify", "next"])
def test_lines_in_both_forms_train_alike(task: Task, run: Run, tmp_path: Path) -> None:
    notes: list[str] = []
    for form in FORMS:
        given = task_file(tmp_path / form, task, form)
        result = run("hello-train", *given, *TINY, "--output", f"{form}/run")
        assert result.returncode == 0, result.stderr
        notes = [line for line in result.stderr.splitlines() if "normal form" in line]
        assert len(notes) == (form == "nfd")
    assert notes[0].startswith("note: 24 of 24 lines were not in the normal form NFC, and are brou")
    one, two = (tmp_path / form / "run/checkpoint.safetensors" for form in FORMS)
    assert one.read_bytes() == two.read_bytes()
    config = load_checkpoint(tmp_path / "nfd/run")[0].config
    assert config.normalization == "nfc"
    assert "\u0307" not in config.input_alphabet
    assert run("hello-export", "nfd/run", **SHORT_PROOF).returncode == 0
    told = run("hello-infer", "--model", "nfd/run/artifact", "--info", "--json").stdout
    assert json.loads(told)["normalization"] == "nfc"
    scored = [
        run("hello-infer", "--model", "nfd/run/artifact", "--score", f"{form}/lines").stdout
        for form in FORMS
    ]
    assert scored[0] == scored[1] != ""


@pytest.mark.parametrize("task", ["classify", "next"])
def test_a_task_learns_text_as_it_is_if_told_so(task: Task, run: Run, tmp_path: Path) -> None:
    given = task_file(tmp_path / "text", task, "nfd")
    result = run("hello-train", *given, *TINY, "--output", "run", "--normalization", "none")
    assert result.returncode == 0, result.stderr
    assert "normal form" not in result.stderr
    config = load_checkpoint(tmp_path / "run")[0].config
    assert config.normalization == "none"
    assert "\u0307" in config.input_alphabet


def test_the_error_for_a_short_text_counts_passages(run: Run, tmp_path: Path) -> None:
    given = task_file(tmp_path / "text", "next", "nfc")
    result = run("hello-train", *given)
    assert_one_line_error(result, "holding out 0.1 of 2 different passages")


def test_passages_do_not_cut_a_cluster_apart(tmp_path: Path) -> None:
    """A composed text has the passages of its decomposed twin, wherever these would be cut."""
    text = "".join(random_texts(600, seed=5))
    found = []
    for form in FORMS:
        (tmp_path / form).write_text(normalise(text, form), encoding="utf-8")
        found.append(
            [passage for _, passage in passages_of(NormalLines(tmp_path / form, "nfc", 7))]
        )
    assert found[0] == found[1]
    assert "".join(passage[1:] for passage in found[1]) == normalise(text, "nfc")


# From outside.


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 4)
        self.rnn = nn.GRU(4, 5, batch_first=True)
        self.out = nn.Linear(5, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(self.embedding(ids))[1][-1])  # type: ignore[no-any-return]


def test_weights_from_outside_get_a_normal_form(export: Export, tmp_path: Path) -> None:
    module = Classifier().eval()
    torch.save(module.state_dict(), tmp_path / "net.pt")
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    given = ("net.pt", "--alphabet", "żab", "--labels", "names.txt", "--task", "classify")
    result = export(*given, "--normalization", "nfc")
    assert result.exit_code == 0, result.output
    assert "text is brought into the normal form NFC\n" in result.output
    assert "no text in" not in result.output
    decoder = Decoder.open(tmp_path / "net")
    assert decoder.info.normalization == "nfc"
    assert decoder.classify("z\u0307ab").probabilities.tolist() == (
        decoder.classify("żab").probabilities.tolist()
    )
    result = export(*given, "--normalization", "nfd")
    assert "characters of the alphabet that no text in NFD has: '\\u017c'\n" in result.output
    assert export(*given).exit_code == 0
    assert Decoder.open(tmp_path / "net").info.normalization == "none"


@pytest.mark.usefixtures("short_proof")
def test_a_module_gets_a_normal_form(tmp_path: Path) -> None:
    names = {"alphabet": "żab", "labels": ["one", "two"], "task": "classify", "quiet": True}
    module = Classifier().eval()
    hello_export.export(module, tmp_path / "a", **names, normalization="nfc")  # type: ignore[arg-type]
    decoder = Decoder.open(tmp_path / "a")
    assert decoder.info.normalization == "nfc"
    composed, decomposed = decoder.classify_batch(["żab", "z\u0307ab"])
    assert composed.probabilities.tolist() == decomposed.probabilities.tolist()
    with pytest.raises(hello_export.IntakeError, match="normalization='nfkc' must be one of 'nfc'"):
        hello_export.export(module, tmp_path / "b", **names, normalization="nfkc")  # type: ignore[arg-type]
