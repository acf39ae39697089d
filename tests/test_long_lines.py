"""A long line is kept in UTF-8: what the command writes is what it writes for a `str`."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import onnx
import pytest
from hello_export.graph.onnx_graph import build_model
from hello_runtime.cli import main
from hello_runtime.text import lines, memory
from hello_runtime.text.long_text import PIECE, LongText
from hello_train.network.model import Network
from helpers import TRAINING, make_network

ALWAYS, NEVER = 5000, 1 << 40
"""Bytes from which on a line is long, so that every long one of these tests is, or none."""


def drawn(count: int, characters: str = "abż\u0301😀🦀e", seed: int = 0) -> str:
    return "".join(random.Random(seed).choices(characters, k=count))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5])
def test_a_long_text_has_the_slices_of_the_str(size: int) -> None:
    source, text = random.Random(1), drawn(size)
    cuts = sorted(source.choices(range(size + 1), k=9))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, size], strict=True)]
    long = LongText(parts)
    assert (len(long), str(long), "".join(long)) == (size, text, text)
    assert max(map(len, long)) <= PIECE
    edges = [0, PIECE, 2 * PIECE, size]
    for _ in range(200):
        start, stop = sorted(source.choice([*edges, source.randint(0, size)]) for _ in "ab")
        assert long[start:stop] == text[start:stop]
        assert long[start : size + 999] == text[start:]


def save(folder: Path, changes: dict[str, Any], **shape: Any) -> None:
    config = make_network(**shape).config
    network = Network(replace(config, **changes)).eval()
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")


def infer(folder: Path, long_line: int, *options: str) -> bytes | str:
    """Return what the command writes for `in.txt`, or what it says, with long lines or without."""
    target = folder / "out"
    target.unlink(missing_ok=True)
    arguments = ["--model", folder, "--input", folder / "in.txt", "--output", target, *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "LONG_LINE", long_line)
        try:
            main.main([*map(str, arguments)], standalone_mode=False)
        except click.ClickException as error:
            assert not target.exists()
            return error.message
    return target.read_bytes()


MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "causal": ({}, {}),
    "two directions": ({}, {"bidirectional": True}),
    "two directions, shared labels": ({}, {"bidirectional": True, "labels": "width 5"}),
    "causal, edits": ({}, {"labels": "width 5"}),
    "composed": ({"normalization": "nfc"}, {"bidirectional": True}),
    "decomposed": ({"normalization": "nfd"}, {}),
    "copies": ({}, {"unknown": "error", "labels": "width 2"}),
    "classifier": ({}, {"task": "classify"}),
}
"""Of each model the changes to a network, and the network."""
LINES = [
    drawn(9000, seed=1),
    drawn(20000, "z\u0307ae\u0301", seed=2) + "\r",
    "ab",
    drawn(7000, seed=3),
    drawn(7000, seed=3),
    "",
    drawn(70000, "ab", seed=4) + "😀",
]


@pytest.fixture
def long_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the characters of each long text that is made."""
    made: list[int] = []

    class Counted(LongText):
        def __init__(self, parts: Any) -> None:
            super().__init__(parts)
            made.append(len(self))

    monkeypatch.setattr(lines, "LongText", Counted)
    return made


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("name", MODELS)
def test_the_command_writes_the_same(
    name: str, options: tuple[str, ...], tmp_path: Path, long_rows: list[int]
) -> None:
    changes, shape = MODELS[name]
    save(tmp_path, changes, **shape)
    options += ("--unknown", "copy") if name == "copies" else ()
    for end in ("", "\n"):
        (tmp_path / "in.txt").write_bytes(("\n".join(LINES) + end).encode())
        expected = infer(tmp_path, NEVER, *options)
        assert (type(expected), long_rows) == (bytes, [])
        assert infer(tmp_path, ALWAYS, *options) == expected
        assert len(long_rows) == 5
        long_rows.clear()


@pytest.mark.parametrize("at", [0, 4999, 1 << 20, (1 << 20) + 1, -1])
@pytest.mark.parametrize("wrong", [b"\xff", b"\xc5x", "🦀".encode()], ids=["ff", "cut", "unknown"])
def test_an_error_says_the_same(wrong: bytes, at: int, tmp_path: Path) -> None:
    """Also behind the first of the parts in which a line is decoded."""
    save(tmp_path, {}, unknown="error")
    line = bytearray("ż".encode() * 600_000)
    place = at % len(line) // 2 * 2
    line[place:place] = wrong
    (tmp_path / "in.txt").write_bytes(b"a\n" + line + b"\nb\n")
    said = infer(tmp_path, ALWAYS)
    assert said == infer(tmp_path, NEVER)
    assert isinstance(said, str)
    assert "in.txt, line 2: " in said
    number = place // 2 + 1 if wrong == "🦀".encode() else place + 1
    assert f" {number} " in said.replace(",", "")


def test_an_end_inside_a_character(tmp_path: Path) -> None:
    save(tmp_path, {})
    (tmp_path / "in.txt").write_bytes(b"a" * 6000 + "ż".encode()[:1])
    assert infer(tmp_path, ALWAYS) == infer(tmp_path, NEVER)
    assert "byte 6001 (0xc5) is not UTF-8" in str(infer(tmp_path, ALWAYS))


# Memory.


def traced(folder: Path, long_line: int, *options: str) -> float:
    """Return how much Python and numpy take for `in.txt`, in multiples of it."""
    tracemalloc.start()
    try:
        infer(folder, long_line, *options)
        return tracemalloc.get_traced_memory()[1] / (folder / "in.txt").stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("bidirectional", "options", "most"),
    [(False, (), 4), (True, (), 5), (False, ("--json",), 12), (True, ("--json",), 12)],
)
def test_a_long_line_takes_little_more_than_its_bytes(
    bidirectional: bool,
    options: tuple[str, ...],
    most: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: the same line as a `str`, each character of which takes four bytes.

    Windows that wait for each other take more, up to once the line; and from process to process it
    is 2.9 to 3.6 times the line without any.
    """
    monkeypatch.setattr(lines, "READ_SIZE", 1 << 16)
    save(tmp_path, {}, bidirectional=bidirectional, cell="rnn")
    (tmp_path / "in.txt").write_bytes(("abe " * 125_000 + "😀").encode())
    assert traced(tmp_path, ALWAYS, *options) < most
    assert options or traced(tmp_path, NEVER, *options) > 6
