"""Lines of UTF-8: read in blocks as they arrive or one by one, and written whole or not at all.

A line ends at LF and nowhere else. A CR before the LF belongs to the line's end, not to its text.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from hello_runtime.errors import InputError, OutputError, reason
from hello_runtime.text import memory
from hello_runtime.text.files import READ_SIZE, open_unpacked, open_whole
from hello_runtime.text.long_text import LongText, Text
from hello_runtime.text.normal_forms import NormalForm, Normaliser

CONVERT = "if it is text, convert it first, for instance with iconv -t UTF-8"
BYTE_ORDER_MARK = "\ufeff"
Bytes: TypeAlias = bytes | bytearray
PART = 1 << 16
"""Bytes of a long line that are decoded at once."""
UTF8_BYTES = 4
"""Bytes of a character in UTF-8, at most."""


class Block(NamedTuple):
    """Some lines of a source."""

    texts: list[Text]
    ends: list[str]
    """The end of each line: LF, CR LF, or nothing at the end of a file."""
    source: str
    """What errors call a line of it, in front of its number."""
    first: int
    """The number of the first line, counted from 1."""
    size: int
    """Bytes of the lines and their ends."""

    def place(self, index: int) -> str:
        """Return what an error calls a line."""
        return f"{self.source} {self.first + index}"


def block_of(lines: Sequence[Bytes], source: str, first: int = 1, *, end: str = "\n") -> Block:
    """Return the block of some lines, given in bytes without their LF.

    A CR before the LF belongs to the end. A last line without LF keeps its CR.

    Raises:
        InputError: a line is not UTF-8.
    """
    texts: list[Text] = []
    ends = []
    for number, line in enumerate(lines, first):
        text = line[:-1] if end and line.endswith(b"\r") else line  # no copy of a long line
        ends.append(end if text is line else "\r" + end)
        is_long = len(text) >= memory.LONG_LINE
        try:
            texts.append(LongText(utf8_parts(text)) if is_long else text.decode())
        except UnicodeDecodeError as error:
            raise not_utf8(f"{source} {number}", error.start, line[error.start]) from error
    return Block(texts, ends, source, first, sum(map(len, lines)) + len(lines) * len(end))


def utf8_parts(line: Bytes) -> Iterator[str]:
    """Yield the text of a line in parts.

    Raises:
        UnicodeDecodeError: it is not UTF-8; with the index of the byte in the line.
    """
    start, part = 0, None
    while part is None or len(part) == PART:
        part = line[start : start + PART]
        try:
            text, read = codecs.utf_8_decode(part, "strict", len(part) < PART)
        except UnicodeDecodeError as error:
            error.start += start
            raise
        yield text
        start += read


def not_utf8(place: str, start: int, byte: int) -> InputError:
    """Return the error for a byte; `start` is its index in its line."""
    return InputError(f"{place}: byte {start + 1} (0x{byte:02x}) is not UTF-8; {CONVERT}")


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Raise an error of the system as an `InputError` that names the source."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read {source}: {reason(error)}") from error


def read_arguments(arguments: Sequence[str]) -> Iterator[Block]:
    """Yield the texts of the command line as one block."""
    yield block_of([os.fsencode(argument) for argument in arguments], "argument")


def read_stream(stream: BufferedReader, source: str, factor: int) -> Iterator[Block]:
    """Yield the lines of a stream as soon as they arrive.

    Args:
        stream: what is read.
        source: what errors call a line of it, in front of its number.
        factor: bytes of memory for each byte of a long line.

    Raises:
        InputError: it cannot be read, is not UTF-8, or has a line for which there is no memory.
    """
    first = 1
    unfinished = bytearray()  # of a line whose end has not arrived
    while content := read_some(stream, source):
        head, *tail = content.split(b"\n")
        unfinished += head
        if len(unfinished) >= memory.LONG_LINE:
            memory.check_line(len(unfinished), factor, f"{source} {first}")
        if tail:
            block = block_of([unfinished, *tail[:-1]], source, first)
            unfinished = bytearray(tail[-1])  # now, so that a long line is not kept twice
            first += len(block.texts)
            yield block
    if unfinished:
        block = block_of([unfinished], source, first, end="")
        unfinished.clear()
        yield block


def read_pieces(stream: BufferedReader, source: str) -> Iterator[str]:
    """Yield the text of a stream as soon as its characters arrive.

    Raises:
        InputError: it is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    content = None
    while content != b"":
        content = read_some(stream, source)
        try:
            piece = decoder.decode(content, final=content == b"")
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise InputError(
                f"{source} {line}: the byte 0x{error.object[error.start]:02x} is not UTF-8; "
                f"{CONVERT}"
            ) from error
        line += piece.count("\n")
        if piece:
            yield piece


def read_some(stream: BufferedReader, source: str) -> bytes:
    """Return the bytes that have arrived; none at the end of the stream only.

    Raises:
        InputError: it cannot be read.
    """
    with reading(source.removesuffix(", line")):
        return stream.read1(READ_SIZE)


def read_file(path: Path, factor: int) -> Iterator[Block]:
    """Yield the lines of a file; for `factor` see `read_stream`.

    Raises:
        InputError: it is missing, empty or unreadable, or a line is not UTF-8.
    """
    with reading(path), path.open("rb") as stream:
        if not stream.peek(1):
            raise InputError(f"{path}: the file is empty; there is nothing to decode")
        yield from read_stream(stream, f"{path}, line", factor)


def read_lines(path: Path, longest: int | None = None) -> Iterator[tuple[int, str]]:
    """Yield each line of a file that is not empty, with its number, counted from 1.

    A byte order mark at the start of the file is not text, nor is a CR at its end.

    Args:
        path: a file or a pipe, plain or compressed with gzip.
        longest: characters of a line that are kept in memory; a longer line is yielded in parts of
            this length, under one number. None for whole lines.

    Raises:
        InputError: the file is missing, unreadable or damaged, or a line is not UTF-8.
    """
    size = UTF8_BYTES * longest if longest else -1
    number, rest = 1, ""  # the text of the line that was read and not yielded yet
    before, pending = 0, b""  # bytes of the line that were decoded, and the start of a character
    mark = BYTE_ORDER_MARK
    with reading(path), open_unpacked(path) as stream:
        while True:
            read = stream.readline(size)
            ended = not read or read.endswith(b"\n")
            raw = pending + read
            try:
                text, used = codecs.utf_8_decode(raw, "strict", ended)
            except UnicodeDecodeError as error:
                place = f"{path}, line {number}"
                raise not_utf8(place, before + error.start, raw[error.start]) from error
            text = rest + text.removeprefix(mark)
            mark = ""
            if ended:
                text = text.removesuffix("\n").removesuffix("\r")
            while longest and len(text) > longest:
                yield number, text[:longest]
                text = text[longest:]
            if not ended:
                rest, before, pending = text, before + used, raw[used:]
                continue
            if text:
                yield number, text
            if not read:
                return
            number, rest, before, pending = number + 1, "", 0, b""


class NormalLines:
    """The lines of a file in a normal form, and, once they are read, how many it changed."""

    def __init__(self, path: Path, form: NormalForm, longest: int | None = None) -> None:
        """Prepare to read; for `path` and `longest` see `read_lines`."""
        self._path, self._form, self._longest = path, form, longest
        self.count = 0
        """Lines that were read."""
        self.changed = 0
        """Lines that were not in the normal form."""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield each line with its number, as `read_lines` does; see there for the errors."""
        for number, parts in groupby(read_lines(self._path, self._longest), itemgetter(0)):
            normaliser = Normaliser(self._form)
            settled = normaliser.normalised(part for _, part in parts)
            for part in regrouped(settled, self._longest):
                yield number, part
            self.count = number
            self.changed += normaliser.changed


def regrouped(pieces: Iterable[str], longest: int | None) -> Iterator[str]:
    """Yield the text of some pieces in parts of at most `longest` characters; None for one part."""
    text = ""
    for piece in pieces:
        text += piece
        while longest and len(text) > longest:
            yield text[:longest]
            text = text[longest:]
    yield text


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file, which appears under its name once it is complete.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        if path is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif is_open_already(path) or (path.exists() and not path.is_file()):
            # A stream, pipe or device cannot be replaced by a file.
            with path.open("ab") as stream:
                yield stream
        else:
            with open_whole(path) as stream:
                yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        name = path or "the standard output"
        raise OutputError(f"cannot write {name}: {reason(error)}") from error


def is_open_already(path: Path) -> bool:
    """Tell whether a path names a stream of this process, such as /dev/stdout."""
    return str(path.absolute()).startswith(("/dev/std", "/dev/fd/", "/proc/self/fd/"))
