"""Puts a finished folder in place of an old one: an artifact's, or that of a project."""

from __future__ import annotations

import ctypes
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

from hello_runtime.text.baseline import BASELINE_NAME
from hello_runtime.text.files import copy_permissions, is_utf8, sync

from hello_export.errors import ArtifactError, ExportError
from hello_export.manifest import CONTENT, MANIFEST_NAME, stored_weights

OURS = frozenset({*CONTENT, BASELINE_NAME, MANIFEST_NAME})
"""Every name that an artifact may hold."""
STRAY_FILES = (
    ".DS_Store", "._*", "Thumbs.db", "desktop.ini", ".directory",
    "*~", "#*#", ".*.sw[a-p]", ".~lock.*#",
)  # fmt: skip
"""Names of the files that desktops and editors add to a folder."""


def check_replaceable(folder: Path) -> None:
    """Raise an ArtifactError unless a path is free, or holds an artifact and nothing else."""
    if not is_folder(folder, ArtifactError):
        return
    held = [path for path in folder.iterdir() if not is_stray(path)]
    others = {path.name for path in held if path.name not in OURS or not path.is_file()}
    if stored_weights(folder) is None:  # no artifact; a run has a checkpoint too
        others |= {path.name for path in held}
    if others:
        raise ArtifactError(
            f"cannot write {folder}: it holds {min(others)!r} and is no artifact; name another "
            f"folder with --output"
        )


def is_folder(folder: Path, error: type[ExportError]) -> bool:
    """Tell whether a path is a folder; otherwise it is free.

    Raises:
        error: it is something else, or its name is none for our files.
    """
    if not is_utf8(folder):
        raise error(
            f"cannot write {folder}: onnxruntime and PyTorch open no name that is not UTF-8; name "
            f"another folder with --output"
        )
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise error(
            f"cannot write {folder}: it is a file, not a folder; name another with --output"
        )
    return True


def is_stray(path: Path) -> bool:
    """Tell whether a file is one that desktops or editors add to a folder."""
    matches = any(fnmatch(path.name, pattern) for pattern in STRAY_FILES)
    return matches and path.is_file() and not path.is_symlink()


def put_in_place(unfinished: Path, folder: Path) -> None:
    """Rename a finished folder to its place; the old one moves to the unfinished one's parent.

    Stray files are kept, and the new folder and files get the permissions of the old ones.
    """
    if folder.exists():
        for path in filter(is_stray, folder.rglob("*")):
            kept = unfinished / path.relative_to(folder)
            if kept.parent.is_dir():
                shutil.copy2(path, kept)
    for path in unfinished.rglob("*"):
        if path.is_file():
            sync(path)
        copy_permissions(folder / path.relative_to(unfinished), path)
    copy_permissions(folder, unfinished)
    if not folder.exists():
        unfinished.rename(folder)
    elif not exchange(unfinished, folder):
        old = unfinished.with_name("old")
        folder.rename(old)
        try:
            unfinished.rename(folder)
        except OSError:
            old.rename(folder)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, if the system can; return whether it did.

    Uses Linux's renameat2(2) with RENAME_EXCHANGE: at no time is one of the names missing.
    """
    current_directory, rename_exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = renameat2(
        current_directory,
        os.fsencode(one.absolute()),
        current_directory,
        os.fsencode(other.absolute()),
        rename_exchange,
    )
    return done == 0
