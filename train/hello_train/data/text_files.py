"""Files of lines, plain or gzip, named one by one or by their folder, read a line at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedReader, TextIOWrapper
from pathlib import Path

from hello_runtime.errors import reason
from hello_runtime.text.files import open_unpacked

from hello_train.errors import DataError

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
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error
    if not found:
        raise DataError(f"{path}: the file is empty; it must hold at least one line of text")


def as_text(stream: BufferedReader) -> TextIOWrapper:
    """Read bytes as UTF-8; a line ends at LF and nowhere else."""
    return TextIOWrapper(stream, encoding="utf-8", newline="\n")


def bad_byte(path: Path) -> str:
    """Return where the first byte is that is not UTF-8, and what to do.

    The file is read again for it: who decodes it in large pieces does not know the line. A pipe
    cannot be.
    """
    with suppress(OSError):  # one that is damaged further on
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
