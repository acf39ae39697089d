"""Tries one engine on files, in the process of `worker.py`.

It needs numpy and the engine, and nothing of this project. `NAME.npz` beside a file has its cases,
as `artifacts.py` writes them. A line of JSON says which `file` and `step` come next, and another
the `result` of that: its `error`, what is `wrong`, or the largest `difference`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
"""Arrays by name."""
Run = Callable[[Arrays], Arrays]
"""Outputs of inputs, each in the order of the signature."""

TOLERANCE = 1e-3
"""Largest difference of a number, as a share of its size plus one; engines that are right have 1%
of it, and those that are not ten times as much."""
OUTPUTS = ("decoded", "confidence", "logits", "state_out")
Open = Callable[[Path, Arrays], Run]
"""Opens a file, of which it is given the arrays."""


def output_names(arrays: Arrays) -> list[str]:
    """Return the names of the outputs of a file."""
    return [name for name in OUTPUTS if any(key.endswith(f"/{name}") for key in arrays)]


class UnsuitableError(Exception):
    """The engine has a fixed shape, and a case another."""


def main(adapter: str, *files: str) -> None:
    """Try the files in turn.

    Args:
        adapter: a name of `adapters.py`, or MODULE.py:FUNCTION.
        files: the models.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # engines print

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    open_file = find_adapter(adapter)
    for file in map(Path, files):
        with np.load(file.with_suffix(".npz")) as stored:
            arrays = dict(stored)
        try_file(file, arrays, open_file, say)


def find_adapter(name: str) -> Open:
    """Return what opens a file.

    Raises:
        KeyError: there is no adapter of this name.
    """
    module, _, function = name.rpartition(":")
    if not module:
        found: Open = import_module("engines.adapters").ADAPTERS[name]
        return found
    sys.path.append(str(Path(module).parent))
    opens: Open = getattr(import_module(Path(module).stem), function)
    return opens


def try_file(
    file: Path,
    arrays: Arrays,
    open_file: Open,
    say: Callable[..., None],
) -> None:
    """Open a file and run its cases, saying what came of each."""
    steps = ["open", *dict.fromkeys(name.split("/")[0] for name in arrays if "/" in name)]
    run: Run | None = None
    for step in steps:
        say(file=file.stem, step=step)
        result = {}
        try:
            if step == "open":
                run = open_file(file, arrays)
            elif run:
                case = {
                    name.split("/")[1]: array
                    for name, array in arrays.items()
                    if name.startswith(f"{step}/")
                }
                result = compare(run_case(run, case, arrays["state"]), case)
        except UnsuitableError as error:
            result = {"unsuitable": str(error)}
        except BaseException as error:  # a panic of Rust is no Exception
            result = {"error": f"{type(error).__name__}: {error}"}
        say(file=file.stem, step=step, result=result)
        if step == "open" and "error" in result:
            return


def run_case(run: Run, case: Arrays, state_shape: Array) -> Arrays:
    """Return the outputs of a case; a causal model reads it in chunks, with the state of each."""
    codepoints = case["codepoints"]
    if not len(state_shape):
        return run({"codepoints": codepoints, "lengths": case["lengths"]})
    slots, width = state_shape.tolist()
    state = np.zeros((slots, len(codepoints), width), np.float32)
    pieces = []
    for piece in chunks(codepoints, int(case["chunk"])):
        pieces.append(run({"codepoints": np.ascontiguousarray(piece), "state": state}))
        state = np.ascontiguousarray(pieces[-1]["state_out"])
    joined = {
        name: np.concatenate([piece[name] for piece in pieces], axis=1)
        for name in pieces[0]
        if name != "state_out"
    }
    return {**joined, "state_out": state}


def chunks(codepoints: Array, size: int) -> Iterator[Array]:
    """Yield parts of lines, [batch, time]; an empty line is one part."""
    for start in range(0, max(codepoints.shape[1], 1), max(size, 1)):
        yield codepoints[:, start : start + size]


def compare(found: Arrays, case: Arrays) -> dict[str, Any]:
    """Return what differs from the outputs that are expected, and the largest difference."""
    time = case["codepoints"].shape[1]
    if not time:
        written = np.asarray(found["decoded"]).size
        return {"wrong": f"{written} characters for none"} if written else {"difference": 0.0}
    read = np.arange(time) < case["lengths"][:, None]  # (batch, time): no padding
    largest = 0.0
    for name in OUTPUTS:
        if name not in case:
            continue
        expected, given = case[name], np.asarray(found[name])
        if given.shape != expected.shape:
            return {"wrong": f"{name} has the shape {given.shape}, not {expected.shape}"}
        if name == "decoded":
            differs = (given != expected).reshape(*read.shape, -1).any(-1) & case["sure"] & read
            if differs.any():
                return {"wrong": f"{differs.sum()} of {read.sum()} characters differ"}
            continue
        difference = np.abs(given - expected) / (1 + np.abs(expected))
        if name != "state_out":
            difference = difference[read]
        worst = float(difference.max(initial=0.0))
        if not worst <= TOLERANCE:
            return {"wrong": f"{name} differ by {worst:.2g}"}
        largest = max(largest, worst)
    return {"difference": largest}
