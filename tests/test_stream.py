"""A stream answers for each piece at once, and in the end says what the whole text would."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

import onnx
import pytest
from hello_export.graph.onnx_graph import build_model
from hello_runtime import Decoder, NotCausalError, Stream, UnknownCharacterError
from hello_train.network.cells import CELLS
from helpers import (
    STRANGE,
    TRAINING,
    Run,
    assert_one_line_error,
    make_network,
    open_model,
    random_texts,
)

INFER = Path(sys.executable).with_name("hello-infer")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_streamed_in_pieces(cell: str, piece: int, tmp_path: Path) -> None:
    decoder = open_model(tmp_path, cell, layers=2)
    (text,) = random_texts(1, 900, seed=5)
    stream = decoder.stream()
    pieces = [text[start : start + piece] for start in range(0, len(text), piece)]
    answers = [stream.feed(part) for part in pieces]
    assert list(map(len, answers)) == list(map(len, pieces))
    assert "".join(answers) == decoder.decode(text)


def test_a_piece_longer_than_a_chunk(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, "lstm")
    text = random_texts(1, 300, seed=5)[0] * 80
    assert len(text) > 8192
    stream = decoder.stream()
    assert stream.feed(text[:7]) + stream.feed("") + stream.feed(text[7:]) == decoder.decode(text)


def feed_in_turns(streams: list[Stream], texts: list[str], seed: int) -> list[str]:
    """Feed each stream its text in random pieces, now one stream and now another."""
    source = random.Random(seed)
    rest = dict(enumerate(texts))
    answers = [""] * len(texts)
    while rest:
        which = source.choice(list(rest))
        size = source.randint(1, 9)
        answers[which] += streams[which].feed(rest[which][:size])
        rest[which] = rest[which][size:]
        if not rest[which]:
            del rest[which]
    return answers


def test_a_hundred_streams_interleaved_from_several_threads(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, "gru")
    texts = random_texts(100, 60, seed=2)
    one_after_another = [decoder.stream().feed(text) for text in texts]
    streams = [decoder.stream() for _ in texts]
    quarters = range(4)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda i: feed_in_turns(streams[i::4], texts[i::4], i), quarters)
    for i, answers in zip(quarters, found, strict=True):
        assert answers == one_after_another[i::4]
    assert one_after_another == list(map(decoder.decode, texts))


def test_streams_that_shared_their_state_would_be_found(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, "gru")
    texts = random_texts(100, 60, seed=2)
    shared = [decoder.stream()] * len(texts)
    assert feed_in_turns(shared, texts, 0) != list(map(decoder.decode, texts))


def test_a_bidirectional_model_does_not_stream(tmp_path: Path, run: Run) -> None:
    with pytest.raises(NotCausalError, match="bidirectional model needs the whole line"):
        open_model(tmp_path, bidirectional=True).stream()
    result = run("hello-infer", "--stream", "--model", tmp_path, stdin="hello\n")
    assert_one_line_error(result, "model.onnx", "bidirectional model needs the whole line")


def test_a_refused_piece_leaves_the_stream_as_it_was() -> None:
    stream = Decoder.open().stream()
    first = stream.feed("he")
    with pytest.raises(UnknownCharacterError, match="character 4 of"):
        stream.feed("l?")
    assert first + stream.feed("llo") == "ohlol"


def interrupted(action: Callable[[], object], number: int) -> bool:
    """Run an action with Ctrl-C at a step of it, as Python may raise it; return whether it came.

    A step is the beginning or the end of a call, but for the ends of the stream's own methods,
    behind which their caller has the result; and but for generator expressions, since Python drops
    what is raised while it closes one.
    """
    own = {Stream.feed.__code__, Stream.annotate.__code__, Stream._feed.__code__}
    here = sys._getframe().f_code
    steps = 0

    def step(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        code = frame.f_code
        if code is here or code.co_name == "<genexpr>" or (event == "return" and code in own):
            return
        steps += 1
        if steps == number:
            raise KeyboardInterrupt

    sys.setprofile(step)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.parametrize("method", ["feed", "annotate"])
def test_ctrl_c_leaves_the_stream_as_it_was(method: str, tmp_path: Path) -> None:
    network = make_network()
    network.config = replace(network.config, normalization="nfc")
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    decoder = Decoder.open(tmp_path)
    whole = decoder.decode("az\u0307b")
    number, came = 0, True
    while came:
        number += 1
        stream = decoder.stream()
        output = stream.feed("az")
        came = interrupted(partial(getattr(stream, method), "\u0307b"), number)
        if came:
            assert output + stream.feed("\u0307b", final=True) == whole, number
    assert number > 30


# The command: each character is answered as it arrives, and each line is a text of its own.


@contextmanager
def streaming(*arguments: object) -> Iterator[tuple[IO[bytes], IO[bytes], subprocess.Popen[bytes]]]:
    """Start `hello-infer --stream`; yield its input, its output, and the process."""
    with subprocess.Popen(
        [INFER, "--stream", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdin, process.stdout, process
        finally:
            process.kill()


def test_each_character_is_answered_before_the_next_is_there() -> None:
    with streaming() as (given, answered, process):
        for char, answer in zip("hello\nhello", "ohlol\nohlol", strict=True):
            given.write(char.encode())
            assert answered.read(1) == answer.encode()
        given.close()
        assert answered.read() == b""
        assert process.wait() == 0


def test_a_character_whose_bytes_arrive_apart(tmp_path: Path) -> None:
    open_model(tmp_path)
    with streaming("--model", tmp_path, "--unknown", "copy") as (given, answered, _):
        first, *rest = "🦀".encode()
        given.write(bytes([first]))
        given.write(bytes(rest))
        assert os.read(answered.fileno(), 9) == "🦀".encode()


def test_a_stream_says_what_the_lines_say(tmp_path: Path, run: Run) -> None:
    open_model(tmp_path)
    strange = STRANGE.replace("\ud800", "")
    text = f"ab\r\n\r\n\r\r\na\rb\n{strange}\n\nab\r"
    options = ("--model", tmp_path, "--unknown", "copy")
    streamed = run("hello-infer", "--stream", *options, stdin=text)
    assert streamed.returncode == 0, streamed.stderr
    (tmp_path / "in.txt").write_bytes(text.encode())
    run("hello-infer", *options, "--input", "in.txt", "--output", "out.txt")
    assert streamed.stdout.encode() == (tmp_path / "out.txt").read_bytes()
    assert len(streamed.stdout) == len(text)


def test_what_is_wrong_in_a_stream_has_its_place(run: Run) -> None:
    result = run("hello-infer", "--stream", stdin="hello\nhel?o\n")
    assert (result.returncode, result.stdout) == (1, "ohlol\n")
    assert "standard input, line 2: '?' (U+003F), character 4" in result.stderr
    result = run("hello-infer", "--stream", stdin=b"hello\nhel\xff\n")
    assert (result.returncode, result.stdout) == (1, "")
    assert "standard input, line 2: the byte 0xff is not UTF-8" in result.stderr
    assert "line 1: the byte 0xc3" in run("hello-infer", "--stream", stdin=b"\xc3").stderr


def test_an_interrupted_stream_ends_in_one_line() -> None:
    with streaming() as (given, answered, process):
        given.write(b"he")
        assert answered.read(2) == b"oh"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 1
        assert process.stderr
        assert process.stderr.read().strip() == b"Aborted!"


@pytest.mark.parametrize("arguments", [["hello"], ["--input", "f"], ["--json"], ["--info"]])
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    result = run("hello-infer", "--stream", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--stream reads the standard input" in result.stderr or "--info" in result.stderr
