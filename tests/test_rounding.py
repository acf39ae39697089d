"""Smaller weights expand to exactly the rounded network's, and their cost is measured."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import onnx
import pytest
import torch
from hello_export.artifact import write_artifact
from hello_export.errors import ExportError
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import Storage
from hello_export.graph.torchscript import save_program
from hello_export.job import ExportJob
from hello_export.proof import parity
from hello_export.proof.cases import grid_cases
from hello_export.proof.verdict import TOLERANCE
from hello_export.rounding_cost import (
    agreement,
    first_characters,
    rounding_cost,
)
from hello_runtime.text.pairs import Pair
from hello_train.data.sources import passage_pair
from hello_train.fit.task_evaluation import classified, predicted
from hello_train.network.model import Network
from helpers import (
    ENGINES,
    GOLDEN,
    KINDS,
    SHORT_PROOF,
    TRAINING,
    Run,
    assert_one_line_error,
    left_out,
    make_network,
    quick_cases,
)

SMALLER: tuple[Storage, ...] = ("float16", "int8")


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("storage", SMALLER)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_agrees_on_the_rounded_weights(
    kind: tuple[str, str], bidirectional: bool, storage: Storage, whole: bool, tmp_path: Path
) -> None:
    network = round_weights(
        make_network(*kind, bidirectional=bidirectional, hidden_size=32, guarded=True), storage
    )
    onnx.save(build_model(network, TRAINING, storage), tmp_path / "model.onnx")
    save_program(network, tmp_path / "model.pt")
    able = [engine for engine in ENGINES if not engine.limit(network.config)]
    engines = [engine(network.config, tmp_path) for engine in able]
    cases = list(grid_cases(network.config)) if whole else quick_cases(network.config)
    report = parity.compare(network, engines, cases, strict=True)
    report.check()
    assert len(report.verdicts) == len(ENGINES) - len(left_out(network.config))
    assert [verdict.cases for verdict in report.verdicts] == [
        sum(case.characters <= engine.largest_case for case in cases) for engine in engines
    ]
    assert max(max(verdict.max_difference.values()) for verdict in report.verdicts) <= TOLERANCE


@pytest.mark.parametrize("storage", SMALLER)
def test_rounding_again_changes_nothing(storage: Storage) -> None:
    for seed in range(20):
        once = round_weights(make_network("lstm", hidden_size=33, seed=seed), storage)
        twice = round_weights(once, storage).state_dict()
        for name, tensor in once.state_dict().items():
            assert torch.equal(tensor, twice[name]), name


def test_int8_is_pytorchs_quantisation_of_each_channel() -> None:
    network = make_network("gru", hidden_size=33)
    for name, rounded in round_weights(network, "int8").state_dict().items():
        tensor = network.state_dict()[name]
        if "bias" in name:
            assert torch.equal(rounded, tensor)
            continue
        step = tensor.abs().amax(1) / 127
        assert rounded.ne(tensor).any(), name
        assert ((rounded - tensor).abs() <= 0.5001 * step[:, None]).all(), name
        zero = torch.zeros(len(step), dtype=torch.int32)
        theirs = torch.fake_quantize_per_channel_affine(tensor, step, zero, 0, -127, 127)
        assert (rounded - theirs).abs().max() <= 1.001 * step.max(), name
        assert rounded.sub(theirs).abs().lt(0.01 * step[:, None]).float().mean() > 0.98, name
        for row in rounded:
            assert len(row.unique()) <= 255


def test_zero_and_subnormal_weights_stay_finite() -> None:
    network = make_network()
    network.embedding.weight.data[2] = 0
    network.embedding.weight.data[3] = 1e-42  # a subnormal number
    rounded = round_weights(network, "int8")
    assert rounded.embedding.weight.isfinite().all()
    assert rounded.embedding.weight[2].eq(0).all()
    build_model(rounded, TRAINING, "int8")


@pytest.mark.parametrize("storage", SMALLER)
def test_the_writer_refuses_weights_that_storing_would_change(storage: Storage) -> None:
    with pytest.raises(ExportError, match=f"embedding is not rounded to {storage}"):
        build_model(make_network(), TRAINING, storage)


def wide_network() -> Network:
    return make_network("lstm", hidden_size=64)


def test_the_files_are_smaller() -> None:
    def size(storage: Storage) -> int:
        model = build_model(round_weights(wide_network(), storage), TRAINING, storage)
        return len(model.SerializeToString())

    assert size("float16") < 0.6 * size("float32")
    assert size("int8") < 0.4 * size("float32")


def test_agreement_is_counted() -> None:
    network = make_network()
    assert agreement(network, network, ["ab", "", "ż", "??"]) == (1, 3)
    other = make_network()
    with torch.no_grad():
        other.get_parameter("projection.bias")[:] = torch.tensor([9.0, 0, 0, 0, 0, 0])
    texts = ["abż😀abż"]
    same = [a == b for a, b in zip(network.rewrite(texts[0]), "aaaaaaa", strict=True)]
    share, total = agreement(network, other, texts)
    assert (share, total) == (sum(same) / 7, 7)
    assert share < 1
    guarded = make_network(guarded=True)
    assert agreement(guarded, guarded, ["ab\u0301?"]) == (1, 1)  # only the a has a choice
    assert agreement(network, network, ["??"]) == (1, 0)


def test_held_out_lines_without_a_choice_are_not_denied() -> None:
    network = make_network(guarded=True)
    for held_out, why in (
        ([Pair("b", "b")], "drawn from the alphabet, for the held-out lines have none"),
        ([], "drawn from the alphabet, for the run has none held out"),
    ):
        cost = rounding_cost(network, network, held_out, size=1, float32_size=2)
        assert cost.text == why
        assert cost.measures["characters"] > 1000


def test_agreement_of_edits_is_counted_by_characters_read() -> None:
    """A character that is deleted counts, and what stands behind it is not compared with it."""
    network, other = (make_network(labels="width 5", unknown="label") for _ in range(2))
    text = "abż😀abż"
    assert agreement(network, network, [text, ""]) == (1, 7)
    with torch.no_grad():
        other.get_parameter("projection.bias")[1] = 9  # deletes
    deleted = [row.tolist() == [-1] * 5 for row in network.written_lines([text])[0]]
    assert other.rewrite(text) == ""
    assert agreement(network, other, [text]) == (sum(deleted) / 7, 7)
    assert len(network.rewrite(text)) > 0


def exchanged(network: Network, one: int = 0, other: int = 1) -> Network:
    """Return a copy of a network in which two labels are exchanged."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        for name in ("projection.weight", "projection.bias"):
            weight = changed.get_parameter(name)
            weight[[one, other]] = weight[[other, one]]
    return changed


def test_the_cost_of_a_classifier_is_in_accuracy() -> None:
    network = make_network(task="classify", bidirectional=True)
    lines = ["ab", "ż", "żżż", "aaab", "b😀"]
    own = classified(network, lines)
    assert len(set(own)) > 1
    held_out = [Pair(line, name) for line, name in zip(lines, [*own[:-1], "no class"], strict=True)]
    found = rounding_cost(network, network, held_out, size=1000, float32_size=3000)
    assert found.measures == {"accuracy": 0.8, "float32_accuracy": 0.8, "lines": 5}
    assert found.text == "of the held-out lines"
    assert str(found).endswith(
        "; of 5 lines, of the held-out lines, 80.00% get their class, and 80.00% with float32"
    )
    one, other = map(network.config.classes.index, [*dict.fromkeys(own)][:2])
    wrong = sum(network.config.classes.index(name) in (one, other) for name in own[:-1])
    swapped = exchanged(network, one, other)
    worse = rounding_cost(network, swapped, held_out, size=1, float32_size=1)
    assert worse.measures == {"accuracy": (4 - wrong) / 5, "float32_accuracy": 0.8, "lines": 5}
    outside = rounding_cost(network, swapped, [], size=1, float32_size=1)
    assert outside.measures["accuracy"] < outside.measures["float32_accuracy"] == 1
    assert outside.text.startswith("drawn from the alphabet and with the classes of float32")


def test_the_cost_of_a_network_of_the_next_character_is_in_bits() -> None:
    network = make_network(task="next")
    held_out = [passage_pair("abż😀" * 30), passage_pair("?ab")]
    found = rounding_cost(network, network, held_out, size=1, float32_size=1)
    bits = predicted(network, held_out)[0]
    assert found.measures == {"bits": bits, "float32_bits": bits, "characters": 121}
    worse = rounding_cost(network, exchanged(network), held_out, size=1, float32_size=1)
    assert worse.measures["float32_bits"] == bits != worse.measures["bits"]
    # On what a network draws itself, every other network needs more bits.
    outside = rounding_cost(network, exchanged(network), [], size=1, float32_size=1)
    assert outside.measures["bits"] > outside.measures["float32_bits"] + 0.001
    assert outside.measures["characters"] == 100_000
    assert outside.text.startswith("which the network drew,")


def test_no_more_held_out_text_is_read_than_needed() -> None:
    assert first_characters(["ab", "cd", "", "ef"], 3) == ["ab", "c"]
    assert first_characters(["ab"], 1_000_000) == ["ab"]


def test_weights_too_large_for_float16_are_refused(tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        network.get_parameter("projection.weight")[0, 0] = 70_000
    with pytest.raises(
        ExportError, match=r"projection\.weight has weights too large or too small for float16"
    ):
        write_artifact(ExportJob(network, TRAINING, tmp_path / "artifact", "float16"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", SMALLER)
def test_the_command_says_what_it_saves_and_costs(
    run: Run, tmp_path: Path, storage: Storage
) -> None:
    shutil.copy(GOLDEN / "hello-lstm.safetensors", tmp_path / "checkpoint.safetensors")
    result = run("hello-export", ".", "--weights", storage, **SHORT_PROOF)
    assert result.returncode == 0, result.stderr
    (line,) = (line for line in result.stdout.splitlines() if line.startswith(f"{storage}: "))
    assert " characters that leave a choice, drawn from the alphabet, for the run has none" in line
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_text())
    assert manifest["weights"] == storage
    cost = manifest["rounding_cost"]
    assert cost["bytes"] == (tmp_path / "artifact/model.onnx").stat().st_size
    assert 0.9 < cost["agreement"] < 1
    assert run("hello-infer", "--model", "artifact", "hello").stdout == "ohlol\n"
    verified = run("hello-export", "--verify", "artifact", **SHORT_PROOF)
    assert verified.returncode == 0, verified.stderr


def test_held_out_lines_measure_the_cost(run: Run, tmp_path: Path) -> None:
    lines = [f"{a}{b}\t{a}{b.upper()}\n" for a in "abcdef" for b in "ghijkl"]
    (tmp_path / "pairs.tsv").write_text("".join(lines))
    options = ("--epochs", 1, "--hidden-size", 6, "--unguarded", "--holdout", 0.5)
    assert run("hello-train", "--pairs", "pairs.tsv", *options).returncode == 0
    held_out = (tmp_path / "runs/pairs-gru/holdout.tsv").read_text().splitlines(keepends=True)
    assert len(held_out) == 18
    assert set(held_out) < set(lines)
    result = run("hello-export", "runs/pairs-gru", "--weights", "int8", **SHORT_PROOF)
    assert "of 36 characters that leave a choice, of the held-out lines, " in result.stdout
    (tmp_path / "runs/pairs-gru/holdout.tsv").write_text("abc\n")
    failed = run("hello-export", "runs/pairs-gru", "--weights", "int8")
    assert_one_line_error(failed, "holdout.tsv, line 1: 0 tabs")


def test_a_new_training_does_not_keep_the_old_held_out_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("ab\tba\nba\tab\n")
    options = ("--pairs", "pairs.tsv", "--epochs", 1, "--hidden-size", 3, "--output", "run")
    assert run("hello-train", *options, "--holdout", 0.5).returncode == 0
    assert (tmp_path / "run/holdout.tsv").exists()
    assert run("hello-train", *options, "--holdout", 0).returncode == 0
    assert not (tmp_path / "run/holdout.tsv").exists()
