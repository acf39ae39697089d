"""A line for which there is no memory is refused before it is decoded; the limits are planted."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click
import onnx
import pytest
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Decoder
from hello_runtime.cli import main
from hello_runtime.errors import InputError
from hello_runtime.text import memory
from hello_runtime.text.lines import read_stream
from hello_runtime.text.normal_forms import NormalForm, normalise
from hello_train.network.model import Network
from helpers import TRAINING, make_network


def stream(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(content)))


@pytest.mark.parametrize("end", [b"", b"\n", b"\nmore\n"], ids=["no end", "end", "more lines"])
def test_a_line_without_memory_is_refused(monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    long = b"x" * 8000
    monkeypatch.setattr(memory, "LONG_LINE", 8000)
    monkeypatch.setattr(memory, "free_memory", lambda: 7 * 8000)
    assert sum(len(block.texts) for block in read_stream(stream(b"a\n" + long + end), "x", 7)) >= 2
    with pytest.raises(InputError, match=r"^file, line 1: the line has 0 MB or more, .* are free"):
        list(read_stream(stream(long + end), "file, line", 8))
    monkeypatch.setattr(memory, "LONG_LINE", 8001)
    assert next(read_stream(stream(long + end), "x", 8)).texts[0] == "x" * 8000


@pytest.mark.parametrize(
    ("model", "as_json", "expected"),
    [
        ({}, False, 3 + 4),  # 😀 has four bytes
        ({"labels": "width 5"}, False, 3 + 8),  # a, x, 😀, and two that it keeps
        ({"labels": "width 2"}, True, 3 + 5 + 5),
        ({"task": "classify"}, True, None),
    ],
    ids=["characters", "edits", "json", "classifier"],
)
def test_what_a_line_may_take(
    model: dict[str, Any], as_json: bool, expected: int | None, tmp_path: Path
) -> None:
    network = make_network("gru", **model)
    for normalization in ("none", "nfd"):
        changed = Network(replace(network.config, normalization=normalization)).eval()
        onnx.save(build_model(changed, TRAINING), tmp_path / "model.onnx")
        decoder = Decoder.open(tmp_path)
        found = memory.memory_factor(decoder.info, decoder._numbers_per_character, as_json=as_json)
        if expected is None:  # at least the codepoints, the embedding, the gates and the states
            assert found > 3 + 4 * (1 + 7 + 5)
        elif normalization == "none":
            assert found == expected
        else:  # the normal form is kept too, and each character of 2 bytes may be three of it
            assert found >= 3 + 3 + 1.5 * (expected - 3)


@pytest.mark.parametrize("form", ["nfc", "nfd"])
def test_how_much_a_normal_form_may_grow(form: NormalForm) -> None:
    """What Python's tables of Unicode say of every character, alone."""
    surrogates = range(0xD800, 0xE000)
    chars = [chr(code) for code in range(0x110000) if code not in surrogates]
    pairs = [(len(char.encode()), normalise(char, form)) for char in chars]
    size, characters = memory.GROWTH[form]
    assert max(len(normal.encode()) / before for before, normal in pairs) == size
    assert max(len(normal) / before for before, normal in pairs) == characters


def test_a_wide_classifier_needs_more(tmp_path: Path) -> None:
    """The engine's own arrays grow with the network, and a classifier reads the line at once."""
    numbers = []
    for size in (5, 50):
        network = make_network("lstm", task="classify", hidden_size=size, bidirectional=True)
        onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
        numbers.append(Decoder.open(tmp_path)._numbers_per_character)
    assert numbers[1] - numbers[0] >= 2 * 45


def test_the_command_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_bytes(b"hello\n" + b"h" * 2_000_000)
    arguments = ["--input", str(file), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(memory, "free_memory", lambda: 7_000_000)
    with pytest.raises(click.ClickException) as caught:
        main.main(arguments, standalone_mode=False)
    said = caught.value.message
    assert said.startswith(f"{file}, line 2: the line has ")
    assert said.endswith(
        "are free; cut the line into shorter ones, or give the process more memory"
    )
    assert "7 MB are free" in said
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(memory, "free_memory", lambda: 8_000_000)  # four times the line
    main.main(arguments, standalone_mode=False)
    assert (tmp_path / "out").stat().st_size == file.stat().st_size
    with pytest.raises(click.ClickException, match="8 MB are free"):
        main.main([*arguments, "--json"], standalone_mode=False)
