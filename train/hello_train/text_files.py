"""Files of lines, plain or gzip, named one by one or by their folder, read a line at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import cast

from hello_train.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
FIX = "convert it, for instance with iconv -t UTF-8"


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that are named, and those below the folders that are, in order of names.

    Of a folder, hidden files and folders and empty files are passed over.

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


def read_lines(path: Path, most: int = -1) -> Iterator[tuple[int, str]]:
    """Yield each line that is not empty with its number, counted from 1.

    A line ends at LF; a CR before it and a byte order mark at the start of the file are not text.

    Args:
        path: a file in UTF-8; gzip is known by its first bytes, whatever the name.
        most: characters of a line at the most; a longer one comes in parts, under one number.

    Raises:
        DataError: the file is missing, unreadable, empty or not UTF-8.
    """
    number, found = 1, False
    held = ""  # a CR that the next LF may make a part of the line's end
    try:
        with open_unpacked(path) as stream, as_text(stream) as text:
            while read := text.readline(most - 1):
                part = held + (read if found or number > 1 else read.removeprefix("\ufeff"))
                ended = part.endswith("\n")
                held = "\r" if part.endswith("\r") else ""
                part = part.removesuffix("\n").removesuffix("\r")
                if part:
                    found = True
                    yield number, part
                number += ended
    except UnicodeDecodeError as error:
        raise DataError(bad_byte(path)) from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: a damaged gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if not found:
        raise DataError(f"{path}: the file is empty; it must hold at least one line of text")


@contextmanager
def open_unpacked(path: Path) -> Iterator[BufferedReader]:
    """Open a file, or a pipe, to read its bytes, unpacked where it is gzip."""
    with path.open("rb") as stream:
        if stream.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            with gzip.open(stream) as unpacked:
                yield cast(BufferedReader, unpacked)
        else:
            yield stream


def as_text(stream: BufferedReader) -> TextIOWrapper:
    """Read bytes as UTF-8; a line ends at LF and nowhere else."""
    return TextIOWrapper(stream, encoding="utf-8", newline="\n")


def bad_byte(path: Path) -> str:
    """Return where the first byte is that is not UTF-8, and what to do.

    The file is read again for it: who decodes it in large pieces does not know the line. A pipe
    cannot be.
    """
    with suppress(EOFError, zlib.error, OSError):  # one that is damaged further on
        for number, line in enumerate_lines(path):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"byte {error.start + 1} (0x{line[error.start]:02x})"
                return f"{path}, line {number}: {byte} is not UTF-8; {FIX}"
    return f"{path}: it is not UTF-8; {FIX}"


def enumerate_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file as bytes, with their numbers, counted from 1; none of a pipe."""
    if path.is_file():
        with open_unpacked(path) as stream:
            yield from enumerate(stream, 1)
