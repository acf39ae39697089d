"""Aligned lines: read from files, split into training and held-out, and what they allow."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hello_train.corruption import Corruption, corrupt
from hello_train.errors import DataError
from hello_train.files import write_whole


class Pair(NamedTuple):
    """One line: what the network reads and what it shall write, of equal length in characters."""

    input: str
    target: str


class Split(NamedTuple):
    """Lines to learn from and lines kept aside to judge by; no line is in both."""

    train: list[Pair]
    holdout: list[Pair]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line that is not empty with its number, counted from 1.

    A line ends at LF; a CR before it and a byte order mark at the start of the file are not text.

    Raises:
        DataError: the file is missing, unreadable, empty or not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise DataError(f"{path}: the file is empty; it must hold at least one line of text")
    for number, raw in enumerate(content.split(b"\n"), start=1):
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: byte {error.start + 1} (0x{raw[error.start]:02x}) is not "
                f"UTF-8; convert the file, for instance with iconv -t UTF-8"
            ) from error
        if line:
            yield number, line


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of lines `input TAB target`, each pair once.

    Raises:
        DataError: a line has no tab or more than one, or its two sides differ in length; or the
            file cannot be read.
    """
    pairs: dict[Pair, None] = {}
    for number, line in read_lines(path):
        sides = line.split("\t")
        if len(sides) != 2:
            raise DataError(
                f"{path}, line {number}: {len(sides) - 1} tabs; write input, one tab, target"
            )
        pair = Pair(*sides)
        if len(pair.input) != len(pair.target):
            raise DataError(
                f"{path}, line {number}: the input has {len(pair.input)} characters and the "
                f"target {len(pair.target)}; they must be aligned one for one"
            )
        if pair.input:
            pairs[pair] = None
    return list(pairs)


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write lines as `read_pairs` reads them; the few that it could not read back are left out.

    Raises:
        DataError: the file cannot be written.
    """
    lines = [f"{pair.input}\t{pair.target}\n" for pair in pairs if is_writable(pair)]
    try:
        write_whole(path, "".join(lines).encode())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error


def is_writable(pair: Pair) -> bool:
    """Tell whether a line comes back from a file of pairs as it was."""
    return (
        "\t" not in pair.input + pair.target
        and "\n" not in pair.input + pair.target
        and not pair.input.startswith("\ufeff")
        and not pair.target.endswith("\r")
        and not pair.input.isspace()
    )


def read_text(path: Path, corruption: Corruption) -> list[Pair]:
    """Read target lines from a file and make their inputs, each line once.

    Raises:
        DataError: the file cannot be read, or the corruption changes none of its characters.
    """
    targets = dict.fromkeys(line for _, line in read_lines(path))
    pairs = [Pair(corrupt(target, corruption), target) for target in targets]
    if all(pair.input == pair.target for pair in pairs):
        raise DataError(
            f"{path}: the corruption changes no character of it, so there is nothing to learn; "
            f"is it the right text, and in composed form (NFC)?"
        )
    return pairs


def split(pairs: Sequence[Pair], holdout: float, seed: int) -> Split:
    """Shuffle the lines and keep a share of them aside.

    Args:
        pairs: the lines, each once.
        holdout: the share to keep aside, 0 to less than 1; at least one line if it is not 0.
        seed: of the shuffle.

    Raises:
        DataError: a single line is to be split.
    """
    shuffled = list(pairs)
    random.Random(seed).shuffle(shuffled)
    if holdout == 0:
        return Split(shuffled, [])
    if len(pairs) == 1:
        raise DataError("a single line cannot be split; give more lines or use --holdout 0")
    kept = min(max(1, round(holdout * len(pairs))), len(pairs) - 1)
    return Split(shuffled[kept:], shuffled[:kept])


def substitutions(pairs: Iterable[Pair]) -> dict[str, str]:
    """Return for each input character, in order, the target characters seen in its place."""
    seen = {
        substitution for pair in pairs for substitution in zip(pair.input, pair.target, strict=True)
    }
    outputs: dict[str, str] = {}
    for input_char, target_char in sorted(seen):
        outputs[input_char] = outputs.get(input_char, "") + target_char
    return outputs
