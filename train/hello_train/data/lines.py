"""The lines of a training: read from files, each once, and split into training and held-out lines.

All lines are in one buffer of UTF-8, and become pairs only when they are asked for. So a gigabyte
of text takes about a gigabyte of memory, whatever the alphabet.

If every line has as many characters in its target as in its input, they belong together one for
one. Otherwise all lines are aligned (`hello_runtime.text.alignment`), and the buffer has a byte
more for each character of the inputs: the length of its piece of the target.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from hello_runtime.errors import AlignmentError, InputError
from hello_runtime.text.alignment import piece_lengths
from hello_runtime.text.lines import NormalLines
from hello_runtime.text.pairs import Aligned, AnyPair, Pair
from numpy.typing import NDArray

from hello_train.data.sources import SEED_IT, SHOWN, Source, checksum
from hello_train.errors import DataError

MOST_HELD_OUT = 20_000
"""Lines that are held out, at most: more of them take longer and tell no more."""
DIGEST_BYTES = 8
"""Of the digest by which equal lines are found. Two different ones of 10 million lines have the
same digest once in four hundred thousand trainings."""


class Pieces(NamedTuple):
    """How the target of each line is cut into pieces."""

    lengths: bytearray
    """Length of the piece of each input character, of all lines in order."""
    ends: NDArray[np.uint64]
    """Where each line ends in `lengths`, [lines]."""


class Buffer(NamedTuple):
    """All lines of a training."""

    text: bytearray
    """The lines in UTF-8, without separators."""
    ends: NDArray[np.uint64]
    """Where each line ends in `text`, [lines]."""
    lengths: NDArray[np.uint16]
    """Characters of the input of each line, [lines]."""
    pair: Callable[[str], Pair]
    """Returns the pair of a line."""
    checksums: NDArray[np.uint32] | None
    """Of the pair that each line made when it was read; None if pairs are not compared."""
    pieces: Pieces | None = None
    """None if each character of a target belongs to one of the input."""

    def line(self, row: int) -> AnyPair:
        """Return the pair of a line.

        Raises:
            DataError: it is not what it was when the line was read.
        """
        start = int(self.ends[row - 1]) if row else 0
        pair = self.pair(self.text[start : int(self.ends[row])].decode())
        if self.checksums is not None and checksum(pair) != self.checksums[row]:
            raise DataError(
                f"the corruption made {pair.input[:SHOWN]!r} of {pair.target[:SHOWN]!r}, and "
                f"something else when the line was read; {SEED_IT}"
            )
        if self.pieces is None:
            return pair
        end = int(self.pieces.ends[row])
        return Aligned(*pair, bytes(self.pieces.lengths[end - len(pair.input) : end]))


class Lines(Sequence[AnyPair]):
    """Some of the lines of a buffer; each becomes a pair when it is asked for."""

    def __init__(self, buffer: Buffer, rows: NDArray[np.uint32]) -> None:
        """Keep a reference to the buffer, and the numbers of the lines, [rows]."""
        self._buffer = buffer
        self._rows = rows

    @property
    def lengths(self) -> NDArray[np.uint16]:
        """Characters of the input of each line, [rows]."""
        return self._buffer.lengths[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> AnyPair: ...
    @overload
    def __getitem__(self, index: slice) -> Lines: ...
    def __getitem__(self, index: int | slice) -> AnyPair | Lines:
        if isinstance(index, slice):
            return Lines(self._buffer, self._rows[index])
        return self._buffer.line(int(self._rows[index]))


class Split(NamedTuple):
    """Training lines and held-out lines; no line is in both."""

    train: Sequence[AnyPair]
    holdout: Sequence[AnyPair]
    fingerprint: str = ""
    """A digest of all lines in order, and of which are held out; in hexadecimal."""
    read: int = 0
    """Lines that were read."""
    normalised: int = 0
    """Lines that were not in the normal form."""
    skipped: int = 0
    """Lines that could not be aligned."""


class Reader:
    """Collects the lines of files in a buffer."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = bytearray()
        self._ends = array("Q")
        self._lengths = array("H")
        self._digests = bytearray()
        self._checksums = array("I")
        self._files: list[tuple[int, Path]] = []
        self._numbers = array("I")
        self._is_one_for_one = True
        self.read_lines = 0
        self.normalised = 0
        self.unaligned = 0
        self._first_unaligned = ""

    def __len__(self) -> int:
        return len(self._ends)

    def read(self, path: Path) -> None:
        """Read the lines of a file.

        Raises:
            DataError: the file is empty, or a line makes no pair.
            InputError: the file cannot be read.
        """
        source = self._source
        self._files.append((len(self), path))
        lines = NormalLines(path, source.form, source.longest)
        for number, line in source.join(lines) if source.join else lines:
            try:
                for part in source.parts(line):
                    self._add(part, source.checked_pair(part), number)
            except AlignmentError as error:
                self._count_unaligned(f"{path}, line {number}: {error}")
            except (DataError, InputError) as error:
                raise DataError(f"{path}, line {number}: {error}") from error
        self.read_lines += lines.count
        self.normalised += lines.changed
        if not lines.count:
            raise DataError(f"{path}: the file is empty; it must hold at least one line of text")

    def _add(self, line: str, pair: Pair, number: int) -> None:
        if not pair.input:
            if pair.target and self._source.is_rewritten:
                raise AlignmentError("the input is empty, and the target is not")
            return
        if self._source.is_checked:
            self._checksums.append(checksum(pair))
        encoded = line.encode()
        self._text += encoded
        self._ends.append(len(self._text))
        self._lengths.append(len(pair.input))
        self._numbers.append(number)
        self._digests += blake2b(encoded, digest_size=DIGEST_BYTES).digest()
        self._is_one_for_one = self._is_one_for_one and len(pair.input) == len(pair.target)

    def _different(self) -> NDArray[np.uint32]:
        """Return the numbers of the lines in order, of equal lines only the first."""
        _, first = np.unique(np.frombuffer(self._digests, np.uint64), return_index=True)
        return np.sort(first.astype(np.uint32))

    def align(self) -> tuple[Buffer, NDArray[np.uint32]]:
        """Return all lines, aligned if need be, and the numbers of the different ones.

        Those that cannot be aligned are counted and left out.
        """
        checksums = np.array(self._checksums, np.uint32) if self._source.is_checked else None
        ends, lengths = np.array(self._ends, np.uint64), np.array(self._lengths, np.uint16)
        buffer = Buffer(self._text, ends, lengths, self._source.pair, checksums)
        rows = self._different()
        if self._is_one_for_one or not self._source.is_rewritten:
            return buffer, rows
        pieces, sizes = bytearray(), np.zeros(len(self), np.uint64)
        for row in rows.tolist():
            given, target, *_ = buffer.line(row)
            try:
                pieces += piece_lengths(given, target)
            except AlignmentError as error:
                self._count_unaligned(f"{self._place(row)}: {error}")
            else:
                sizes[row] = len(given)
        return buffer._replace(pieces=Pieces(pieces, np.cumsum(sizes))), rows[sizes[rows] > 0]

    def _count_unaligned(self, message: str) -> None:
        self._first_unaligned = self._first_unaligned or message
        self.unaligned += 1

    def check_aligned(self) -> None:
        """Raise a DataError with the first line that could not be aligned, if there is one."""
        if self.unaligned:
            more = self.unaligned - 1
            others = f" ({more} more {'line' if more == 1 else 'lines'} cannot be aligned)"
            raise DataError(
                f"{self._first_unaligned}{others if more else ''}; make the two sides more alike, "
                f"or leave such lines out with --skip-unaligned"
            )

    def _place(self, row: int) -> str:
        path = next(path for first, path in reversed(self._files) if first <= row)
        return f"{path}, line {self._numbers[row]}"

    def fingerprint(self, rows: NDArray[np.uint32]) -> str:
        """Return a digest of all lines, and of the numbers of some; in hexadecimal."""
        digest = blake2b(self._digests, digest_size=DIGEST_BYTES)
        digest.update(rows.tobytes())
        return digest.hexdigest()


def read(
    source: Source,
    paths: Sequence[Path],
    extra: Sequence[Path],
    holdout: float,
    seed: int,
    *,
    skip_unaligned: bool = False,
) -> Split:
    """Read the lines of files, each once, and hold out a share of them.

    Args:
        source: how lines become pairs.
        paths: files and folders.
        extra: more of them, of which nothing is held out; a line that is in `paths` too is not
            taken from here.
        holdout: the share to hold out, 0 to less than 1; `MOST_HELD_OUT` lines at most.
        seed: of the choice.
        skip_unaligned: whether lines that cannot be aligned are left out.

    Raises:
        DataError: a file has no lines of this kind, a line cannot be aligned, or the split leaves
            one side empty.
        InputError: a file cannot be read.
    """
    reader = Reader(source)
    for path in find_files(paths):
        reader.read(path)
    shared = len(reader)
    for path in find_files(extra):
        reader.read(path)
    buffer, rows = reader.align()
    if not skip_unaligned:
        reader.check_aligned()
    own = np.random.default_rng(seed).permutation(rows[rows < shared])
    if not len(own):
        raise DataError(f"{', '.join(map(str, paths))}: there is no line to learn")
    kept = min(round(holdout * len(own)), MOST_HELD_OUT)
    check_holdout(holdout, kept, len(own), source.units)
    held_out = own[:kept]  # in no order, so that the first ones are a sample of all
    train = np.concatenate([np.sort(own[kept:]), rows[rows >= shared]])
    return Split(
        Lines(buffer, train),
        Lines(buffer, held_out),
        reader.fingerprint(held_out),
        reader.read_lines,
        reader.normalised,
        reader.unaligned,
    )


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the named files, and those below the named folders in order of names.

    Of a folder, hidden files and folders and empty files are left out.

    Raises:
        DataError: a folder has no other files.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and file.stat().st_size
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        if not found:
            raise DataError(f"{path}: there are no files with text in this folder; name another")
        yield from found


def check_holdout(holdout: float, kept: int, lines: int, units: str = "lines") -> None:
    """Raise a DataError unless a split leaves lines, or other `units`, on both sides."""
    if kept == lines:
        raise DataError(
            f"holding out {holdout:g} of {lines} different {units} leaves none to learn; give more "
            f"of them or a smaller --holdout"
        )
    if holdout and not kept:
        raise DataError(
            f"holding out {holdout:g} of {lines} different {units} leaves none to evaluate on; "
            f"give more of them, a larger --holdout, or --holdout 0"
        )
