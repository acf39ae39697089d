"""How well a model does on lines of input, TAB, target, beside the two simplest things to try.

The rows are those that a training ends with, counted here block after block, so that the lines may
be more than fit into memory. `Baseline` is what the training lines say without a network;
hello-export carries it beside the model.
"""

from __future__ import annotations

import json
import re
import stat
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hello_runtime.decoder import Decoder, to_codepoints
from hello_runtime.errors import BaselineError, UnknownCharacterError, first_line, reason
from hello_runtime.model.model_file import ModelInfo
from hello_runtime.text.files import open_unpacked
from hello_runtime.text.lines import Block, InputError, read_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    """[3]: of characters, of words that count, of lines."""
    Spans = Sequence[tuple[int, int]]
    """Where parts of a text start and end."""

BASELINE_NAME = "baseline.json"
"""The baseline's name, beside the model."""
BASELINE_VERSION = 1
"""The newest format of it that this runtime reads."""
BASELINE_BYTES = 1 << 28
"""More than any has: words of 20 million characters and as many of their targets."""

DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading JSON of another shape than expected may raise."""

TAB = "\t"
WORD = re.compile(r"\w+")
LINE = re.compile(r"[^\n]+")
GUESS = "most frequent target"
ROWS = ("no change", GUESS, "model")
"""What is compared."""


class Baseline(NamedTuple):
    """What the training lines say without a network."""

    words: Mapping[str, str]
    """The most frequent target of each word, of those words that mostly change."""
    changeable: frozenset[str]
    """The characters that are not always written as they are read: a word with one counts."""

    def rewrite(self, text: str) -> str:
        """Give every word its most frequent target, and leave the rest as it is."""
        words = self.words
        return WORD.sub(lambda word: words.get(word.group(), word.group()), text)


class Score(NamedTuple):
    """Shares of what came out right, each from 0 to 1, and the counts that they are shares of."""

    characters: float
    words: float | None
    """Of the words that count; None where there is none."""
    lines: float
    """Of the lines that are right from end to end."""
    character_count: int
    word_count: int
    line_count: int


class Pairs(NamedTuple):
    """Some lines of a file, the empty ones left out."""

    inputs: list[str]
    targets: list[str]
    numbers: list[int]
    """Of each line in its file, counted from 1."""


def read_baseline(file: Path) -> Baseline:
    """Return the baseline that a file holds.

    Raises:
        BaselineError: it cannot be read, is damaged, or of a newer format.
    """
    try:
        content = json.loads(read_regular(file))
        version = int(content["format_version"])
        if version > BASELINE_VERSION:
            raise BaselineError(
                f"{file}: written in format {version}, and this hello-rnn reads up to format "
                f"{BASELINE_VERSION}; run: pip install --upgrade hello-rnn"
            )
        words, changeable = content["words"], content["changeable"]
        if not isinstance(changeable, str):
            raise ValueError("changeable is not a text")
        for word, target in words.items():
            if not isinstance(target, str) or len(word) != len(target):
                raise ValueError(f"{target!r} is no target for {word!r}")
    except OSError as error:
        raise BaselineError(f"cannot read {file}: {reason(error)}") from error
    except DAMAGE as error:
        raise BaselineError(
            f"{file}: damaged baseline ({first_line(error)}); export the run again"
        ) from error
    return Baseline(words, frozenset(changeable))


def read_regular(file: Path) -> str:
    """Return the text of a file that is no pipe or device, which may have no end.

    Raises:
        BaselineError: it is one, or too large.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BaselineError(f"{file}: not a regular file; export the run again")
    if status.st_size > BASELINE_BYTES:
        raise BaselineError(f"{file}: larger than hello-train writes it; export the run again")
    with file.open("rb") as stream:
        return stream.read(status.st_size).decode()


def read_pairs(path: Path) -> Iterator[Pairs]:
    """Yield the lines of a file, plain or compressed with gzip, in blocks of a megabyte or so.

    Raises:
        InputError: the file is missing, unreadable or damaged, or a line is not UTF-8, has no tab
            or more than one, or two sides that differ in length.
    """
    try:
        with open_unpacked(path) as stream:
            yield from map(pairs_of, read_stream(stream, f"{path}, line"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error


def pairs_of(block: Block) -> Pairs:
    """Return the two sides of lines.

    A byte order mark at the start of a file is no text, nor is a CR at its end, where no LF is.

    Raises:
        InputError: a line has no tab or more than one, or two sides that differ in length.
    """
    pairs = Pairs([], [], [])
    for index, (text, end) in enumerate(zip(block.texts, block.ends, strict=True)):
        number = block.first + index
        line = text.removeprefix("\ufeff") if number == 1 else text
        line = line if end else line.removesuffix("\r")
        if not line:
            continue
        if line.count(TAB) != 1:
            raise InputError(
                f"{block.place(index)}: {line.count(TAB)} tabs; write input, one tab, target"
            )
        read, _, target = line.partition(TAB)
        if len(read) != len(target):
            raise InputError(
                f"{block.place(index)}: the input has {len(read)} characters and the target "
                f"{len(target)}; they must be aligned one for one"
            )
        if read:
            pairs.inputs.append(read)
            pairs.targets.append(target)
            pairs.numbers.append(number)
    return pairs


def guarded(info: ModelInfo) -> frozenset[str] | None:
    """Return the characters that a model's guard lets change; None where it has no guard.

    They are the baseline's changeable ones, for a guard is made of the same training lines.
    """
    if info.guard is None:
        return None
    return frozenset(char for char, outputs in info.guard.items() if outputs != char)


class Tally:
    """Counts what came out right of the lines that it is given, and keeps none of them."""

    def __init__(self, baseline: Baseline | None, changeable: frozenset[str] | None) -> None:
        """Start from nothing; without changeable characters every word counts."""
        self._baseline = baseline
        self._changeable = changeable
        self._wrong = {name: np.zeros(3, np.int64) for name in ROWS}
        self.total: Counts = np.zeros(3, np.int64)

    def add(self, pairs: Pairs, outputs: Sequence[str]) -> None:
        """Count lines, and what a model made of their inputs."""
        read, target, output = map("\n".join, (pairs.inputs, pairs.targets, outputs))
        words = [word.span() for word in WORD.finditer(read) if self._counts(word.group())]
        lines = [line.span() for line in LINE.finditer(read)]
        self.total += sum(map(len, pairs.inputs)), len(words), len(lines)
        guess = self._baseline.rewrite(read) if self._baseline else read
        for name, text in zip(ROWS, (read, guess, output), strict=True):
            self._wrong[name] += count_wrong(text, target, words, lines)

    def _counts(self, word: str) -> bool:
        return self._changeable is None or not self._changeable.isdisjoint(word)

    def scores(self) -> dict[str, Score | None]:
        """Return the rows; without a baseline there are no most frequent targets."""
        rows: dict[str, Score | None] = {}
        for name, wrong in self._wrong.items():
            characters, words, lines = (self.total - wrong).tolist()
            counts = self.total.tolist()
            share = words / counts[1] if counts[1] else None
            rows[name] = Score(characters / counts[0], share, lines / counts[2], *counts)
        return rows if self._baseline else {**rows, GUESS: None}


def count_wrong(text: str, target: str, words: Spans, lines: Spans) -> Counts:
    """Count the characters that differ from the target's, and the words and lines with such."""
    differs = to_codepoints(text) != to_codepoints(target)
    before = np.concatenate([[0], np.cumsum(differs, dtype=np.int32)])  # how many, [characters + 1]
    in_words, in_lines = (
        np.count_nonzero(np.diff(before[np.array(spans, np.intp).reshape(-1, 2)]))
        for spans in (words, lines)
    )
    return np.array([before[-1], in_words, in_lines])


def compare(decoder: Decoder, path: Path, baseline: Baseline | None) -> dict[str, Score | None]:
    """Score, on the lines of a file: no change, the most frequent targets, and the model.

    Without a baseline the second row is None, and the words that count are those that the model's
    guard lets change, or all.

    Raises:
        InputError: the file holds no line or cannot be read, or a line is no pair, or has a
            character that is unknown to a model that copies none.
        EngineError: onnxruntime failed.
    """
    tally = Tally(baseline, baseline.changeable if baseline else guarded(decoder.info))
    reading: deque[Pairs] = deque()

    def inputs() -> Iterator[list[str]]:
        for pairs in read_pairs(path):
            reading.append(pairs)
            yield pairs.inputs

    try:
        with closing(decoder.decode_batches(inputs())) as batches:
            for outputs in batches:
                tally.add(reading.popleft(), outputs)
    except UnknownCharacterError as error:
        number = reading[-1].numbers[error.index]
        raise InputError(f"{path}, line {number}: {error}") from error
    if not tally.total[0]:
        raise InputError(f"{path}: the file is empty; it must hold lines of input, tab, target")
    return tally.scores()


def table(rows: Mapping[str, Score | None]) -> str:
    """Return the scores as a table for people, percentages with two decimals."""
    line = "{:<20}  {:>10}  {:>10}  {:>11}".format
    lines = [line("scored lines", "characters", "words", "exact lines")]
    for name, row in rows.items():
        shares = row[:3] if row else [None] * 3
        lines.append(line(name, *("-" if share is None else f"{share:.2%}" for share in shares)))
    counts = next(row[3:] for row in rows.values() if row)
    return "\n".join([*lines, line("of", *counts)])
