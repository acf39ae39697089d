"""The Python API: the same answer alone, batched, streamed and from many threads."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hello_export.onnx_graph import build_model
from hello_runtime import (
    Decoder,
    EngineError,
    NotCausalError,
    UnknownCharacterError,
)
from hello_runtime import decoder as decoder_module
from hello_train.config import CELLS, Cell, Unknown
from helpers import TRAINING, make_network

STRANGE = "a\0b\ufeff\r\f\x0b\x85\u2028\u2029e\u0301🦀\U0010ffff\ud800c"
"""Characters that text tools like to eat, among known ones."""


def open_model(
    folder: Path,
    cell: Cell = "gru",
    *,
    bidirectional: bool = False,
    layers: int = 1,
    unknown: Unknown = "copy",
) -> Decoder:
    network = make_network(cell, bidirectional=bidirectional, layers=layers, unknown=unknown)
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    return Decoder.open(folder, threads=2)


def random_texts(count: int, longest: int, seed: int = 0) -> list[str]:
    source = random.Random(seed)
    return [
        "".join(source.choices("abż\u0301😀🦀e", k=source.randint(0, longest)))
        for _ in range(count)
    ]


def test_hello() -> None:
    assert Decoder.open().decode("hello") == "ohlol"
    assert [Decoder.open(cell=cell).decode("hello") for cell in CELLS] == ["ohlol"] * 3


def test_empty_texts_never_reach_the_engine() -> None:
    decoder = Decoder.open()
    assert decoder.decode("") == ""
    assert decoder.decode_batch([]) == []
    assert decoder.decode_batch(["", "hello", ""]) == ["", "ohlol", ""]
    assert decoder.stream().feed("") == ""
    (annotation,) = decoder.annotate_batch([""])
    assert annotation.text == ""
    assert annotation.confidence.shape == (0,)
    assert annotation.confidence.dtype == np.float32
    assert decoder.decode_batch(text for text in ("hello", "")) == ["ohlol", ""]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_alone_and_in_a_batch(cell: Cell, bidirectional: bool, tmp_path: Path) -> None:
    decoder = open_model(tmp_path, cell, bidirectional=bidirectional, layers=2)
    texts = [*random_texts(200, 90), STRANGE, "a" * 6000, *random_texts(5, 300)]
    alone = [decoder.decode(text) for text in texts]
    assert decoder.decode_batch(texts) == alone
    assert [annotation.text for annotation in decoder.annotate_batch(texts)] == alone
    assert list(map(len, alone)) == list(map(len, texts))
    assert len(set(alone)) > 150


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_streamed_in_pieces(cell: Cell, piece: int, tmp_path: Path) -> None:
    decoder = open_model(tmp_path, cell, layers=2)
    (text,) = random_texts(1, 900, seed=5)
    stream = decoder.stream()
    pieces = [text[start : start + piece] for start in range(0, len(text), piece)]
    answers = [stream.feed(part) for part in pieces]
    assert list(map(len, answers)) == list(map(len, pieces))
    assert "".join(answers) == decoder.decode(text)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_long_line_is_cut_and_the_state_carried(
    extra: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = open_model(tmp_path, "lstm", layers=2)
    text = (random_texts(1, 100, seed=1)[0] * 40)[: 64 + extra]
    assert len(text) == 64 + extra
    whole = decoder.annotate_batch([text])[0]
    monkeypatch.setattr(decoder_module, "WHOLE", 16)
    cut = decoder.annotate_batch([text])[0]
    assert cut.text == whole.text
    np.testing.assert_allclose(cut.confidence, whole.confidence, atol=1e-6)


def test_interleaved_streams_do_not_know_each_other(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, "gru")
    texts = random_texts(100, 60, seed=2)
    streams = [decoder.stream() for _ in texts]

    def feed(step: int) -> list[str]:
        return [
            stream.feed(text[step : step + 1]) for stream, text in zip(streams, texts, strict=True)
        ]

    columns = [feed(step) for step in range(60)]
    assert ["".join(row) for row in zip(*columns, strict=True)] == list(map(decoder.decode, texts))


def test_a_decoder_serves_several_threads(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, bidirectional=True)
    texts = random_texts(400, 60)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(decoder.decode, texts)) == decoder.decode_batch(texts)


def test_a_bidirectional_model_does_not_stream(tmp_path: Path) -> None:
    with pytest.raises(NotCausalError, match="bidirectional model needs the whole line"):
        open_model(tmp_path, bidirectional=True).stream()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_unknown_characters_are_copied(bidirectional: bool, tmp_path: Path) -> None:
    decoder = open_model(tmp_path, bidirectional=bidirectional)
    (annotation,) = decoder.annotate_batch([STRANGE])
    assert len(annotation.text) == len(STRANGE)
    for char, output, confidence in zip(
        STRANGE, annotation.text, annotation.confidence, strict=True
    ):
        if char not in decoder.info.input_alphabet:
            assert output == char
            assert confidence == 1
        else:
            assert output in decoder.info.output_alphabet
            assert confidence < 1


def test_an_unknown_character_is_named(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, unknown="error")
    with pytest.raises(UnknownCharacterError) as caught:
        decoder.decode_batch(["abż", "ab🦀"])
    error = caught.value
    assert (error.character, error.position, error.index) == ("🦀", 2, 1)
    assert "'🦀' (U+1F980), character 3" in str(error)
    with pytest.raises(UnknownCharacterError, match=r"U\+D800"):
        decoder.decode("\ud800")
    copying = Decoder.open(tmp_path, unknown="copy")
    assert copying.decode("ab🦀")[2] == "🦀"


def test_a_refused_piece_leaves_the_stream_as_it_was() -> None:
    stream = Decoder.open().stream()
    first = stream.feed("he")
    with pytest.raises(UnknownCharacterError):
        stream.feed("l?")
    assert first + stream.feed("llo") == "ohlol"


def test_texts_of_another_type_are_refused() -> None:
    decoder = Decoder.open()
    with pytest.raises(TypeError, match="a batch is a list of texts"):
        decoder.decode_batch("hello")
    for wrong in (None, 5, b"hello"):
        with pytest.raises((TypeError, AttributeError)):
            decoder.decode(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"unknown": "ignore"}, "unknown is 'ignore'"),
        ({"cell": "../models/gru"}, "cell is '../models/gru'; it must be one of"),
        ({"threads": 0}, "threads is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decoder.open(**wrong)


def test_a_failure_inside_the_engine_has_the_models_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = open_model(tmp_path)
    monkeypatch.setattr(decoder, "_zero_state", np.zeros((7, 1, 5), np.float32))
    with pytest.raises(EngineError, match=r"model\.onnx: onnxruntime failed: "):
        decoder.decode("abc")
