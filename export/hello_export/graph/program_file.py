"""Compiles a module to the file of a TorchScript program, and reads such a file back.

With one version of PyTorch, equal networks give equal files, byte for byte. So a file can be
compared with the one that its checkpoint makes, without opening it. Three things would differ from
process to process without changing what a program computes, and are made equal: numbers that
PyTorch adds to the names of classes compiled before, the order of constants, and the path and line
of each function's source.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.jit import _recursive, _state

NOT_EXECUTED = (".debug_pkl", "/.data/serialization_id")
"""Endings of the archive's members that are left out; PyTorch loads it without them."""
CONSTANTS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)
"""The constants of a class, in the archive's source code."""


def compiled(module: nn.Module) -> bytes:
    """Return a module's program as the bytes of a file."""
    content = io.BytesIO()
    with deprecation_accepted(), nothing_compiled():
        torch.jit.save(torch.jit.script(module), content)
    return canonical(content)


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Empty PyTorch's list of compiled classes within this context, so that no name has a number.

    The list is restored afterwards. PyTorch has no public way to do this.
    """
    unit, types = _state._python_cu, _recursive.concrete_type_store
    _state._python_cu = torch._C.CompilationUnit()
    _recursive._python_cu = _state._python_cu  # type: ignore[attr-defined]
    _recursive.concrete_type_store = _recursive.ConcreteTypeStore()
    try:
        yield
    finally:
        _state._python_cu = unit
        _recursive._python_cu = unit  # type: ignore[attr-defined]
        _recursive.concrete_type_store = types


def canonical(archive: io.BytesIO) -> bytes:
    """Return a program's archive in a form that is the same for equal networks."""
    content = io.BytesIO()
    with zipfile.ZipFile(archive) as given, zipfile.ZipFile(content, "w") as made:
        for name in given.namelist():
            if name.endswith(NOT_EXECUTED):
                continue
            member = given.read(name)
            if name.endswith(".py"):
                member = CONSTANTS.sub(sorted_lines, member)
            info = zipfile.ZipInfo(name)  # dated 1980, as in PyTorch's archives
            info.create_system = 3  # Unix, wherever it is written
            made.writestr(info, member)
    return content.getvalue()


def sorted_lines(found: re.Match[bytes]) -> bytes:
    """Return the matched lines in alphabetical order."""
    return b"".join(sorted(found[0].splitlines(keepends=True)))


def load_program(path: Path) -> torch.jit.ScriptModule:
    """Read a program back."""
    with deprecation_accepted():
        return torch.jit.load(str(path))  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def deprecation_accepted() -> Iterator[None]:
    """Ignore TorchScript's DeprecationWarning within this context."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
