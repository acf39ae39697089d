"""Lack of memory as an error that names the options to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hello_runtime.errors import lacks_memory

from hello_train.errors import FitError


@contextmanager
def memory_named(options: str) -> Iterator[None]:
    """Turn a lack of memory into a FitError that names the options to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise FitError(
            f"the network and a batch do not fit into memory; use a smaller {options}"
        ) from error
