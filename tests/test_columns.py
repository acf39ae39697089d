"""A column of a table: on its own, sent to another process, and on Ray, pandas and polars."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hello_runtime import DecodeColumn, ModelFileError, UnknownCharacterError


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
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        words = ["hello", "hole", "", "loll"] * 250
        rows = ray.data.from_items([{"id": i, "text": word} for i, word in enumerate(words)])
        copies = ray.data.ActorPoolStrategy(min_size=1, max_size=2)
        decoded = rows.map_batches(DecodeColumn, compute=copies, batch_size=100).take_all()
    finally:
        ray.shutdown()
    expected = DecodeColumn()(column(*words))["decoded"].tolist()
    assert [row["decoded"] for row in sorted(decoded, key=lambda row: row["id"])] == expected
    assert expected[0] == "ohlol"
