"""How texts reach the engine: which share a call, what is read ahead, what is not run again."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hello_runtime import Decoder, UnknownCharacterError
from hello_runtime.engine import batching
from hello_runtime.engine.batching import batched, run_ahead
from hello_runtime.engine.blocks import BLOCKS_ON_CPU, BlockSize, block_size
from hello_runtime.engine.devices import CPU, CUDA
from hello_runtime.engine.rows import NO_CONFIDENCE, Annotation
from hello_runtime.engine.windows import OVERLAP, WINDOW, windows
from hello_runtime.engine.workers import Workers
from helpers import open_model, random_texts


class Engine:
    """Writes texts in capitals, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def run(self, texts: Sequence[str]) -> Iterator[list[Annotation]]:
        self.calls.append(list(texts))
        yield [Annotation(text.upper(), NO_CONFIDENCE) for text in texts]

    def ran(self) -> list[str]:
        return sorted(text for call in self.calls for text in call)


def run(engine: Engine, batches: Sequence[Sequence[str]], *, windowed: bool = False) -> list[str]:
    found = run_ahead(engine.run, batches, 2, BLOCKS_ON_CPU, windowed=windowed)
    return [row.text for rows in found for row in rows]


# Which texts share a call.


SIZES = [BLOCKS_ON_CPU, block_size(CUDA)]


@pytest.mark.parametrize("size", SIZES, ids=["CPU", "CUDA"])
def test_batches_are_filled_and_small(size: BlockSize) -> None:
    source = random.Random(0)
    texts = ["x" * source.choice([1, 3, 30, 60, 200, 800, 4000]) for _ in range(3000)]
    groups = list(batched(texts, size))
    assert Counter(chain.from_iterable(groups)) == Counter(texts)
    for group in groups:
        assert len(group) <= size.rows
        if len(group) > size.enough:
            assert len(group) * len(group[0]) <= size.characters
            assert len(group[-1]) >= batching.MIN_FILLED * len(group[0])
    padded = sum(len(group) * len(group[0]) for group in groups)
    assert padded < 1.1 * sum(map(len, texts))


def test_full_blocks_have_the_rows_that_the_engine_multiplies_at_once() -> None:
    rows = [BLOCKS_ON_CPU.rows_of(longest) for longest in (1, 65, 100, 130, 200, 4096, 10**7)]
    assert rows == [24, 18, 12, 6, 6, 6, 6]
    texts = ["x" * 100] * 30
    assert list(map(len, batched(texts, BLOCKS_ON_CPU))) == [12, 12, 6]


def test_a_device_has_its_block_size() -> None:
    assert block_size(CPU) == block_size("OpenVINOExecutionProvider (CPU)") == BLOCKS_ON_CPU
    assert block_size(CUDA).rows_of(100) > 10 * BLOCKS_ON_CPU.rows_of(100)
    assert Decoder.open(threads=1)._block_size == BLOCKS_ON_CPU


def test_few_lines_share_a_call_however_they_differ() -> None:
    assert list(map(len, batched(["x" * 900, "y", "z" * 30], BLOCKS_ON_CPU))) == [3]
    assert list(batched([], BLOCKS_ON_CPU)) == []


# Windows.


@pytest.mark.parametrize("length", [4097, 5000, 5 * WINDOW, 5 * WINDOW + 2 * OVERLAP, 9999])
def test_windows_make_up_the_text_and_have_context(length: int) -> None:
    text = "".join(random.Random(0).choices("abcdefgh", k=length))
    found = windows(text)
    wanted = [(window.start + window.first, window.start + window.last) for window in found]
    assert wanted[0][0] == 0
    assert wanted[-1][1] == length
    assert all(before[1] == after[0] for before, after in pairwise(wanted))
    for window in found:
        assert len(window.read()) == len(window) <= WINDOW
        assert window.start == 0 or window.first >= OVERLAP
        assert window.stop == length or len(window) - window.last >= OVERLAP


def test_long_lines_are_put_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LONGEST_ROW", 2000)
    texts = ["short", *random_texts(3, 9000, seed=1), "\ud800\udc00" * 3000, "", "a" * 2000]
    engine = Engine()
    assert run(engine, [texts], windowed=True) == [text.upper() for text in texts]
    assert max(map(len, engine.ran())) == 2000


# What is read ahead.


def test_one_batch_is_read_ahead_and_the_order_kept() -> None:
    engine = Engine()
    read = []

    def batches() -> Iterator[list[str]]:
        for number in range(5):
            read.append(number)
            yield [f"{number}b", f"{number}aaa"]

    found = run_ahead(engine.run, batches(), 2, BLOCKS_ON_CPU, windowed=False)
    assert read == []
    for number, rows in enumerate(found):
        assert [row.text for row in rows] == [f"{number}B", f"{number}AAA"]
        assert read[-1] == min(number + 1, 4)


def test_a_lone_text_is_run_at_once_and_between_others_in_its_turn() -> None:
    engine = Engine()
    read: list[str] = []

    def batches() -> Iterator[list[str]]:
        for texts in (["a"], ["b"], ["a"], ["c", "d"], ["e"], ["f" * 5000], ["a"]):
            read.append(texts[0])
            yield texts

    found = run_ahead(engine.run, batches(), 2, BLOCKS_ON_CPU, windowed=True)
    assert [("".join(row.text for row in rows)[:2], read[-1][0]) for rows in found] == [
        ("A", "a"), ("B", "b"), ("A", "a"), ("CD", "e"), ("E", "e"), ("FF", "a"), ("A", "a"),
    ]  # fmt: skip
    assert engine.ran().count("a") == 1


def test_a_text_is_run_once() -> None:
    engine = Engine()
    texts = ["b", "a", "", "b"]
    assert run(engine, [texts, ["c", "a", "b"], texts]) == [*"BA", "", *"BCABBA", "", "B"]
    assert engine.ran() == ["a", "b", "c"]


def test_what_was_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "REMEMBERED", 10)
    engine = Engine()
    batches = [["a"], ["b" * 6], ["c" * 7], ["a", "c" * 7]]
    assert run(engine, batches) == ["A", "B" * 6, "C" * 7, "A", "C" * 7]
    assert engine.ran().count("a") == 2
    assert engine.ran().count("c" * 7) == 1


def test_a_text_counts_once_for_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "REMEMBERED", 10)
    engine = Engine()
    run(engine, [["a"], *[["b" * 6]] * 5, ["a"]])
    assert engine.ran() == ["a", "b" * 6]


def test_a_batch_costs_the_same_however_much_is_remembered() -> None:
    class Text(str):
        """A text that counts how often its length is asked for."""

        asked = 0
        __slots__ = ()

        def __len__(self) -> int:
            Text.asked += 1
            return super().__len__()

    def asked(count: int) -> int:
        Text.asked = 0
        run(Engine(), [[Text(number)] for number in range(count)])
        return Text.asked

    assert asked(400) < 3 * asked(200)


def test_an_error_comes_through_and_nothing_more_is_started(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, unknown="error")
    found = decoder.decode_batches([["ab"], ["a", "b"], ["ab", "a?"], ["ab"]])
    assert list(map(len, next(found))) == [2]
    with pytest.raises(UnknownCharacterError) as caught:
        list(found)
    assert caught.value.index == 1


def test_leaving_early_stops_a_long_line() -> None:
    """Who stops waiting, as on Ctrl-C, does not wait for the rest of what is at work."""
    begun, left = threading.Event(), threading.Event()
    parts = []

    def endless(texts: Sequence[str]) -> Iterator[list[Annotation]]:
        while True:
            parts.append(len(texts))
            begun.set()
            left.wait(0.01)
            yield [Annotation(text, NO_CONFIDENCE) for text in texts]

    def batches() -> Iterator[list[str]]:
        yield ["x" * 100] * 2 + ["y"] * 2 + [str(number) for number in range(99)]
        begun.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_ahead(endless, batches(), 2, BLOCKS_ON_CPU, windowed=False))
    count = len(parts)
    left.wait(0.1)
    assert len(parts) == count


def test_workers_drop_what_has_not_begun() -> None:
    done: list[int] = []
    hold = threading.Event()

    def work(number: int) -> None:
        hold.wait(0.05)
        done.append(number)

    with Workers(1) as workers:
        workers.start(work, range(100))
    assert len(done) < 100


def test_one_piece_of_work_needs_no_thread() -> None:
    with Workers(4) as workers:
        (result,) = workers.start(lambda _: threading.current_thread(), [None])
        assert result() is threading.main_thread()
        others = workers.start(lambda _: threading.current_thread(), [None] * 3)
        assert all(other() is not threading.main_thread() for other in others)


def test_confidences_are_put_together_too(tmp_path: Path) -> None:
    decoder = open_model(tmp_path, bidirectional=True)
    (text,) = random_texts(1, 9000, seed=1)
    (annotation,) = decoder.annotate_batch([text])
    assert annotation.confidence.shape == (len(text),) == (len(annotation.text),)
    assert annotation.confidence.dtype == np.float32


def test_an_interrupt_at_any_step_lets_go() -> None:
    """Ctrl-C may come between any two steps; wherever it does, the run ends.

    Each step of a run is interrupted once, in a thread of its own: one that waits for ever is left
    behind. A trace stands for the signal, which could not be timed.
    """

    batches = [[char * size for char in chars for size in (1, 9)] for chars in ("abcd", "efgh")]

    def interrupt_at(step: int) -> bool:
        """Run with an interrupt at one of the steps; return whether there was such a step."""
        left = step

        def trace(*_: object) -> Callable[..., Any]:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            return trace

        def interrupted() -> None:
            sys.settrace(trace)
            try:
                for _ in run_ahead(Engine().run, batches, 2, BLOCKS_ON_CPU, windowed=False):
                    pass
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(None)

        thread = threading.Thread(target=interrupted, daemon=True)
        thread.start()
        thread.join(timeout=10)
        assert not thread.is_alive(), f"it hangs after an interrupt at step {step}"
        return left <= 0

    steps = 0
    while interrupt_at(steps + 1):
        steps += 1
    assert steps > 100
