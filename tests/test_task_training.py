"""Classifiers and networks of the next character: trained, resumed, exported and used."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hello_export.graph.onnx_graph import build_model
from hello_runtime import DecodeColumn, Decoder, ModelFileError, TaskError
from hello_runtime.text.lines import read_lines
from hello_runtime.text.pairs import Pair, parse_class
from hello_runtime.text.passages import passages_of
from hello_train.data.lines import Split, read
from hello_train.data.sources import class_source, passage_source
from hello_train.data.task_batches import ClassBatches
from hello_train.errors import DataError
from hello_train.fit.callbacks import Callback, Progress
from hello_train.fit.counting import ContextModel, EndingModel
from hello_train.fit.holdout import read_holdout
from hello_train.fit.job import TrainingJob
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.task_evaluation import predicted
from hello_train.fit.task_options import TASK_OPTIONS, LearnedTask, configure_classes
from hello_train.fit.task_run import run_task
from hello_train.network.model import Network
from hello_train.report.tasks import TaskRun
from helpers import TRAINING, Export, Run, assert_one_line_error, make_network

SMALL: dict[str, Any] = {
    "embedding_dim": 8, "hidden_size": 16, "minutes": None, "epochs": 6, "learning_rate": 0.02
}  # fmt: skip


def class_lines(count: int, seed: int = 0) -> list[str]:
    """Return lines whose class is their first letter, which a backward direction sees last."""
    source = random.Random(seed)
    found = dict.fromkeys(
        "".join(source.choices("abcxyz", k=source.randint(2, 9))) for _ in range(2 * count)
    )
    return [f"{text}\tbegins with {text[0]}" for text in [*found][:count]]


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    file = tmp_path / "classes.tsv"
    file.write_text("\n".join(class_lines(600)) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text in which each character but the first of a word follows from the two before it."""
    source = random.Random(0)
    words = ["hello", "world", "again", "under"]
    file = tmp_path / "text.txt"
    lines = [" ".join(source.choices(words, k=8)) for _ in range(500)]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def lines_of(task: LearnedTask, file: Path) -> Split:
    source = class_source() if task == "classify" else passage_source()
    return read(source, [file], [], 0.1, 0)


def train(
    task: LearnedTask, file: Path, folder: Path, callbacks: Sequence[Callback] = (), **given: Any
) -> TaskRun:
    resume = given.pop("resume", False)
    options = replace(TASK_OPTIONS[task], **{**SMALL, **given})
    lines = lines_of(task, file)
    run = run_task(task, TrainingJob(lines, file.name, options, folder, callbacks, resume))
    assert run
    return run


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_classifier_learns_and_tells_how_well(
    bidirectional: bool, classes: Path, tmp_path: Path
) -> None:
    run = train("classify", classes, tmp_path / "run", bidirectional=bidirectional, epochs=12)
    assert [*run.measures] == ["most frequent class", "last three characters", "model"]
    accuracy = {name: row["accuracy"] for name, row in run.measures.items()}
    assert accuracy["model"] > 0.9 > accuracy["last three characters"]
    names, counts = run.classes, run.confusion
    assert list(names) == [f"begins with {letter}" for letter in "abcxyz"]
    assert sum(map(sum, counts)) == run.measures["model"]["line_count"] == 60
    assert sum(counts[i][i] for i in range(6)) == round(60 * accuracy["model"])
    report = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "Confusion matrix" in report
    assert "begins with y" in report
    held_out = (tmp_path / "run/holdout.tsv").read_text(encoding="utf-8").splitlines()
    assert len(held_out) == 60
    assert set(held_out) < set(class_lines(600))


def test_a_network_of_the_next_character_learns(text: Path, tmp_path: Path) -> None:
    run = train("next", text, tmp_path / "run", epochs=12)
    assert [*run.measures] == ["order-0 counts", "order-5 counts", "model"]
    bits = {name: row["bits"] for name, row in run.measures.items()}
    assert bits["model"] < 1 < 3 < bits["order-0 counts"]
    assert not run.config.bidirectional
    assert len(run.sample) == 300
    samples = [evaluation.sample for evaluation in run.history.evaluations]
    assert samples[-1] == run.sample
    held_out = read_holdout(tmp_path / "run", "next")
    assert not (tmp_path / "run/holdout.tsv").exists()
    again, _ = predicted(run.network, held_out)  # the first character of each is another one
    assert again == pytest.approx(bits["model"], abs=0.01)
    assert sum(len(pair.input) for pair in held_out) == run.measures["model"]["character_count"]
    assert len(set(samples)) > 1
    report = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "Generated text" in report
    assert f"{run.measures['model']['character_count']:,}</td>" in report
    assert all(sample.split()[3] in report for sample in samples)


class Interrupt(Callback):
    """Interrupts a training after some steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def on_step(self, progress: Progress, network: Network) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("task", ["classify", "next"])
def test_a_training_goes_on_as_if_it_had_not_been_interrupted(
    task: LearnedTask, classes: Path, text: Path, tmp_path: Path
) -> None:
    file = classes if task == "classify" else text
    whole = train(task, file, tmp_path / "whole", epochs=3)
    with pytest.raises(KeyboardInterrupt):
        train(task, file, tmp_path / "parts", [Interrupt(13)], epochs=3)
    parts = train(task, file, tmp_path / "parts", epochs=3, resume=True)
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, parts.network.state_dict()[name]), name
    assert whole.measures == parts.measures
    samples = [[e.sample for e in run.history.evaluations] for run in (whole, parts)]
    assert samples[0] == samples[1]


TOGETHER = """
import json, os
from pathlib import Path
from hello_train.fit.parallel import team
from test_task_training import TASKS, train_together

with team() as joined:
    measures = {task: train_together(task, Path("."), joined) for task in TASKS}
if joined.leads:
    Path("together.json").write_text(json.dumps(measures))
os._exit(0)
"""
"""It ends as the commands do: on a busy machine PyTorch's own end aborts now and then."""
TASKS: tuple[LearnedTask, ...] = ("classify", "next")


def train_together(task: LearnedTask, folder: Path, joined: Team) -> dict[str, float]:
    """Train in each process of a team, and return what the leading one measured."""
    options = replace(TASK_OPTIONS[task], **{**SMALL, "batch_characters": 500})
    lines = lines_of(task, folder / f"{task}.txt")
    run = run_task(
        task, TrainingJob(lines, task, options, folder / f"{task}{joined.size}", team=joined)
    )
    assert bool(run) == joined.leads
    return dict(run.measures["model"]) if run else {}


def test_two_processes_learn_as_well_as_one(classes: Path, text: Path, tmp_path: Path) -> None:
    for file, task, count in ((classes, "classify", 400), (text, "next", 250)):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)[:count]
        (tmp_path / f"{task}.txt").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "together.py").write_text(TOGETHER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "together.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "together.json").read_text())
    for task, name, close in (("classify", "accuracy", 0.05), ("next", "bits", 0.1)):
        alone = train_together(task, tmp_path, ALONE)  # type: ignore[arg-type]
        assert found[task][name] == pytest.approx(alone[name], abs=close), task


def test_batches_of_a_classifier_have_every_line_once(classes: Path) -> None:
    lines = lines_of("classify", classes).train
    options = replace(TASK_OPTIONS["classify"], **SMALL)
    config = configure_classes(lines, options)
    batches = ClassBatches(config, lines, characters=256, seed=3)
    order = batches.order(epoch=1)
    assert sorted(int(line) for batch in order for line in batch) == list(range(len(lines)))
    assert [list(b) for b in order] != [list(b) for b in batches.order(epoch=2)]
    for number, batch in enumerate(order):
        ids, labels, lengths = batches.load(batch, 1, number)
        assert ids.numel() <= 256
        assert (len(labels), len(lengths)) == (len(ids), len(ids))
        for row, size, label, line in zip(ids, lengths, labels, batch, strict=True):
            pair = lines[int(line)]
            assert config.classes[label] == pair.target
            assert size == len(pair.input)
            known = [config.input_alphabet.index(char) for char in pair.input]
            hidden = row[:size] == config.unknown_id
            assert torch.equal(row[:size][~hidden], torch.tensor(known)[~hidden])
            assert (row[size:] == config.unknown_id).all()


def test_a_padded_batch_learns_what_its_lines_learn_alone() -> None:
    network = make_network("lstm", task="classify", bidirectional=True, layers=2)
    texts = ["ab", "abżba", "😀"]
    ids = torch.full((3, 5), network.config.unknown_id)
    for row, text in zip(ids, texts, strict=True):
        for step, char in enumerate(text):
            row[step] = network.config.input_alphabet.index(char)
    padded = network(ids, torch.tensor([2, 5, 1]))
    alone = torch.cat([network(row[: len(t)][None]) for row, t in zip(ids, texts, strict=True)])
    assert torch.allclose(padded, alone, atol=1e-6)
    ids[0, 3] = 0  # in the padding
    assert torch.equal(network(ids, torch.tensor([2, 5, 1])), padded)


def test_the_bits_of_a_network_are_those_of_each_character() -> None:
    network = make_network(task="next")
    alphabet = network.config.input_alphabet
    pairs = [Pair("ab?ż", "b?żq"), Pair("a", "b")]
    bits, counts = predicted(network, pairs)
    expected = []
    for pair in pairs:
        ids = torch.tensor([[alphabet.find(c) if c in alphabet else 5 for c in pair.input]])
        shares = network(ids)[0].log_softmax(-1).detach()
        expected += [
            -float(shares[step, alphabet.index(char)]) / float(np.log(2))
            for step, char in enumerate(pair.target)
            if char in alphabet
        ]
    assert bits == pytest.approx(np.mean(expected), rel=1e-5)
    assert {char: count for char, (_, count) in counts.items()} == {"b": 2, "ż": 1}


def test_counts_are_probabilities() -> None:
    model = ContextModel(2, "abc ")
    model.learn([Pair("aba", "bab"), Pair("ab", "bc")])
    for context in ("", "a", "ab", "zz", "ca"):
        assert sum(model.probability(context, char) for char in "abc ") == pytest.approx(1)
    # After "ab": a once, c once, of two kinds; after "b" the same; of all 5: b 3, a 1, c 1.
    unigram = (1 + 3 / 4) / (5 + 3)
    assert model.probability("", "c") == pytest.approx(unigram)
    assert model.probability("ab", "c") == pytest.approx((1 + 2 * (1 + 2 * unigram) / 4) / 4)
    assert ContextModel(0, "ab").bits([Pair("aa", "ab")]) == 1.0
    endings = EndingModel([Pair("kowalski", "pl"), Pair("nowacki", "pl"), Pair("rossi", "it")])
    assert [*map(endings.classify, ["malinowski", "i", "bassi", "x"])] == ["pl", "pl", "it", "pl"]


def test_passages_are_the_text(tmp_path: Path) -> None:
    text = "first line\n\n\nlast " + "ż" * 3000
    (tmp_path / "text").write_text(text, encoding="utf-8")
    lines = read_lines(tmp_path / "text", 1000)
    passages = [passage for _, passage in passages_of(lines)]
    assert [len(passage) for passage in passages] == [1025, 1025, len(text) - 2 * 1024 + 1]
    assert passages[0][0] == "\n"
    assert "".join(passage[1:] for passage in passages) == text
    assert all(b[0] == a[-1] for a, b in pairwise(passages))


# The commands.


def test_from_lines_with_classes_to_classes(
    run: Run, export: Export, classes: Path, tmp_path: Path
) -> None:
    options = ["--epochs", 8, "--hidden-size", 16, "--learning-rate", 0.02, "--output", "run"]
    trained = run("hello-train", "--classes", classes, *options)
    assert trained.returncode == 0, trained.stderr
    assert "most frequent class" in trained.stdout
    assert "% right" in trained.stderr
    exported = export("run", "--weights", "float16", "--output", "small")
    assert "of 60 lines, of the held-out lines, " in exported.output
    exported = export("run")
    assert exported.exit_code == 0, exported.output
    model = ["--model", "run/artifact"]
    verified = export("--verify", "run/artifact", "--characters", 1000)
    assert verified.exit_code == 0, verified.output
    texts = "abcabc\n\nxyx\n"
    result = run("hello-infer", *model, stdin=texts)
    assert result.stdout == "begins with a\n\nbegins with x\n"
    (tmp_path / "texts").write_text(texts)
    assert run("hello-infer", *model, "--input", "texts").stdout == result.stdout
    rows = [
        json.loads(row)
        for row in run("hello-infer", *model, "--json", "yyb", "").stdout.splitlines()
    ]
    assert rows[0]["class"] == "begins with y"
    assert rows[0]["confidence"] == max(rows[0]["probabilities"].values())
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert (rows[1]["class"], rows[1]["confidence"]) == (None, 0)
    scored = json.loads(run("hello-infer", *model, "--score", "run/holdout.tsv", "--json").stdout)
    told = json.loads(run("hello-infer", *model, "--info", "--json").stdout)
    assert told["task"] == "classify"
    assert scored["model"] == told["training"]["scores"]["model"]
    assert "6 classes: begins with a" in run("hello-infer", *model, "--info").stdout


def test_from_a_text_to_more_of_it(run: Run, export: Export, text: Path) -> None:
    options = ["--epochs", 8, "--hidden-size", 16, "--learning-rate", 0.02, "--output", "run"]
    trained = run("hello-train", "--next", "--text", text, *options)
    assert trained.returncode == 0, trained.stderr
    assert "order-5 counts" in trained.stdout
    assert " bits  " in trained.stderr
    exported = export("run", "--weights", "int8")
    assert exported.exit_code == 0, exported.output
    assert "--generate 200" in exported.output
    assert "characters, of the held-out text, and " in exported.output
    cost = json.loads(Path("run/artifact/manifest.json").read_text())["rounding_cost"]
    scored = json.loads(
        run("hello-infer", "--model", "run/artifact", "--score", "run/holdout.txt", "--json").stdout
    )
    assert scored["model"]["bits"] == pytest.approx(cost["bits"], abs=1e-5)
    told = json.loads(run("hello-infer", "--model", "run/artifact", "--info", "--json").stdout)
    assert cost["float32_bits"] == pytest.approx(
        told["training"]["scores"]["model"]["bits"], abs=0.01
    )
    made = run("hello-infer", "--model", "run/artifact", "--generate", 60, "--seed", 1)
    again = run("hello-infer", "--model", "run/artifact", "--generate", 60, "--seed", 1)
    assert made.stdout == again.stdout
    assert len(made.stdout) == 61


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("abc\tx\nbcd\tx\ncde\tx\n", "every line has the class 'x', so there is nothing to tell"),
        ("abc\tx\nbcd\n", "line 2: there is no tab; write text, tab, class"),
        ("abc\t\n", "line 1: there is no class behind the tab"),
        ("\tx\n", "there is no line to learn"),
        (f"{'a' * 5000}\tx\n", "line 1: the text has 5000 characters, and 4096 are the most"),
    ],
)
def test_a_class_file_that_is_none(content: str, message: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "classes").write_text(content)
    result = run("hello-train", "--classes", "classes", "--holdout", 0)
    assert_one_line_error(result, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--next"], "--next learns running text: --next --text PATH."),
        (["--next", "--text", "x", "--bidirectional"], "it would see what it shall guess"),
        (["--next", "--text", "x", "--corrupt", "lowercase"], "--corrupt is for text that is"),
        (["--next", "--text", "x", "--unknown", "copy"], "--unknown copy is for text"),
        (["--classes", "x", "--guarded"], "--guarded is for text that is rewritten"),
        (["--classes", "x", "--next"], "--classes excludes --text and --next."),
        (["--classes", "x", "--pairs", "y"], "--pairs is for text that is rewritten, and not for"),
        (["--classes", "x", "--compare"], "--compare learns hello"),
        (["--classes", "x", "--keep"], "--keep is for text that is rewritten, and not for --class"),
        (["--next", "--text", "x", "--most-labels", "9"], "--most-labels is for text that is"),
    ],
)
def test_options_that_fit_no_task(arguments: list[str], message: str, run: Run) -> None:
    result = run("hello-train", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


# The runtime.


@pytest.fixture(params=[False, True], ids=["causal", "bidirectional"])
def classifier(request: pytest.FixtureRequest, tmp_path: Path) -> Decoder:
    network = make_network("lstm", task="classify", bidirectional=request.param, layers=2, seed=2)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
        network.get_parameter("projection.bias").zero_()
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    return Decoder.open(tmp_path, threads=2)


def test_each_way_gives_the_same_class(classifier: Decoder) -> None:
    source = random.Random(0)
    texts = ["".join(source.choices("abż😀?", k=source.randint(0, 60))) for _ in range(300)]
    texts += ["ab" * 3000, "b" + "ab" * 3000]  # longer than what other models read at once
    session = onnxruntime.InferenceSession(classifier.file, providers=["CPUExecutionProvider"])
    expected = []
    for text in texts:
        feeds = {"codepoints": np.array([[*map(ord, text)]], np.int32)}
        feeds["lengths"] = np.array([len(text)], np.int32)
        label = session.run(["label"], feeds)[0][0] if text else None
        expected.append("" if label is None else classifier.info.classes[label])
    assert len(set(expected)) > 3
    found = classifier.classify_batch(texts)
    assert [row.label for row in found] == expected
    ways: list[Callable[[], list[str]]] = [
        lambda: [classifier.classify(text).label for text in texts],
        lambda: [classifier.decode(text) for text in texts],
        lambda: classifier.decode_batch(texts),
        lambda: [x for rows in classifier.decode_batches([texts[:9], texts[9:]]) for x in rows],
        lambda: DecodeColumn(classifier.file, task="classify")({"text": np.array(texts, object)})[
            "decoded"
        ].tolist(),
    ]
    assert all(way() == expected for way in ways)
    for text, row in zip(texts, found, strict=True):
        assert row.probabilities.shape == (6,)
        assert row.confidence == row.probabilities.max()
        assert row.probabilities.sum() == pytest.approx(1 if text else 0)


def test_an_empty_line_does_not_reach_the_engine(
    classifier: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(classifier, "_session")
    row = classifier.classify("")
    assert (row.label, row.confidence, row.probabilities.tolist()) == ("", 0.0, [0.0] * 6)


def test_logits_that_are_no_numbers_have_no_class(tmp_path: Path) -> None:
    network = make_network(task="classify")
    with torch.no_grad():
        network.get_parameter("projection.bias")[1] = float("nan")
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=r"model\.onnx: its logits are NaN or infinite"):
        Decoder.open(tmp_path).classify("ab")


def test_a_classifier_does_nothing_else(classifier: Decoder) -> None:
    for use in (classifier.stream, lambda: classifier.annotate_batch(["a"])):
        with pytest.raises(TaskError, match="its task is classify, so it says of which class"):
            use()
    with pytest.raises(TaskError, match="needs a model of the task next"):
        classifier.generate("a")
    with pytest.raises(TaskError, match="needs a model of the task rewrite"):
        DecodeColumn(classifier.file, task="rewrite")


def test_a_text_may_have_tabs() -> None:
    assert parse_class("a\tb\tc") == Pair("a\tb", "c")


def test_a_text_that_is_too_long_is_named() -> None:
    with pytest.raises(DataError, match="5000 characters"):
        class_source().pair(f"{'a' * 5000}\tx")
