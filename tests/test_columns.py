"""A column of a table: on its own, sent to another process, and on Ray, pandas and polars."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hello_runtime import DecodeColumn, Decoder, ModelFileError, UnknownCharacterError


def column(*values: object) -> dict[str, Any]:
    return {"id": np.arange(len(values)), "text": np.array(values, object)}


def test_a_column_is_added() -> None:
    batch = column("hello", None, "", "hello")
    result = DecodeColumn()(batch)
    assert list(result) == ["id", "text", "decoded"]
    assert result["decoded"].tolist() == ["ohlol", None, "", "ohlol"]
    assert result["id"] is batch["id"]
    assert "decoded" not in batch
    assert DecodeColumn()(column())["decoded"].tolist() == []
    missing = DecodeColumn()(column("hello", float("nan")))["decoded"]
    assert missing.tolist() == ["ohlol", None]


def test_strings_of_numpy_are_texts() -> None:
    batch = {"word": np.array(["hello", "hell"])}
    result = DecodeColumn(column="word", output="said")(batch)
    assert result["said"][0] == "ohlol"


MISSING: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "NaN": lambda: float("nan"),
    "float32": lambda: np.float32("nan"),
    "NaT": lambda: np.datetime64("NaT"),
    "masked": lambda: np.ma.masked,
    "pandas.NA": lambda: pytest.importorskip("pandas").NA,
    "pandas.NaT": lambda: pytest.importorskip("pandas").NaT,
    "pyarrow": lambda: pytest.importorskip("pyarrow").scalar(None),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_value_is_none(name: str) -> None:
    values = ["hello", MISSING[name](), "", "hello"]
    assert DecodeColumn()({"text": values})["decoded"].tolist() == ["ohlol", None, "", "ohlol"]


def series(dtype: str) -> Callable[[list[Any]], Any]:
    return lambda values: pytest.importorskip("pandas").Series(values, dtype=dtype, index=[7, 8, 9])


def arrow(kind: str) -> Callable[[list[Any]], Any]:
    def make(values: list[Any]) -> Any:
        pyarrow = pytest.importorskip("pyarrow")
        return pyarrow.array(values, getattr(pyarrow, kind)())

    return make


COLUMNS: dict[str, Callable[[list[Any]], object]] = {
    "list": list,
    "iterator": iter,
    "numpy": lambda values: np.array(values, object),
    "masked": lambda values: np.ma.array(
        [value or "" for value in values], mask=[value is None for value in values]
    ),
    "pandas object": series("object"),
    "pandas str": series("str"),
    "pandas string": series("string"),
    "pandas arrow": series("string[pyarrow]"),
    "pandas category": series("category"),
    "pandas ArrowDtype": lambda values: pytest.importorskip("pandas").Series(
        values, dtype=pytest.importorskip("pandas").ArrowDtype(arrow("string")([]).type)
    ),
    "pyarrow string": arrow("string"),
    "pyarrow large": arrow("large_string"),
    "pyarrow dictionary": lambda values: arrow("string")(values).dictionary_encode(),
    "pyarrow chunks": lambda values: pytest.importorskip("pyarrow").chunked_array(
        [values[:1], values[1:]]
    ),
    "pyarrow scalars": lambda values: list(arrow("string")(values)),
    "polars": lambda values: pytest.importorskip("polars").Series(values),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_library(name: str) -> None:
    texts = COLUMNS[name](["hello", None, "hole"])
    found = DecodeColumn()({"text": texts})["decoded"]
    assert found.dtype == object
    assert found.tolist() == ["ohlol", None, Decoder.open().decode("hole")]


def test_what_is_no_column_is_refused() -> None:
    decode = DecodeColumn()
    with pytest.raises(TypeError, match="column 'text' is a str; it must be an array of texts"):
        decode({"text": "hello"})
    with pytest.raises(TypeError, match="a batch is a dict of columns, not a list"):
        decode(["hello"])  # type: ignore[arg-type]
    for wrong in (5, False, np.bool_(False), b"hello", np.array([1, 2]), np.array([np.nan]), ["a"]):
        with pytest.raises(TypeError, match=r"row 1 of column 'text' is .*, neither a text nor"):
            decode({"text": ["hello", wrong]})
    with pytest.raises(TypeError, match=r"row 0 of column 'text' is b'x.{1,40}x', neither"):
        decode({"text": [b"x" * 10_000]})


def test_it_travels_to_another_process() -> None:
    there = pickle.loads(pickle.dumps(DecodeColumn(output="said", unknown="copy")))
    assert there(column("hello!"))["said"][0].endswith("!")


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"no column 'word'; there are id, text"):
        DecodeColumn(column="word")(column("hello"))
    with pytest.raises(TypeError, match=r"row 1 of column 'text' is 5, neither"):
        DecodeColumn()(column("hello", 5))
    with pytest.raises(UnknownCharacterError):
        DecodeColumn()(column("hexlo"))
    with pytest.raises(ModelFileError, match="no model there"):
        DecodeColumn(tmp_path / "missing.onnx")


@pytest.mark.filterwarnings("ignore")  # Ray's own, of which there are many
def test_on_ray() -> None:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")

    def decode(batch: dict[str, Any]) -> dict[str, Any]:
        return DecodeColumn()(batch)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        words = ["hello", "hole", "", "loll"] * 250
        rows = ray.data.from_items([{"id": i, "text": word} for i, word in enumerate(words)])
        copies = ray.data.ActorPoolStrategy(min_size=1, max_size=2)
        decoded = rows.map_batches(DecodeColumn, compute=copies, batch_size=100).take_all()
        with pytest.raises(UnknownCharacterError, match=r"U\+00E9") as caught:
            ray.get(ray.remote(decode).remote(column("hello", "héllo")))
    finally:
        ray.shutdown()
    expected = DecodeColumn()(column(*words))["decoded"].tolist()
    assert [row["decoded"] for row in sorted(decoded, key=lambda row: row["id"])] == expected
    assert expected[0] == "ohlol"
    assert (caught.value.position, caught.value.index) == (1, 1)
