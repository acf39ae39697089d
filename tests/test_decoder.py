"""The Python API: the same answer alone and in a batch, what is unknown, what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hello_runtime import Decoder, EngineError, PolicyError, UnknownCharacterError
from hello_runtime import decoder as decoder_module
from hello_runtime.engine import batching, calls
from hello_runtime.model.model_file import Unknown
from hello_train.network.cells import CELLS
from helpers import GOLDEN, STRANGE, open_model, random_texts


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
def test_alone_and_in_a_batch(cell: str, bidirectional: bool, tmp_path: Path) -> None:
    decoder = open_model(tmp_path, cell, bidirectional=bidirectional, layers=2)
    texts = [*random_texts(200, 90), STRANGE, "a" * 6000, *random_texts(5, 300)]
    alone = [decoder.decode(text) for text in texts]
    assert decoder.decode_batch(texts) == alone
    assert [annotation.text for annotation in decoder.annotate_batch(texts)] == alone
    assert list(map(len, alone)) == list(map(len, texts))
    assert len(set(alone)) > 150


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_long_line_is_cut_and_the_state_carried(
    extra: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = open_model(tmp_path, "lstm", layers=2)
    text = (random_texts(1, 100, seed=1)[0] * 40)[: 64 + extra]
    assert len(text) == 64 + extra
    whole = decoder.annotate_batch([text])[0]
    for module in (decoder_module, calls, batching):
        monkeypatch.setattr(module, "LONGEST_ROW", 16)
    cut = decoder.annotate_batch([text])[0]
    assert cut.text == whole.text
    np.testing.assert_allclose(cut.confidence, whole.confidence, atol=1e-6)


def test_a_decoder_serves_several_threads(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, bidirectional=True)
    texts = random_texts(400, 60)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(decoder.decode, texts)) == decoder.decode_batch(texts)


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


@pytest.mark.parametrize("labels", ["characters", "width 2"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_a_model_refuses_may_be_copied(
    bidirectional: bool, labels: str, tmp_path: Path
) -> None:
    """The runtime copies it then: the graph does not."""
    open_model(tmp_path, bidirectional=bidirectional, labels=labels, unknown="error")
    decoder = Decoder.open(tmp_path, unknown="copy")
    texts = ["a\0b🦀", "é", "ab", *random_texts(5, 30)]
    for text, found in zip(texts, decoder.annotate_batch(texts), strict=True):
        assert found.text == decoder.decode(text)
        written = iter(found.text)
        for char, length, confidence in zip(text, found.lengths, found.confidence, strict=True):
            becomes = "".join(islice(written, int(length)))
            if char not in decoder.info.input_alphabet:
                assert (becomes, confidence) == (char, 1)
            else:
                assert confidence < 1
    if not bidirectional:
        stream = decoder.stream()
        assert "".join(map(stream.feed, texts[0])) == decoder.decode(texts[0])


@pytest.mark.parametrize("cell", CELLS)
def test_old_files_copy_what_they_refuse_as_new_ones(cell: str) -> None:
    """In those of 0.1.0 the graph copied."""
    texts = ["hello", "h\0llo🦀", "\U0010ffff", "ż" * 300]
    old = Decoder.open(GOLDEN / f"0.1.0/hello-{cell}.onnx", unknown="copy").annotate_batch(texts)
    new = Decoder.open(cell=cell, unknown="copy").annotate_batch(texts)
    for before, after in zip(old, new, strict=True):
        assert before.text == after.text
        assert np.array_equal(before.confidence, after.confidence)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_unknown_characters_may_get_labels(bidirectional: bool, tmp_path: Path) -> None:
    """The network reads all of them alike, and what it writes is a label, with its probability."""
    decoder = open_model(tmp_path, bidirectional=bidirectional, unknown="label")
    assert (decoder.info.unknown, decoder.info.format_version) == ("label", 2)
    one, same = decoder.annotate_batch([STRANGE, STRANGE.replace("🦀", "\u2028")])
    assert one.text == same.text
    assert np.array_equal(one.confidence, same.confidence)
    assert set(one.text) <= set(decoder.info.output_alphabet)
    assert one.confidence.max() < 1
    refusing = Decoder.open(tmp_path, unknown="error")
    assert refusing.decode("abż") == decoder.decode("abż")
    with pytest.raises(UnknownCharacterError) as caught:
        refusing.decode("🦀")
    assert "--unknown label (in Python: unknown='label') lets the model" in str(caught.value)


@pytest.mark.parametrize(
    ("own", "asked"), [("label", "copy"), ("copy", "label"), ("error", "label")]
)
def test_a_policy_that_a_model_cannot_follow_is_refused(
    own: Unknown, asked: Unknown, tmp_path: Path
) -> None:
    open_model(tmp_path, unknown=own)
    other = "copy" if own == "error" else own
    message = f"is {own}, and it cannot follow {asked}; use --unknown error or {other} "
    with pytest.raises(PolicyError, match=message):
        Decoder.open(tmp_path, unknown=asked)
    for possible in (own, None, "error"):
        assert len(Decoder.open(tmp_path, unknown=possible).decode("ab")) == 2


def test_texts_of_another_type_are_refused() -> None:
    decoder = Decoder.open()
    with pytest.raises(TypeError, match="a batch is a list of texts"):
        decoder.decode_batch("hello")
    for wrong in (None, 5, b"hello"):
        with pytest.raises((TypeError, AttributeError)):
            decoder.decode(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("unknown", ["error", "copy"])
def test_a_batch_is_any_row_of_texts(unknown: Unknown) -> None:
    decoder = Decoder.open(unknown=unknown)
    found = [["ohlol", ""], ["ohlol"], []]
    kinds: list[Callable[[list[str]], Iterable[str]]] = [list, tuple, iter, np.array]
    for kind in kinds:
        batches = map(kind, [["hello", ""], ["hello"], []])
        assert list(decoder.decode_batches(batches)) == found
    for wrong in ("hello", b"hello", ["hello", None], [5], [["hello"]]):
        with pytest.raises(TypeError, match=r"a batch is a list of texts|text \d is of type"):
            list(decoder.decode_batches([["hello"], wrong]))  # type: ignore[list-item]
        with pytest.raises(TypeError, match=r"a batch is a list of texts|text \d is of type"):
            decoder.decode_batch(wrong)  # type: ignore[arg-type]


def test_a_batch_may_change_once_it_is_read() -> None:
    batch = ["hello"]

    def batches() -> Iterator[list[str]]:
        yield batch
        batch[0] = "hell"
        yield batch

    decoder = Decoder.open()
    found = list(decoder.decode_batches(batches()))
    assert found == [["ohlol"], [decoder.decode("hell")]]


def test_equal_texts_have_their_own_confidences() -> None:
    first, second, _ = Decoder.open().annotate_batch(["hello", "hello", "hell"])
    assert np.array_equal(first.confidence, second.confidence)
    first.confidence[:] = 0
    assert second.confidence.all()


def test_it_is_pickled_as_what_it_was_opened_with(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, unknown="error")
    there = pickle.loads(pickle.dumps(Decoder.open(tmp_path, threads=3, unknown="copy")))
    assert there.decode("ab🦀") == Decoder.open(tmp_path, unknown="copy").decode("ab🦀")
    assert there.file == decoder.file
    with pytest.raises(UnknownCharacterError):
        pickle.loads(pickle.dumps(decoder)).decode("ab🦀")
    carried = pickle.loads(pickle.dumps(Decoder.open(cell="lstm")))
    assert (carried.info.cell, carried.decode("hello")) == ("lstm", "ohlol")
    stream = Decoder.open().stream()
    stream.feed("he")
    assert pickle.loads(pickle.dumps(stream)).feed("llo") == stream.feed("llo")


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
