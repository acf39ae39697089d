"""Aligned lines: read from files, each once, and split into those to learn and those held out."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from hello_runtime.errors import reason
from hello_runtime.text.files import write_whole
from numpy.typing import NDArray

from hello_train.data.corruption import CORRUPTIONS, Corruption, corrupt
from hello_train.data.text_files import find_files, read_lines
from hello_train.errors import DataError

WHOLE = 4096
"""Characters of a line, at most; the parts of a longer one are lines of their own."""
MOST_HELD_OUT = 20_000
"""Lines that are held out, at most: to judge by more only takes longer."""
DIGEST_BYTES = 8
"""By which equal lines are known: among 10 million lines two different ones would be taken for
equal once in four hundred thousand times."""
SHOWN = 40
"""Characters that an error shows around a difference."""
SEED_IT = (
    "it must make the same of a line each time; let what is random come from random.Random(line)"
)


class Pair(NamedTuple):
    """One line: what the network reads and what it shall write, of equal length in characters."""

    input: str
    target: str


class Source(NamedTuple):
    """How the lines of files are understood."""

    pair: Callable[[str], Pair]
    """Makes a pair of a line; raises DataError where it cannot."""
    parts: Callable[[str], Iterable[str]]
    """Makes lines of at most `WHOLE` characters of one."""
    most: int
    """Characters that are read of a line at once; -1 for the whole line."""
    is_checked: bool = False
    """Whether `pair` may make something else of a line another time, so that it is watched."""


def text_source(corruption: Corruption) -> Source:
    """Return how lines of text are understood: as targets, whose inputs a corruption makes.

    Inputs are not kept but made again whenever a line is asked for. Of a corruption that is not
    ours nobody knows that it makes the same ones, so each is compared.
    """
    is_ours = any(corruption is known for known in CORRUPTIONS.values())
    return Source(
        lambda line: Pair(*corrupt(line, corruption)),
        lambda line: (line,),
        WHOLE,
        is_checked=not is_ours,
    )


def parse_pair(line: str) -> Pair:
    """Return the pair of a line `input TAB target`.

    Raises:
        DataError: it has no tab or more than one, or its two sides differ in length.
    """
    sides = line.split("\t")
    if len(sides) != 2:
        raise DataError(f"{len(sides) - 1} tabs; write input, one tab, target")
    pair = Pair(*sides)
    if len(pair.input) != len(pair.target):
        raise DataError(
            f"the input has {len(pair.input)} characters and the target {len(pair.target)}; they "
            f"must be aligned one for one"
        )
    return pair


def pair_parts(line: str) -> Iterator[str]:
    """Yield the parts of a line `input TAB target`."""
    pair = parse_pair(line)
    for start in range(0, len(pair.input), WHOLE):
        part = slice(start, start + WHOLE)
        yield f"{pair.input[part]}\t{pair.target[part]}"


PAIRS = Source(parse_pair, pair_parts, -1)
"""Lines `input TAB target`."""


class Lines(Sequence[Pair]):
    """Lines in one buffer of UTF-8, each made a pair when it is asked for.

    So a gigabyte of text takes about a gigabyte, whatever the alphabet.
    """

    def __init__(
        self,
        text: bytearray,
        ends: NDArray[np.uint64],
        lengths: NDArray[np.uint16],
        pair: Callable[[str], Pair],
        rows: NDArray[np.uint32],
        checksums: NDArray[np.uint32] | None = None,
    ) -> None:
        """Look at some of the lines of a buffer.

        Args:
            text: lines, one behind the other.
            ends: where each ends, [lines].
            lengths: their characters, [lines].
            pair: makes a pair of a line.
            rows: which of them these are, [rows].
            checksums: of the pair that each made when it was read, [lines]; None not to compare.
        """
        self._text = text
        self._ends = ends
        self._lengths = lengths
        self._pair = pair
        self._rows = rows
        self._checksums = checksums

    @property
    def lengths(self) -> NDArray[np.uint16]:
        """The characters of each line, [rows]."""
        return self._lengths[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Lines: ...
    def __getitem__(self, index: int | slice) -> Pair | Lines:
        if isinstance(index, slice):
            rows = self._rows[index]
            return Lines(self._text, self._ends, self._lengths, self._pair, rows, self._checksums)
        row = int(self._rows[index])
        start = int(self._ends[row - 1]) if row else 0
        pair = self._pair(self._text[start : int(self._ends[row])].decode())
        if self._checksums is not None and checksum(pair) != self._checksums[row]:
            raise DataError(
                f"the corruption made {pair.input[:SHOWN]!r} of {pair.target[:SHOWN]!r}, and "
                f"something else when the line was read; {SEED_IT}"
            )
        return pair


class Split(NamedTuple):
    """Lines to learn from and lines held out to judge by; no line is in both."""

    train: Sequence[Pair]
    holdout: Sequence[Pair]
    fingerprint: str = ""
    """Of all the lines, in order, and of which are held out; in hexadecimal."""


class Reader:
    """Collects the lines of files."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = bytearray()
        self._ends = array("Q")
        self._lengths = array("H")
        self._digests = bytearray()
        self._checksums = array("I")

    def __len__(self) -> int:
        return len(self._ends)

    def read(self, path: Path) -> None:
        """Read the lines of a file; each must make a pair.

        Raises:
            DataError: one does not, or the file cannot be read.
        """
        for number, line in read_lines(path, self._source.most):
            try:
                for part in self._source.parts(line):
                    self._add(part, self._pair(part))
            except DataError as error:
                raise DataError(f"{path}, line {number}: {error}") from error

    def _pair(self, line: str) -> Pair:
        pair = self._source.pair(line)
        if self._source.is_checked and (again := self._source.pair(line)) != pair:
            raise DataError(f"the corruption made {difference(pair, again)}; {SEED_IT}")
        return pair

    def _add(self, line: str, pair: Pair) -> None:
        if not pair.input:
            return
        if self._source.is_checked:
            self._checksums.append(checksum(pair))
        encoded = line.encode()
        self._text += encoded
        self._ends.append(len(self._text))
        self._lengths.append(len(pair.input))
        self._digests += blake2b(encoded, digest_size=DIGEST_BYTES).digest()

    def different(self) -> NDArray[np.uint32]:
        """Return the numbers of the lines, in order, without those that came before."""
        _, first = np.unique(np.frombuffer(self._digests, np.uint64), return_index=True)
        return np.sort(first.astype(np.uint32))

    def lines(self, rows: NDArray[np.uint32]) -> Lines:
        """Return some of the lines."""
        ends = np.frombuffer(self._ends, np.uint64)
        lengths = np.frombuffer(self._lengths, np.uint16)
        checksums = np.frombuffer(self._checksums, np.uint32) if self._checksums else None
        return Lines(self._text, ends, lengths, self._source.pair, rows, checksums)

    def fingerprint(self, rows: NDArray[np.uint32]) -> str:
        """Return a digest of all the lines, and of some that are set apart."""
        digest = blake2b(self._digests, digest_size=DIGEST_BYTES)
        digest.update(rows.tobytes())
        return digest.hexdigest()


def checksum(pair: Pair) -> int:
    """Return a checksum of a pair, of 32 bits."""
    return zlib.crc32(f"{pair.input}\t{pair.target}".encode("utf-8", "surrogatepass"))


def difference(one: Pair, other: Pair) -> str:
    """Return where two pairs begin to differ, in words."""
    first, second = (
        (one.input, other.input) if one.input != other.input else (one.target, other.target)
    )
    pairs = enumerate(zip(first, second, strict=False))
    place = next((place for place, (a, b) in pairs if a != b), len(first))
    part = slice(max(0, place - SHOWN // 2), place + SHOWN // 2)
    return f"{first[part]!r} and then {second[part]!r} of one line"


def read(
    source: Source, paths: Sequence[Path], extra: Sequence[Path], holdout: float, seed: int
) -> Split:
    """Read the lines of files, each once, and keep a share of them aside.

    Args:
        source: how they are understood.
        paths: files and folders.
        extra: more of them, of which nothing is held out; a line that is in `paths` too is not
            taken from here.
        holdout: the share to keep aside, 0 to less than 1; `MOST_HELD_OUT` lines at the most.
        seed: of the choice.

    Raises:
        DataError: a file cannot be used, or the split leaves nothing to learn or to judge by.
    """
    reader = Reader(source)
    for path in find_files(paths):
        reader.read(path)
    shared = len(reader)
    for path in find_files(extra):
        reader.read(path)
    if not shared:
        raise DataError(f"{', '.join(map(str, paths))}: there is no line to learn")
    rows = reader.different()
    own = np.random.default_rng(seed).permutation(rows[rows < shared])
    kept = min(round(holdout * len(own)), MOST_HELD_OUT)
    check_holdout(holdout, kept, len(own))
    held_out = own[:kept]  # in no order, so that the first ones are a sample of all
    train = np.concatenate([np.sort(own[kept:]), rows[rows >= shared]])
    return Split(reader.lines(train), reader.lines(held_out), reader.fingerprint(held_out))


def check_holdout(holdout: float, kept: int, lines: int) -> None:
    """Check that a split leaves lines on both sides.

    Raises:
        DataError: it does not.
    """
    if kept == lines:
        raise DataError(
            f"holding out {holdout:g} of {lines} different lines leaves none to learn; give more "
            f"lines or a smaller --holdout"
        )
    if holdout and not kept:
        raise DataError(
            f"holding out {holdout:g} of {lines} different lines leaves none to judge by; give "
            f"more lines, a larger --holdout, or --holdout 0"
        )


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of lines `input TAB target`, each pair once.

    Raises:
        DataError: a line is not such a pair, or the file cannot be read.
    """
    reader = Reader(PAIRS)
    reader.read(path)
    return list(reader.lines(reader.different()))


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write lines as `read_pairs` reads them; the few that it could not read back are left out.

    Raises:
        DataError: the file cannot be written.
    """
    lines = [f"{pair.input}\t{pair.target}\n" for pair in pairs if is_writable(pair)]
    try:
        write_whole(path, "".join(lines).encode())
    except OSError as error:
        raise DataError(f"cannot write {path}: {reason(error)}") from error


def is_writable(pair: Pair) -> bool:
    """Tell whether a line comes back from a file of pairs as it was."""
    return (
        "\t" not in pair.input + pair.target
        and "\n" not in pair.input + pair.target
        and not pair.input.startswith("\ufeff")
        and not pair.target.endswith("\r")
    )
