"""A hundred thousand characters become the same text whatever way they take to the engine.

By `pytest --long` a million do.

What is expected comes from onnxruntime alone, a line at a time: none of the runtime's code is in
it. A label that is as good as the expected one within the tolerance is a tie, and no difference.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Decoder
from hello_runtime.engine import batching, windows
from hello_runtime.engine.blocks import BlockSize
from helpers import TRAINING, make_network, random_texts

FEW, MANY = 2_500, 25_000
"""Lines: of a hundred thousand characters, and of a million."""
TIED = 1e-5
LIVELY = 3
"""What the weights are multiplied by, so that a label depends on the characters around it."""
MOST_TIES = 10
"""So few differences of a million may be ties."""


@dataclass(frozen=True)
class Case:
    """A model, many characters, and what onnxruntime makes of them."""

    decoder: Decoder
    texts: list[str]
    expected: list[str]
    tied: list[Any]
    """Of each text, bool [characters]: whether two labels are equally good."""


def expect(file: Path, texts: Sequence[str]) -> tuple[list[str], list[Any]]:
    """Run each text by itself on a plain session."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    slots, _, hidden = (session.get_inputs()[1].shape * 3)[:3]
    decoded, tied = [], []
    for text in texts:
        given: dict[str, Any] = {"codepoints": np.array([list(map(ord, text))], np.int32)}
        if session.get_inputs()[1].name == "state":
            given["state"] = np.zeros((slots, 1, hidden), np.float32)
        else:
            given["lengths"] = np.array([len(text)], np.int32)
        codepoints, logits = session.run(["decoded", "logits"], given)
        decoded.append("".join(map(chr, codepoints[0])))
        best = np.sort(logits[0], axis=-1)
        tied.append(best[:, -1] - best[:, -2] < TIED)
    return decoded, tied


def make_case(folder: Path, cell: str, texts: list[str], *, bidirectional: bool) -> Case:
    network = make_network(cell, layers=2, bidirectional=bidirectional, hidden_size=24)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(LIVELY)
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    decoder = Decoder.open(folder, threads=2)
    return Case(decoder, texts, *expect(folder / "model.onnx", texts))


def differences(case: Case, found: Sequence[str]) -> int:
    """Count the characters that differ and are no ties."""
    count = ties = 0
    for text, expected, tied in zip(found, case.expected, case.tied, strict=True):
        assert len(text) == len(expected)
        if text != expected:
            differ = np.array(list(text)) != np.array(list(expected))
            count += int(np.count_nonzero(differ & ~tied))
            ties += int(np.count_nonzero(differ & tied))
    assert ties <= MOST_TIES
    return count


def lines_of(folder: Path, kind: str, lines: int) -> Case:
    """Return a model of this kind, and so many lines of 45 characters on average."""
    cell = {"causal": "gru", "bidirectional": "lstm"}[kind]
    texts = [text for text in random_texts(lines, 90, seed=8) if text]
    return make_case(folder, cell, texts, bidirectional=kind == "bidirectional")


@pytest.fixture(
    scope="module",
    params=[
        ("causal", FEW),
        ("bidirectional", FEW),
        pytest.param(("causal", MANY), marks=pytest.mark.long),
        pytest.param(("bidirectional", MANY), marks=pytest.mark.long),
    ],
    ids=["causal", "bidirectional", "causal-million", "bidirectional-million"],
)
def lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A model of either kind, and a hundred thousand or a million characters in lines."""
    kind, count = request.param
    case = lines_of(tmp_path_factory.mktemp(kind), kind, count)
    assert sum(map(len, case.texts)) > 40 * count
    return case


def threaded(case: Case) -> list[str]:
    """Decode a quarter of the lines from each of four threads."""
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(case.decoder.decode_batch, [case.texts[i::4] for i in range(4)])
        found = [""] * len(case.texts)
        for i, part in enumerate(parts):
            found[i::4] = part
    return found


def in_batches(case: Case) -> list[str]:
    """Decode a file's worth of lines, some hundreds at a time."""
    batches = (case.texts[i : i + 700] for i in range(0, len(case.texts), 700))
    return [text for rows in case.decoder.decode_batches(batches) for text in rows]


def streamed(case: Case) -> list[str]:
    """Feed each line to a stream of its own in random pieces."""
    source = random.Random(3)
    found = []
    for text in case.texts:
        stream, answer, start = case.decoder.stream(), "", 0
        while start < len(text):
            stop = start + source.randint(1, 40)
            answer += stream.feed(text[start:stop])
            start = stop
        found.append(answer)
    return found


WAYS: list[Callable[[Case], list[str]]] = [
    lambda case: list(map(case.decoder.decode, case.texts)),
    lambda case: case.decoder.decode_batch(case.texts),
    lambda case: [row.text for row in case.decoder.annotate_batch(case.texts)],
    in_batches,
    threaded,
]


@pytest.mark.parametrize("way", WAYS, ids=["alone", "batched", "annotated", "batches", "threaded"])
def test_each_way_gives_the_same_text(lines: Case, way: Callable[[Case], list[str]]) -> None:
    assert differences(lines, way(lines)) == 0


def test_padded(lines: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lines beside long ones, as no batch of the runtime's own has them."""
    monkeypatch.setattr(batching, "batched", by_sixty_four)
    assert differences(lines, lines.decoder.decode_batch(lines.texts)) == 0


def by_sixty_four(pieces: Sequence[batching.Piece], _: BlockSize) -> list[list[batching.Piece]]:
    pieces = list(pieces)
    return [pieces[i : i + 64] for i in range(0, len(pieces), 64)]


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_streamed(count: int, tmp_path: Path) -> None:
    case = lines_of(tmp_path, "causal", count)
    assert differences(case, streamed(case)) == 0


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_one_line_of_a_causal_model(count: int, tmp_path: Path) -> None:
    text = "".join(random_texts(count, 90, seed=9))
    case = make_case(tmp_path, "gru", [text], bidirectional=False)
    assert differences(case, [case.decoder.decode(text)]) == 0
    stream = case.decoder.stream()
    assert differences(case, ["".join(map(stream.feed, pieces_of(text)))]) == 0


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_one_line_of_a_bidirectional_model(count: int, tmp_path: Path) -> None:
    """Windows are an approximation; for networks whose memory is shorter than one, an exact one."""
    text = "".join(random_texts(count, 90, seed=9))
    case = make_case(tmp_path, "lstm", [text], bidirectional=True)
    assert differences(case, [case.decoder.decode(text)]) == 0


def pieces_of(text: str) -> list[str]:
    source = random.Random(4)
    ends = sorted(source.sample(range(len(text)), 900))
    return [text[i:j] for i, j in zip([0, *ends], [*ends, len(text)], strict=True)]


# Each of these ways can be wrong, and would be found.


def test_without_overlap_windows_would_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(random_texts(1_000, 90, seed=9))
    case = make_case(tmp_path, "lstm", [text], bidirectional=True)
    assert differences(case, [case.decoder.decode(text)]) == 0
    monkeypatch.setattr(windows, "OVERLAP", 0)
    assert differences(case, [case.decoder.decode(text)]) > 0


def test_a_state_that_is_not_carried_would_be_found(tmp_path: Path) -> None:
    text = "".join(random_texts(1_000, 90, seed=9))
    case = make_case(tmp_path, "gru", [text], bidirectional=False)
    found = "".join(case.decoder.stream().feed(piece) for piece in pieces_of(text))
    assert differences(case, [found]) > 0


def test_padding_that_is_read_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for text in random_texts(1_000, 90, seed=9) if text]
    case = make_case(tmp_path, "lstm", texts, bidirectional=True)
    run = case.decoder._run

    def run_without_lengths(outputs: list[str], codepoints: Any, lengths: Any) -> list[Any]:
        return run(outputs, codepoints, np.full_like(lengths, codepoints.shape[1]))

    monkeypatch.setattr(case.decoder, "_run", run_without_lengths)
    assert differences(case, case.decoder.decode_batch(texts)) > 0
