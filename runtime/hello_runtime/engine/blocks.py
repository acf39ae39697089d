"""How many texts share an engine call, by the device."""

from __future__ import annotations

from typing import NamedTuple


class BlockSize(NamedTuple):
    """The size of the blocks of rows in which a device reads texts."""

    enough: int
    """A block may have this many rows whatever their length; a larger one has a multiple of it."""
    rows: int
    """Rows, at most."""
    characters: int
    """Characters with the padding, at most, of a block with more than enough rows."""

    def rows_of(self, longest: int) -> int:
        """Return how many rows may share a call.

        >>> [BLOCKS_ON_CPU.rows_of(longest) for longest in (10, 100, 4096)]
        [24, 12, 6]

        Args:
            longest: the characters of the longest one, at least 1.
        """
        fitting = self.characters // longest // self.enough * self.enough
        return max(self.enough, min(self.rows, fitting))


BLOCKS_ON_CPU = BlockSize(enough=6, rows=24, characters=1536)
"""onnxruntime's kernels multiply 6 rows at a time, or 12: 8 rows take nearly as long as 12. The
gates of 1536 characters fit into the cache of a core; blocks of 3072 took 6 to 18 % longer."""
BLOCKS = {"CUDAExecutionProvider": BlockSize(enough=64, rows=512, characters=1 << 17)}
"""By onnxruntime's provider, where they are not the CPU's. A GPU starts as many kernels for a step
of one row as for one of many. This size is no result: `tests/benchmarks/gpu.py` compares some."""


def block_size(provider: str) -> BlockSize:
    """Return the size of blocks for an onnxruntime provider.

    >>> block_size("CPUExecutionProvider") == BLOCKS_ON_CPU
    True
    """
    return BLOCKS.get(provider, BLOCKS_ON_CPU)
