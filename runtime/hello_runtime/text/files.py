"""Files: gzip is unpacked when they are read, and they are written whole or not at all.

A file or folder is written under the hidden name `.NAME.RANDOM.hello-rnn` and then renamed. Its
writer locks it (flock(2)), and the system unlocks it when the process ends in any way. A file with
such a name and no lock was left by a killed process; the next writer in the folder removes it.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from hello_runtime.errors import OutputError, reason

try:
    import fcntl
except ImportError:  # Windows: no file is locked, and none removed
    fcntl = None  # type: ignore[assignment]

READ_SIZE = 1 << 20
"""Bytes of one read, at most. A pipe gives the bytes that have arrived."""
GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file."""
UNFINISHED = re.compile(r"\..*\.[0-9a-f]{16}\.hello-rnn", re.DOTALL)
"""The name of an unfinished file or folder."""
NAME_BYTES = 200
"""Bytes of NAME in the name of an unfinished file, at most; file systems allow 255 in all."""
PERMISSIONS = 0o777


class PutBack(io.RawIOBase):
    """A stream, after bytes that were already read from it."""

    def __init__(self, start: bytes, stream: io.RawIOBase) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into a buffer; return the number of bytes."""
        if not self._start:
            return self._stream.readinto(buffer)
        view = memoryview(buffer)
        part = self._start[: len(view)]
        view[: len(part)] = part
        self._start = self._start[len(part) :]
        return len(part)


@contextmanager
def open_unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file or pipe to read its bytes; gzip is unpacked.

    Raises:
        OSError: it cannot be read or is damaged; reading raises it too.
    """
    # Imported here: `hello-infer --input` does not need them.
    import zlib
    from gzip import BadGzipFile, GzipFile

    stream: io.BufferedReader[Any]
    with path.open("rb", buffering=0) as file:
        start = b""
        # A pipe may give a single byte.
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
    """Open a file for writing; it appears under its name once it is complete and on the disk.

    It keeps the permissions of the file that it replaces. A link is followed.

    Raises:
        OSError: the file cannot be written; an older one is unchanged.
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


def write_whole(path: Path, content: bytes, error: type[Exception] = OutputError) -> None:
    """Write a file whole or not at all; make its folder first.

    Raises:
        error: it cannot be written; what was there before is there still.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_whole(path) as stream:
            stream.write(content)
    except OSError as refused:
        raise error(f"cannot write {path}: {reason(refused)}") from refused


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Make a hidden folder beside a path; it is removed at the end, with its content.

    Raises:
        OSError: it cannot be made.
    """
    with beside(target, partial(Path.mkdir, mode=0o700)) as folder:
        yield folder


@contextmanager
def beside(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Make a hidden file or folder beside a path; it is removed at the end if it still exists.

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
                if unfinished.exists():  # otherwise another process removed it before it was locked
                    yield unfinished
                    return
        finally:
            with suppress(OSError):
                remove(unfinished)


def clear(folder: Path) -> None:
    """Remove unfinished files of killed processes from a folder; errors are ignored."""
    with suppress(OSError):
        for path in folder.iterdir():
            if UNFINISHED.fullmatch(path.name):
                with suppress(OSError), locked(path, wait=False) as held:
                    if held:
                        remove(path)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a file or folder; yield whether that worked, because some file systems have no locks."""
    with ExitStack() as stack:
        held = False
        if fcntl:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held = True
        yield held


def read_regular(file: Path, most: int) -> bytes:
    """Return the content of a file that may be a stranger's: a pipe or a device may have no end.

    Raises:
        OSError: it cannot be read, is not a regular file, or has more than `most` bytes.
    """
    with open(file, "rb", opener=open_at_once) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file; write it again")
        if status.st_size > most:
            raise OSError(f"it is larger than {most} bytes; write it again")
        return stream.read(status.st_size)  # Python allocates as much as it is asked for


def open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting; opening a pipe would wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_utf8(path: Path) -> bool:
    """Tell whether a path is UTF-8; most libraries that are not written in Python open no other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        from shutil import rmtree  # late: it imports every compressor, and decoding needs none

        rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy_permissions(source: Path, target: Path) -> None:
    """Give a file or folder the permissions of another, if that is there."""
    with suppress(OSError):  # there is no other, or the disk has no permissions
        target.chmod(source.stat().st_mode & PERMISSIONS)
