"""The lines of a training: read from files, each once, and split into training and held-out lines.

All lines are in one buffer of UTF-8, and become pairs only when they are asked for. So a gigabyte
of text takes about a gigabyte of memory, whatever the alphabet.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from hello_runtime.errors import InputError
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_runtime.text.lines import read_lines
from hello_runtime.text.pairs import TAB, Pair, parse_pair
from numpy.typing import NDArray

from hello_train.data.corruption import CORRUPTIONS, Corruption, corrupt
from hello_train.errors import DataError

MOST_HELD_OUT = 20_000
"""Lines that are held out, at most: more of them take longer and tell no more."""
DIGEST_BYTES = 8
"""Of the digest by which equal lines are found. Two different ones of 10 million lines have the
same digest once in four hundred thousand trainings."""
SHOWN = 40
"""Characters that an error shows around a difference."""
SEED_IT = (
    "it must make the same of a line each time; let what is random come from random.Random(line)"
)


class Source(NamedTuple):
    """How the lines of files become pairs."""

    pair: Callable[[str], Pair]
    """Returns the pair of a line; raises DataError or InputError if there is none."""
    parts: Callable[[str], Iterable[str]]
    """Cuts a line into lines of at most `LONGEST_ROW` characters."""
    longest: int | None
    """Characters of a line that are read at once; None for the whole line."""
    is_checked: bool = False
    """Whether each call of `pair` is compared with the first one for the same line."""
    read: Callable[[Path], Iterable[tuple[int, str]]] | None = None
    """Yields the lines of a file with their numbers; None for `read_lines`."""


def text_source(corruption: Corruption) -> Source:
    """Return the source for lines of text: they are targets, and a corruption makes their inputs.

    The corruption is called whenever a line is used. A user's own may give another input than
    before, so its pairs are compared.
    """
    is_ours = any(corruption is known for known in CORRUPTIONS.values())
    return Source(
        lambda line: Pair(*corrupt(line, corruption)),
        lambda line: (line,),
        LONGEST_ROW,
        is_checked=not is_ours,
    )


def pair_parts(line: str) -> Iterator[str]:
    """Yield the parts of a line `input TAB target`."""
    pair = parse_pair(line)
    for start in range(0, len(pair.input), LONGEST_ROW):
        part = slice(start, start + LONGEST_ROW)
        yield f"{pair.input[part]}{TAB}{pair.target[part]}"


PAIRS = Source(parse_pair, pair_parts, None)
"""The source for lines `input TAB target`."""


class Lines(Sequence[Pair]):
    """Some of the lines of a buffer; each becomes a pair when it is asked for."""

    def __init__(
        self,
        text: bytearray,
        ends: NDArray[np.uint64],
        lengths: NDArray[np.uint16],
        pair: Callable[[str], Pair],
        rows: NDArray[np.uint32],
        checksums: NDArray[np.uint32] | None = None,
    ) -> None:
        """Keep references to a buffer, and copy nothing.

        Args:
            text: the lines in UTF-8, without separators.
            ends: where each line ends in `text`, [lines].
            lengths: characters of each line, [lines].
            pair: returns the pair of a line.
            rows: the numbers of the lines that this object has, [rows].
            checksums: of the pair that each line made when it was read, [lines]; None if pairs are
                not compared.
        """
        self._text = text
        self._ends = ends
        self._lengths = lengths
        self._pair = pair
        self._rows = rows
        self._checksums = checksums

    @property
    def lengths(self) -> NDArray[np.uint16]:
        """Characters of each line, [rows]."""
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
    """Training lines and held-out lines; no line is in both."""

    train: Sequence[Pair]
    holdout: Sequence[Pair]
    fingerprint: str = ""
    """A digest of all lines in order, and of which are held out; in hexadecimal."""


class Reader:
    """Collects the lines of files in a buffer."""

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
        """Read the lines of a file.

        Raises:
            DataError: the file is empty, or a line makes no pair.
            InputError: the file cannot be read.
        """
        number = 0
        found = self._source.read
        lines = found(path) if found else read_lines(path, self._source.longest)
        for number, line in lines:
            try:
                for part in self._source.parts(line):
                    self._add(part, self._pair(part))
            except (DataError, InputError) as error:
                raise DataError(f"{path}, line {number}: {error}") from error
        if not number:
            raise DataError(f"{path}: the file is empty; it must hold at least one line of text")

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
        """Return the numbers of the lines in order, of equal lines only the first."""
        _, first = np.unique(np.frombuffer(self._digests, np.uint64), return_index=True)
        return np.sort(first.astype(np.uint32))

    def lines(self, rows: NDArray[np.uint32]) -> Lines:
        """Return the lines with these numbers."""
        ends = np.frombuffer(self._ends, np.uint64)
        lengths = np.frombuffer(self._lengths, np.uint16)
        checksums = np.frombuffer(self._checksums, np.uint32) if self._checksums else None
        return Lines(self._text, ends, lengths, self._source.pair, rows, checksums)

    def fingerprint(self, rows: NDArray[np.uint32]) -> str:
        """Return a digest of all lines, and of the numbers of some; in hexadecimal."""
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
    position = next((position for position, (a, b) in pairs if a != b), len(first))
    part = slice(max(0, position - SHOWN // 2), position + SHOWN // 2)
    return f"{first[part]!r} and then {second[part]!r} of one line"


def read(
    source: Source, paths: Sequence[Path], extra: Sequence[Path], holdout: float, seed: int
) -> Split:
    """Read the lines of files, each once, and hold out a share of them.

    Args:
        source: how lines become pairs.
        paths: files and folders.
        extra: more of them, of which nothing is held out; a line that is in `paths` too is not
            taken from here.
        holdout: the share to hold out, 0 to less than 1; `MOST_HELD_OUT` lines at most.
        seed: of the choice.

    Raises:
        DataError: a file has no lines of this kind, or the split leaves one side empty.
        InputError: a file cannot be read.
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
            f"holding out {holdout:g} of {lines} different lines leaves none to evaluate on; give "
            f"more lines, a larger --holdout, or --holdout 0"
        )
