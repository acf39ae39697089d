"""Decodes a column of a table, for engines that run one function on many machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hello_runtime.decoder import Decoder

if TYPE_CHECKING:
    from hello_runtime.model.model_file import Unknown

Columns: TypeAlias = dict[str, Any]
"""Columns by name, each an array of one library or another."""


class DecodeColumn:
    """Takes batches of columns, and gives them back with one more, the decoded one.

    It is the class that Ray Data's `map_batches` takes. The model is opened once for each object.
    An object that is sent to another process opens it there, so every machine needs the file at
    that path.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        column: str = "text",
        output: str = "decoded",
        *,
        provider: str = "cpu",
        threads: int = 1,
        unknown: Unknown | None = None,
    ) -> None:
        """Open the model.

        Args:
            model: an artifact folder or a model file; None for the carried GRU.
            column: the name of the column to decode: an array of `str`, of numpy, pandas, polars or
                pyarrow. A missing value, by whichever of them, becomes None.
            output: the name of the column that is added.
            provider: as `Decoder.open` takes it.
            threads: as `Decoder.open` takes it; 1 is right where there is an object for each CPU.
            unknown: as `Decoder.open` takes it.

        Raises:
            ModelFileError: the file is missing, damaged, not one of ours, or too new.
            ProviderError: the model would not run on that provider.
        """
        self._column = column
        self._output = output
        self._decoder = Decoder.open(model, provider, threads, unknown=unknown)

    def __call__(self, batch: Columns) -> Columns:
        """Return the columns of a batch, [rows] each, and the decoded one, [rows] of `str`.

        Raises:
            KeyError: there is no such column.
            TypeError: it is no column, or a value of it is neither a text nor missing.
            UnknownCharacterError: a character is unknown, and the model copies none.
            EngineError: onnxruntime failed.
        """
        if not hasattr(batch, "keys"):
            raise TypeError(f"a batch is a dict of columns, not a {type(batch).__name__}")
        if self._column not in batch:
            names = ", ".join(map(str, batch))
            raise KeyError(f"there is no column {self._column!r}; there are {names}")
        values = self._read(batch[self._column])
        decoded = iter(self._decoder.decode_batch(v for v in values if v is not None))
        column = np.empty(len(values), object)
        column[:] = [None if value is None else next(decoded) for value in values]
        return {**batch, self._output: column}

    def _read(self, column: Iterable[object]) -> list[str | None]:
        """Return the values of a column, None for those that are missing."""
        if isinstance(column, str):  # its characters are texts, too
            raise TypeError(f"column {self._column!r} is a str; it must be an array of texts")
        values: list[str | None] = []
        for row, item in enumerate(column):
            value = item.as_py() if hasattr(item, "as_py") else item  # of pyarrow
            if isinstance(value, str):
                values.append(value)
            elif is_missing(value):
                values.append(None)
            else:
                raise TypeError(
                    f"row {row} of column {self._column!r} is {shortened(value)}, neither a text "
                    f"nor None"
                )
        return values


def is_missing(value: object) -> bool:
    """Tell whether a value stands for none: None, NaN, NaT, pandas' NA, or numpy's `masked`.

    NaN and NaT are not equal to themselves; NA and `masked` answer a comparison by themselves.
    """
    if value is None:
        return True
    differs = value != value
    return bool(differs) if isinstance(differs, bool | np.bool_) else differs is value
