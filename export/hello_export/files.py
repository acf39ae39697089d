"""Reads the files of an artifact, which may be a stranger's."""

from __future__ import annotations

from pathlib import Path

from hello_runtime.errors import reason
from hello_runtime.text.files import read_regular

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
        return read_regular(file, most)
    except OSError as error:
        raise ArtifactError(f"{file}: {reason(error)}") from error
