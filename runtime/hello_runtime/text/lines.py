"""Lines of UTF-8: read in blocks as they arrive or one by one, and written whole or not at all.

A line ends at LF and nowhere else. A CR before the LF belongs to the line's end, not to its text.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hello_runtime.errors import HelloRuntimeError, reason
from hello_runtime.text.files import READ_SIZE, open_unpacked, open_whole

CONVERT = "convert it first, for instance with iconv -t UTF-8"


UTF8_BYTES = 4
"""Bytes of a character in UTF-8, at most."""


class InputError(HelloRuntimeError):
    """Text cannot be read, or is not what was expected."""


class OutputError(HelloRuntimeError):
    """A file or stream cannot be written."""


class Block(NamedTuple):
    """Some lines of a source."""

    texts: list[str]
    ends: list[str]
    """How each line ends: LF, CR LF, or nothing at the end of a file."""
    source: str
    first: int
    """The number of the first line, counted from 1."""
    size: int
    """Bytes, with the ends."""

    def place(self, index: int) -> str:
        """Return the source and the number of a line, for an error."""
        return f"{self.source} {self.first + index}"


def block_of(lines: Sequence[bytes], source: str, first: int = 1, *, end: str = "\n") -> Block:
    """Return raw lines, without the LF that ends them, as text.

    A CR before the LF belongs to the end. A last line of a file that has no LF keeps its CR.

    Raises:
        InputError: a line is not UTF-8.
    """
    texts, ends = [], []
    for number, line in enumerate(lines, first):
        text = line.removesuffix(b"\r") if end else line
        ends.append(end if text == line else "\r" + end)
        try:
            texts.append(text.decode())
        except UnicodeDecodeError as error:
            raise not_utf8(f"{source} {number}", error.start, line[error.start]) from error
    return Block(texts, ends, source, first, sum(map(len, lines)) + len(lines) * len(end))


def not_utf8(place: str, start: int, byte: int) -> InputError:
    """Return the error of a byte, counted from 0 in its line."""
    return InputError(f"{place}: byte {start + 1} (0x{byte:02x}) is not UTF-8; {CONVERT}")


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Turn an error of the system into an `InputError` that names what is read."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read {source}: {reason(error)}") from error


def read_arguments(arguments: Sequence[str]) -> Iterator[Block]:
    """Yield the command line's texts as one block."""
    yield block_of([os.fsencode(argument) for argument in arguments], "argument")


def read_stream(stream: BufferedReader, source: str) -> Iterator[Block]:
    """Yield the lines of a stream, as soon as they are there."""
    first = 1
    unfinished: list[bytes] = []  # pieces of a line whose end has not come yet
    while content := read_some(stream, source):
        head, *tail = content.split(b"\n")
        unfinished.append(head)
        if tail:
            block = block_of([b"".join(unfinished), *tail[:-1]], source, first)
            first += len(block.texts)
            unfinished = [tail[-1]]
            yield block
    rest = [b"".join(unfinished)]
    unfinished.clear()  # a long line is not kept twice
    if rest[0]:
        yield block_of([rest.pop()], source, first, end="")


def read_pieces(stream: BufferedReader, source: str) -> Iterator[str]:
    """Yield the text of a stream, as soon as its characters are there.

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
    """Return what has arrived, nothing only at the end.

    Raises:
        InputError: it cannot be read.
    """
    with reading(source.removesuffix(", line")):
        return stream.read1(READ_SIZE)


def read_file(path: Path) -> Iterator[Block]:
    """Yield the lines of a file.

    Raises:
        InputError: it is missing, empty or unreadable, or a line is not UTF-8.
    """
    with reading(path), path.open("rb") as stream:
        if not stream.peek(1):
            raise InputError(f"{path}: the file is empty; there is nothing to decode")
        yield from read_stream(stream, f"{path}, line")


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
    mark = "\ufeff"
    with reading(path), open_unpacked(path) as stream:
        while True:
            read = stream.readline(size)
            ended = not read or read.endswith(b"\n")
            raw = pending + read
            try:
                text, decoded = codecs.utf_8_decode(raw, "strict", ended)
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
                rest, before, pending = text, before + decoded, raw[decoded:]
                continue
            if text:
                yield number, text
            if not read:
                return
            number, rest, before, pending = number + 1, "", 0, b""


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that takes its place only when all of it is written.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        if path is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif is_open_already(path) or (path.exists() and not path.is_file()):
            # A stream, a pipe or a device: there is nothing to replace.
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
