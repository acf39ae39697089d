"""Reads files that may be a stranger's: regular files of bounded size only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hello_runtime.errors import reason

from hello_export.errors import ArtifactError

LARGEST = 2**31 - 1
"""Bytes; the limit of a protobuf message, and so of a model."""
LARGEST_MANIFEST = 2**26
"""Bytes; far more than a manifest with the largest guard has."""


def read_plain(file: Path, most: int = LARGEST) -> bytes:
    """Return the content of an artifact's file.

    Args:
        file: where it is.
        most: the largest size allowed, in bytes.

    Raises:
        ArtifactError: it is missing, a link, a pipe or a device, too large, or cannot be read.
    """
    if file.is_symlink():
        raise ArtifactError(
            f"{file}: it is a link, and an artifact holds its files itself; copy it with cp -rL"
        )
    try:
        with open(file, "rb", opener=open_at_once) as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ArtifactError(f"{file}: it is not a regular file; export the run again")
            if status.st_size > most:
                raise ArtifactError(
                    f"{file}: it has {status.st_size} bytes, and in an artifact at most {most}; "
                    f"export the run again"
                )
            return content.read(most)
    except OSError as error:
        raise ArtifactError(f"{file}: {reason(error)}") from error


def open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting; opening a pipe would wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
