"""Files that may be a stranger's: read only if they are plain files of a size that can be held."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hello_runtime.errors import reason

from hello_export.errors import ArtifactError

LARGEST = 2**31 - 1
"""Bytes; what a protobuf message may have, and so a model."""
LARGEST_MANIFEST = 2**26
"""Bytes; a manifest holds the guard, of perhaps a few thousand characters."""


def read_plain(file: Path, most: int = LARGEST) -> bytes:
    """Return the content of a file of an artifact, which has at most so many bytes.

    Raises:
        ArtifactError: it is missing, a link, a pipe or a device, too large, or cannot be read.
    """
    if file.is_symlink():
        raise ArtifactError(
            f"{file}: it is a link, and an artifact holds its files itself; copy it with cp -rL"
        )
    try:
        # A pipe that nobody writes into is opened and seen to be one, and not waited for.
        with open(file, "rb", opener=without_waiting) as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ArtifactError(f"{file}: it is no plain file; export the run again")
            if status.st_size > most:
                raise ArtifactError(
                    f"{file}: it has {status.st_size} bytes, and in an artifact at most {most}; "
                    f"export the run again"
                )
            return content.read(most)
    except OSError as error:
        raise ArtifactError(f"{file}: {reason(error)}") from error


def without_waiting(path: str, flags: int) -> int:
    """Open a file so that a pipe does not wait for its other end, where the system can."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
