"""Unicode's word segmenters, two real networks that this project did not make, for PyTorch.

They were trained in Keras, and run in ICU4X. `data/segmenters` has their weights as Unicode
published them, beside the licence, and labels that a plain numpy program computed in float64.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DATA = Path(__file__).parent / "data" / "segmenters"
SEGMENTERS = ("Burmese", "Thai")
LABELS = "BIES"
"""Begin, inside and end of a word, and a word of a single character."""


def read_model(name: str) -> dict[str, Any]:
    """Return the file of a network, as Unicode published it."""
    with gzip.open(DATA / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content


def matrix(model: dict[str, Any], number: int) -> NDArray[np.float32]:
    """Return one of a network's nine matrices."""
    entry = model[f"mat{number}"]
    return np.array(entry["data"], np.float32).reshape(entry["dim"])


def state_dict(model: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights by PyTorch's names.

    Keras multiplies from the left, has its gates in the order i, f, c, o, which is PyTorch's
    i, f, g, o, and one bias where PyTorch has two.
    """
    arrays = {
        "embedding.weight": matrix(model, 1),
        "linear.weight": matrix(model, 8).T,
        "linear.bias": matrix(model, 9),
    }
    for first, suffix in ((2, "_l0"), (5, "_l0_reverse")):
        arrays[f"lstm.weight_ih{suffix}"] = matrix(model, first).T
        arrays[f"lstm.weight_hh{suffix}"] = matrix(model, first + 1).T
        arrays[f"lstm.bias_ih{suffix}"] = bias = matrix(model, first + 2)
        arrays[f"lstm.bias_hh{suffix}"] = np.zeros_like(bias)
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def read_expected(name: str) -> list[tuple[str, str]]:
    """Return texts, and the label of each of their characters."""
    lines = (DATA / f"{name}.expected.tsv").read_text(encoding="utf-8").splitlines()
    return [(text, labels) for text, _, labels in (line.partition("\t") for line in lines)]
