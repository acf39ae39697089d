"""Lack of memory as an error that names the options to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hello_train.errors import FitError

NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate",
    "DefaultCPUAllocator: not enough memory: you tried to allocate",
    "MPS backend out of memory",
)
"""The words of those PyTorch allocators that raise a plain RuntimeError: c10/core/impl/
alloc_cpu.cpp (the second on Windows) and aten/src/ATen/mps/MPSAllocator.mm."""


@contextmanager
def memory_named(options: str) -> Iterator[None]:
    """Turn a lack of memory into an error that names the options to lower.

    Raises:
        FitError: memory was lacking in the context.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise FitError(
            f"the network and a batch do not fit into memory; use a smaller {options}"
        ) from error


def is_lack_of_memory(error: Exception) -> bool:
    """Return whether an allocation failed."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        text in str(error) for text in NO_MEMORY
    )
