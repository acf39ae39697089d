"""Tells what a folder or file is, for the error of a command that wanted another one."""

from __future__ import annotations

import codecs
from contextlib import suppress
from pathlib import Path

ARTIFACT = "an artifact of hello-export"
PROJECT = "the project of a package"
RUN = "a run of hello-train"
FOLDERS = {
    ("hello-export.json",): PROJECT,
    ("checkpoint.safetensors", "manifest.json"): ARTIFACT,
    ("checkpoint.safetensors",): RUN,
}
"""What a folder is that has all these files; the first entry that fits decides."""
ONNX = "an ONNX model"
TEXT = "a text file"
WHEEL = "a wheel"
ARCHIVES = {".whl": WHEEL, ".npz": "a file of numpy arrays"}
"""Zip archives that are known by the suffix of their name."""
START = 1024
"""Bytes of a file that tell what it is."""


def kind_of(path: Path) -> str | None:
    """Return what a folder or file is, in words; None if that is not known.

    >>> kind_of(Path(__file__)), kind_of(Path(__file__).parent)
    ('a text file', None)
    """
    if path.is_dir():
        held = (kind for names, kind in FOLDERS.items() if all((path / n).is_file() for n in names))
        return next(held, None)
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as stream:
                return kind_of_content(stream.read(START), path.suffix)
    return None


def kind_of_content(start: bytes, suffix: str) -> str | None:
    """Return what a file is, by its first bytes and the suffix of its name; see `kind_of`."""
    if start[8:9] == b"{" and start[4:8] == bytes(4):  # behind the length of the header
        return "a file of safetensors"
    if start.startswith(b"PK\3\4"):
        return ARCHIVES.get(suffix, "a zip archive, as PyTorch writes them")
    if start.startswith(b"\x08"):  # the tag of its IR version
        return ONNX
    with suppress(UnicodeDecodeError):
        text = codecs.getincrementaldecoder("utf-8")().decode(start.removeprefix(codecs.BOM_UTF8))
        if text and all(char.isprintable() or char.isspace() for char in text):
            return TEXT
    return None
