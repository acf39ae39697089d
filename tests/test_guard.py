"""The table of what a guard allows: by its definition, in time linear in the guard, and once."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from hello_export.graph.onnx_graph import build_model
from hello_runtime.model.labels import alphabet_guard, alphabet_labels
from hello_runtime.text.edits import KEEP, Edit
from hello_train.network import model
from hello_train.network.checkpoint import load_checkpoint, save_checkpoint
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.model import Network, allowed_labels, label_classes
from helpers import TRAINING, make_network


def guarded(inputs: str, outputs: str, guard: dict[str, str] | None) -> ModelConfig:
    allowed = alphabet_guard(guard, outputs) if guard else None
    labels = alphabet_labels(outputs)
    return ModelConfig("gru", inputs, labels, 2, 2, 1, False, True, "copy", allowed)


def random_guard(size: int, source: random.Random) -> ModelConfig:
    inputs, outputs = (
        "".join(map(chr, source.sample(range(0x20000, 0x20000 + 2 * size), size))) for _ in range(2)
    )
    return guarded(inputs, outputs, {char: source.choice(outputs) * 2 for char in inputs})


@pytest.mark.parametrize("seed", range(20))
def test_a_guard_allows_what_it_names(seed: int) -> None:
    source = random.Random(seed)
    inputs, outputs = (
        "".join(source.sample("abcdeżółw\0😀🦀\u0301\U0010ffff", source.randint(1, 13)))
        for _ in range(2)
    )
    guard = {char: "".join(source.choices(outputs, k=source.randint(1, 9))) for char in inputs}
    allowed = allowed_labels(guarded(inputs, outputs, guard)).tolist()
    expected = [[label in guard[char] for label in outputs] for char in inputs]
    assert allowed == [*expected, [True] * len(outputs)]
    free = allowed_labels(guarded(inputs, outputs, None))
    assert (free.shape, free.dtype) == ((len(inputs) + 1, len(outputs)), torch.bool)
    assert free.all()


def test_an_unknown_character_gets_labels_that_keep_it() -> None:
    labels: tuple[Edit, ...] = ((KEEP,), ("b",), (), (" ", KEEP))
    config = replace(
        guarded("ab", "ab", {"a": "ab", "b": "b"}),
        output_labels=labels,
        unknown="label",
        guard={"a": (0, 1), "b": (2,)},
    )
    assert allowed_labels(config)[2].tolist() == [True, False, False, True]
    assert allowed_labels(replace(config, unknown="copy"))[2].all()
    assert allowed_labels(replace(config, guard=None)).all()
    only = replace(config, output_labels=(("a",), ("b",)), guard={"a": (0,), "b": (1,)})
    assert allowed_labels(only)[2].all()


def edited(characters: int, numbers: list[tuple[int, ...]], *, guarded: bool = True) -> ModelConfig:
    """Return a network that keeps or replaces, with one of these rows of labels for a character."""
    alphabet = "".join(map(chr, range(0x4E00, 0x4E00 + characters)))
    labels = ((KEEP,), *alphabet_labels("ąćęłńóśźż"), (KEEP, " "), ())
    guard = {char: numbers[place % len(numbers)] for place, char in enumerate(alphabet)}
    return ModelConfig(
        "gru", alphabet, labels, 2, 2, 1, False, True, "label", guard if guarded else None
    )


@pytest.mark.parametrize("seed", range(5))
def test_classes_allow_what_the_guard_names(seed: int) -> None:
    """In the table, in a network, and in what files hold."""
    source = random.Random(seed)
    config = edited(40, [tuple(source.sample(range(12), source.randint(1, 9))) for _ in range(7)])
    assert config.guard
    expected = [[label in config.guard[char] for label in range(12)] for char in config.guard]
    keeping = [KEEP in label for label in config.output_labels]
    assert allowed_labels(config).tolist() == [*expected, keeping]
    assert label_classes(config)[1].shape == (1 + 7, 12)
    held = json.loads(json.dumps(config.to_json()))
    assert len(held["guard"]) == 7
    assert ModelConfig.from_json(held) == config
    network = Network(config).eval()
    ids = torch.arange(41)[None]
    free = network.projection(network.recurrence(network.embed(ids))[0])
    forbidden = ~allowed_labels(config)
    assert torch.equal(network(ids)[0], free[0].masked_fill(forbidden, FORBIDDEN_LOGIT))


def test_four_thousand_characters_cost_next_to_nothing() -> None:
    """In bytes of the file and of the tables: a class for each character, and no row of labels."""
    rows = [(0,), (0, 1), (0, 2, 3), (10, 11)]
    guarded, free = (edited(4000, rows, guarded=guarded) for guarded in (True, False))
    classes, allowed = label_classes(guarded)
    assert (classes.size, allowed.size) == (4001, 5 * 12)
    sizes = [build_model(Network(each).eval(), TRAINING).ByteSize() for each in (guarded, free)]
    assert sizes[0] - sizes[1] < 8 * 4000
    # Each operation is counted, and a character costs a few.
    assert operations(guarded) < 60 * 4000


def operations(config: ModelConfig) -> int:
    """Return how many operations of Python make the table."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    allowed_labels(config)  # once before, since tables of an alphabet are kept
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        allowed_labels(config)
    finally:
        sys.settrace(before)
    return count


def test_the_table_takes_time_linear_in_the_guard() -> None:
    source = random.Random(0)
    few, many = operations(random_guard(50, source)), operations(random_guard(1000, source))
    assert 50 < few < many < 25 * few


def test_the_table_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ModelConfig] = []

    def counted(config: ModelConfig) -> Any:
        made.append(config)
        return label_classes(config)

    monkeypatch.setattr(model, "label_classes", counted)
    for is_guarded in (True, False):
        network = make_network(guarded=is_guarded)
        save_checkpoint(tmp_path, network, TRAINING)
        loaded, _ = load_checkpoint(tmp_path)
        assert loaded.rewrite("abż\u0301😀?") == network.rewrite("abż\u0301😀?")
    assert [config.guard is None for config in made] == [False, False]  # one network, read back


def test_a_network_that_was_read_has_weights_of_its_own(tmp_path: Path) -> None:
    """The file may be written over while the network is in use."""
    for network in (make_network("lstm", layers=2, bidirectional=True), make_network("rnn")):
        path = save_checkpoint(tmp_path, network, TRAINING)
        loaded: Network = load_checkpoint(tmp_path)[0]
        path.write_bytes(b"\xff" * path.stat().st_size)
        ids = torch.arange(6)[None]
        assert torch.equal(loaded(ids), network(ids))
        loaded.train()(ids).sum().backward()
        assert all(weights.grad is not None for weights in loaded.parameters())
