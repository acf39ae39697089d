"""Models whose labels are edits: the text grows and shrinks alike, however it is given."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Annotation, DecodeColumn, Decoder, EngineError
from hello_runtime import decoder as decoder_module
from hello_runtime.engine import batching, calls, rows, windows
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_train.network.checkpoint import load_checkpoint, save_checkpoint
from hello_train.network.model import Network
from helpers import LABELS, SHORT_PROOF, STRANGE, TRAINING, make_network, open_model, random_texts

EDITS = [labels for labels in LABELS if labels != "characters"]


def opened(folder: Path, **shape: Any) -> tuple[Network, Decoder]:
    """Return a network whose labels are edits, and its model."""
    network = make_network(**shape)
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    return network, Decoder.open(folder, threads=2)


def texts_of_all_kinds(seed: int) -> list[str]:
    """Return texts of known characters, and of any that Unicode has, without LF."""
    source = random.Random(seed)
    anything = [chr(source.randrange(11, sys.maxunicode + 1)) for _ in range(300)]
    drawn = ["".join(source.choices([*anything, *"abż\u0301😀"], k=n)) for n in (1, 2, 40, 300)]
    return [*random_texts(40, 70, seed), *drawn, STRANGE, "", "a"]


def same(one: Annotation, other: Annotation) -> None:
    assert one.text == other.text
    assert one.lengths.tolist() == other.lengths.tolist()
    np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("labels", EDITS)
def test_alone_in_batches_and_padded(labels: str, bidirectional: bool, tmp_path: Path) -> None:
    network, decoder = opened(tmp_path, labels=labels, bidirectional=bidirectional, layers=2)
    texts = texts_of_all_kinds(seed=1)
    expected = network.rewrite_lines(texts)
    assert [decoder.decode(text) for text in texts] == expected
    assert decoder.decode_batch(texts) == expected
    assert [row for rows in decoder.decode_batches([texts[:9], texts[9:]]) for row in rows] == [
        *expected
    ]
    together = decoder.annotate_batch(texts)
    assert [annotation.text for annotation in together] == expected
    for text, annotation in zip(texts, together, strict=True):
        (alone,) = decoder.annotate_batch([text])
        same(annotation, alone)
        assert len(annotation.confidence) == len(annotation.lengths) == len(text)
        assert annotation.lengths.sum() == len(annotation.text)
    assert any(len(text) != len(output) for text, output in zip(texts, expected, strict=True)) == (
        labels != "one"
    )


@pytest.mark.parametrize("labels", EDITS)
def test_lengths_say_what_each_character_became(labels: str, tmp_path: Path) -> None:
    network, decoder = opened(tmp_path, labels=labels, unknown="label")
    for text in texts_of_all_kinds(seed=2):
        (annotation,) = decoder.annotate_batch([text])
        ends = np.cumsum(annotation.lengths).tolist()
        parts = [annotation.text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        written = network.written_lines([text])[0]
        assert parts == ["".join(chr(code) for code in row if code >= 0) for row in written]


@pytest.mark.parametrize("labels", EDITS)
def test_a_stream_cut_anywhere(labels: str, tmp_path: Path) -> None:
    network, decoder = opened(tmp_path, labels=labels, cell="lstm", unknown="label")
    source = random.Random(3)
    for text in texts_of_all_kinds(seed=3):
        cuts = sorted(source.choices(range(len(text) + 1), k=source.randint(0, 9)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        stream = decoder.stream()
        assert "".join(map(stream.feed, pieces)) == network.rewrite(text)
        stream = decoder.stream()
        (whole,) = decoder.annotate_batch([text])
        same(rows.Parts(map(stream.annotate, pieces)).joined(), whole)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("labels", EDITS)
def test_a_long_line(labels: str, bidirectional: bool, tmp_path: Path) -> None:
    """In chunks with the state carried on, or in windows, whose context this network forgets."""
    network, decoder = opened(tmp_path, labels=labels, bidirectional=bidirectional, cell="rnn")
    source = random.Random(4)
    text = "".join(source.choices("abż\u0301😀🦀", k=2 * LONGEST_ROW + 777))
    assert decoder.decode(text) == network.rewrite(text)
    short, long = decoder.annotate_batch(["ab", text])
    assert long.text == network.rewrite(text)
    assert len(long.confidence) == len(long.lengths) == len(text)
    assert (short.text, long.lengths.sum()) == (network.rewrite("ab"), len(long.text))


def test_a_window_is_cut_where_its_characters_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what each character became, and not by characters of the output."""
    network, decoder = opened(tmp_path, labels="width 5", bidirectional=True)
    monkeypatch.setattr(decoder_module, "LONGEST_ROW", 20)
    monkeypatch.setattr(calls, "LONGEST_ROW", 20)
    monkeypatch.setattr(batching, "LONGEST_ROW", 20)
    monkeypatch.setattr(windows, "WINDOW", 16)
    monkeypatch.setattr(windows, "OVERLAP", 4)
    text = "abż\u0301😀🦀ba" * 8
    expected = ""
    for window in windows.windows(text):
        written = network.written_lines([window.read()])[0][window.first : window.last]
        expected += "".join(chr(code) for code in written.ravel() if code >= 0)
    assert decoder.decode(text) == expected != text


def test_equal_texts_have_their_own_lengths(tmp_path: Path) -> None:
    _, decoder = opened(tmp_path, labels="width 2")
    first, second = decoder.annotate_batch(["abab", "abab"])
    first.lengths[:] = 0
    assert second.lengths.sum() == len(second.text)


def test_a_checkpoint_holds_them(tmp_path: Path) -> None:
    for labels in LABELS:
        for guarded in (False, True):
            network = make_network(labels=labels, guarded=guarded)
            path = save_checkpoint(tmp_path, network, TRAINING)
            config = load_checkpoint(path)[0].config
            assert config == network.config
            assert config.format_version == (1 if labels == "characters" else 2)


@pytest.mark.parametrize("labels", EDITS)
def test_what_a_model_gives_is_checked(labels: str, tmp_path: Path) -> None:
    """Other sizes, or a number that stands for no character, is an error with the model's name."""
    _, decoder = opened(tmp_path, labels=labels)
    run = decoder._session.run

    class Faulty:
        def __init__(self, edit: Any) -> None:
            self.edit = edit

        def run(self, names: list[str], given: Any, options: Any) -> list[Any]:
            results: list[Any] = run(names, given, options)
            results[0] = self.edit(results[0])
            return results

    for edit, message in (
        (lambda decoded: decoded[..., None], "where int32"),
        (lambda decoded: decoded - decoded - 2, "what is no code point"),
        (lambda decoded: decoded.astype(np.int64), "the model gave a decoded of int64"),
    ):
        decoder._session = Faulty(edit)
        for texts in (["ab"], ["ab", "b"]):
            with pytest.raises(EngineError, match=message):
                decoder.decode_batch(texts)


# The commands.


def test_lines_stay_lines(run: Any, tmp_path: Path) -> None:
    """Text grows and shrinks, and each line end stays what it was."""
    network, _ = opened(tmp_path, labels="width 5")
    lines = ["ab", "", "ż😀", "aaaa", "b" * 30, "🦀\x85\u2028"]
    ends = ["\n", "\r\n", "\n", "\r\n", "\n", ""]
    text = "".join(line + end for line, end in zip(lines, ends, strict=True))
    expected = "".join(
        network.rewrite(line) + end for line, end in zip(lines, ends, strict=True)
    ).encode()
    (tmp_path / "in.txt").write_bytes(text.encode())
    run("hello-infer", "--model", "model.onnx", "--input", "in.txt", "--output", "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == expected
    assert expected.count(b"\n") == text.count("\n")
    result = run("hello-infer", "--model", "model.onnx", stdin=text)
    assert result.stdout.encode() == expected
    result = run("hello-infer", "--model", "model.onnx", "--stream", stdin=text)
    assert result.stdout.encode() == expected


def test_json_and_info_of_edits(run: Any, tmp_path: Path) -> None:
    network, _ = opened(tmp_path, labels="width 2", guarded=True, unknown="label")
    row = json.loads(run("hello-infer", "--model", "model.onnx", "--json", "abż").stdout)
    assert row["output"] == network.rewrite("abż")
    assert len(row["confidence"]) == len(row["lengths"]) == len("abż") != len(row["output"])
    (annotation,) = Decoder.open(tmp_path).annotate_batch(["abż"])
    assert row["lengths"] == annotation.lengths.tolist()
    assert sum(row["lengths"]) == len(row["output"])
    facts = json.loads(run("hello-infer", "--model", "model.onnx", "--info", "--json").stdout)
    assert facts["output_labels"] == [[None], "", [None, "\u0301"], [" ", None], "ż", "a😀"]
    assert "output_alphabet" not in facts
    assert (facts["guarded"], facts["unknown"]) == (True, "label")
    shown = run("hello-infer", "--model", "model.onnx", "--info").stdout
    assert 'output labels               6 edits: [null], "", [null, "\\\\u0301"]' in shown


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_an_artifact_of_edits_is_proved_and_proved_again(
    run: Any, tmp_path: Path, storage: str
) -> None:
    network = make_network("lstm", labels="width 5", guarded=True, unknown="label")
    save_checkpoint(tmp_path / "run", network, TRAINING)
    options = ("--weights", storage, "--output", "artifact")
    exported = run("hello-export", "run", *options, **SHORT_PROOF)
    assert exported.returncode == 0, exported.stderr
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_text())
    assert manifest["format_version"] == 2
    assert manifest["config"] == network.config.to_json()
    assert ("that leave a choice" in exported.stdout) == (storage == "int8")
    verified = run("hello-export", "--verify", "artifact", **SHORT_PROOF)
    assert verified.returncode == 0, verified.stderr
    if storage == "float32":
        decoded = run("hello-infer", "--model", "artifact", "abżba").stdout
        assert decoded == network.rewrite("abżba") + "\n"


def test_a_column_of_edits(tmp_path: Path) -> None:
    network, _ = opened(tmp_path, labels="width 2")
    decode = DecodeColumn(tmp_path)
    column = np.array(["ab", None, ""], object)
    expected = [network.rewrite("ab"), None, ""]
    assert decode({"text": column})["decoded"].tolist() == expected


def test_a_window_that_is_run_alone_is_cut_where_its_labels_end(tmp_path: Path) -> None:
    """Seven windows: a call of six, and one of the last."""
    decoder = open_model(tmp_path, bidirectional=True, labels="width 2")
    text = random_texts(1, 5000, seed=1)[0].ljust(5000, "a")[:5000]
    assert decoder.decode(text) == decoder.annotate_batch([text])[0].text
