"""Decodes a column of a table, for engines that run one function on many machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.decoder import Decoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.model_file import Unknown

Columns = dict[str, "NDArray[Any]"]


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
            column: the name of the column to decode, an array of `str`; a missing value, which is
                None or pandas' NaN, becomes None.
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
        self._options = {"provider": provider, "threads": threads, "unknown": unknown}
        self._model = model
        self._decoder = Decoder.open(model, provider, threads, unknown=unknown)

    def __call__(self, batch: Columns) -> Columns:
        """Return the columns of a batch, [rows] each, and the decoded one, [rows] of `str`.

        Raises:
            KeyError: there is no such column.
            TypeError: a value of it is neither a text nor missing.
            UnknownCharacterError: a character is unknown, and the model copies none.
            EngineError: onnxruntime failed.
        """
        if self._column not in batch:
            raise KeyError(f"there is no column {self._column!r}; there are {', '.join(batch)}")
        values = list(batch[self._column])
        for row, value in enumerate(values):
            if not (isinstance(value, str) or is_missing(value)):
                raise TypeError(
                    f"row {row} of column {self._column!r} is {value!r}, neither a text nor None"
                )
        decoded = iter(self._decoder.decode_batch(v for v in values if isinstance(v, str)))
        rows = [next(decoded) if isinstance(value, str) else None for value in values]
        column = np.empty(len(rows), object)
        column[:] = rows
        return {**batch, self._output: column}

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the arguments, since an open model cannot."""
        return _reopened, (self._model, self._column, self._output, self._options)


def is_missing(value: object) -> bool:
    """Tell whether a value stands for none: NaN alone is not equal to itself."""
    return value is None or (isinstance(value, float) and value != value)


def _reopened(
    model: str | Path | None, column: str, output: str, options: dict[str, Any]
) -> DecodeColumn:
    return DecodeColumn(model, column, output, **options)
