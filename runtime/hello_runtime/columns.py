"""Decodes a column of a table, for data engines that run a function on many machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hello_runtime.decoder import Decoder

if TYPE_CHECKING:
    from hello_runtime.model.model_file import Unknown
    from hello_runtime.model.tasks import Task

Columns: TypeAlias = dict[str, Any]
"""Columns by name; each is an array of numpy, pandas, polars or pyarrow."""


class DecodeColumn:
    """Adds a column with the decoded texts, or the classes, to batches of columns.

    It is for Ray Data's `map_batches`, and engines like it.

    Each object opens the model once. When pickled and sent to another process it opens the model
    there, so every machine needs the file at that path.
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
        task: Task | None = None,
    ) -> None:
        """Open the model.

        Args:
            model: an artifact folder or a model file; None for the GRU of the package.
            column: the name of the column to decode, an array of `str` of numpy, pandas, polars or
                pyarrow. A missing value becomes None.
            output: the name of the added column.
            provider: as `Decoder.open` takes it.
            threads: as `Decoder.open` takes it; 1 is right where there is an object for each CPU.
            unknown: as `Decoder.open` takes it.
            task: `rewrite` or `classify`, which the model must do; None for either. A classifier
                gives each text its class, and an empty one an empty text.

        Raises:
            TaskError: the model has another task.
            ModelFileError: the file is missing, damaged, not from hello-export, or too new.
            PolicyError: the model cannot follow the policy `unknown`.
            ProviderError: the model would not run on that provider.
        """
        self._column = column
        self._output = output
        self._decoder = Decoder.open(model, provider, threads, unknown=unknown)
        self._decoder._need_task(*([task] if task else ("rewrite", "classify")))

    def __call__(self, batch: Columns) -> Columns:
        """Return the columns of a batch, [rows] each, and the decoded column, [rows] of `str`.

        >>> DecodeColumn()({"text": np.array(["hello", None], object)})["decoded"].tolist()
        ['ohlol', None]

        Raises:
            KeyError: the column is missing.
            TypeError: it is no column, or a value is neither a text nor missing.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
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
        """Return the values of a column, None for missing ones."""
        if isinstance(column, str):  # iterating it would give characters
            raise TypeError(f"column {self._column!r} is a str; it must be an array of texts")
        values: list[str | None] = []
        for row, item in enumerate(column):
            value = item.as_py() if hasattr(item, "as_py") else item  # a scalar of pyarrow
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
    """Tell whether a value is None, NaN, NaT, pandas' NA, or numpy's `masked`.

    NaN and NaT are not equal to themselves; comparing NA or `masked` gives NA or `masked`.
    """
    if value is None:
        return True
    differs = value != value
    return bool(differs) if isinstance(differs, bool | np.bool_) else differs is value
