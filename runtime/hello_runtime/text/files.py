"""Files that are read whether they are gzip or not, and written whole or not at all.

What is written is a hidden file or folder beside its place until it is finished, named
`.NAME.RANDOM.hello-rnn`. Its writer holds a lock on it (flock(2)), which the system drops when the
process ends, however it does. So what has the name and no lock was left by a process that was
killed, and whoever writes in the same folder next removes it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing removed
    fcntl = None  # type: ignore[assignment]

READ_SIZE = 1 << 20
"""Bytes that are read at a time, at most; of a pipe, what has arrived."""
GZIP = b"\x1f\x8b"
"""What a file that is compressed with gzip starts with."""
UNFINISHED = re.compile(r"\..*\.[0-9a-f]{16}\.hello-rnn", re.DOTALL)
"""The names of what is not finished."""
NAME_BYTES = 200
"""Of the name of what is written, in the name of the unfinished; a name has 255 at most."""
PERMISSIONS = 0o777


class PutBack(io.RawIOBase):
    """A stream, with bytes that were read from it put back in front."""

    def __init__(self, start: bytes, stream: io.RawIOBase) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is into a buffer; return how many bytes it is."""
        if not self._start:
            return self._stream.readinto(buffer)
        view = memoryview(buffer)
        part = self._start[: len(view)]
        view[: len(part)] = part
        self._start = self._start[len(part) :]
        return len(part)


@contextmanager
def open_unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file, or a pipe, to read its bytes, unpacked where it is gzip.

    Raises:
        OSError: it cannot be read, or is damaged; what is read raises it too.
    """
    stream: io.BufferedReader[Any]
    with path.open("rb", buffering=0) as file:
        start = b""
        # A pipe gives what has arrived, which may be a single byte.
        while len(start) < len(GZIP) and (more := file.read(len(GZIP) - len(start))):
            start += more
        stream = io.BufferedReader(PutBack(start, file), READ_SIZE)
        if start == GZIP:
            stream = io.BufferedReader(GzipFile(fileobj=stream), READ_SIZE)
        try:
            yield stream
        except (EOFError, zlib.error, BadGzipFile) as error:
            raise OSError(f"damaged gzip: {error}") from error


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write that takes its place only when all of it is written, and on the disk.

    It keeps the permissions of the file that it replaces. A link is followed.

    Raises:
        OSError: it cannot be written; what was there before is there still.
    """
    target = Path(os.path.realpath(path))
    with beside(target, partial(Path.touch, exist_ok=False)) as unfinished:
        with unfinished.open("wb") as stream:
            copy_permissions(target, unfinished)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(target)


def sync(file: Path) -> None:
    """Wait until a file is on the disk.

    Raises:
        OSError: it cannot get there.
    """
    with file.open("r+b") as stream:
        os.fsync(stream.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; make its folder first.

    Raises:
        OSError: it cannot be written; what was there before is there still.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(path) as stream:
        stream.write(content)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Make a hidden folder beside a place; at the end it is removed, with all that is in it.

    Raises:
        OSError: it cannot be made.
    """
    with beside(target, partial(Path.mkdir, mode=0o700)) as folder:
        yield folder


@contextmanager
def beside(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Make a hidden file or folder beside a place; at the end it is removed, if it is still there.

    Raises:
        OSError: it cannot be made.
    """
    clear(target.parent)
    name = os.fsencode(target.name)[:NAME_BYTES].decode(errors="ignore")
    while True:
        unfinished = target.with_name(f".{name}.{os.urandom(8).hex()}.hello-rnn")
        try:
            make(unfinished)
            with locked(unfinished, wait=True):
                if unfinished.exists():  # else another process took it for left, before the lock
                    yield unfinished
                    return
        finally:
            with suppress(OSError):
                remove(unfinished)


def clear(folder: Path) -> None:
    """Remove what processes that were killed left unfinished in a folder, as far as it can be."""
    with suppress(OSError):
        for path in folder.iterdir():
            if UNFINISHED.fullmatch(path.name):
                with suppress(OSError), locked(path, wait=False) as held:
                    if held:
                        remove(path)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a file or folder; tell whether it is held, for not every disk has locks."""
    with ExitStack() as stack:
        held = False
        if fcntl:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held = True
        yield held


def is_utf8(path: Path) -> bool:
    """Tell whether a path is UTF-8, without which few libraries that are not Python's open it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy_permissions(source: Path, target: Path) -> None:
    """Give a file or folder the permissions of another, if that is there."""
    with suppress(OSError):  # there is no other, or the disk has no permissions
        target.chmod(source.stat().st_mode & PERMISSIONS)
