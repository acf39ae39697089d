"""The JavaScript module of `runtime/js` as an engine of the proof, in Node."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from weakref import finalize

import numpy as np
from hello_runtime.model.model_file import MODEL_NAME
from hello_train.network.config import ModelConfig
from numpy.typing import NDArray

from hello_export.graph.signature import outputs
from hello_export.proof.cases import Case
from hello_export.proof.engines import Array, Engine, Outputs

NODE = "node"
"""The command."""
OLDEST_NODE = 18
"""The first of its versions that run the module."""
SECONDS = 60
"""Most seconds in which Node must say its version."""
VERSION = re.compile(r"v(\d+\.\S+)")
"""What Node says."""
ERROR = re.compile(r"\w*Error: ")
"""How the line begins in which Node names an error."""


def modules_folder() -> Path:
    """Return the folder of the JavaScript modules: in a checkout, or in what was installed."""
    checkout = Path(__file__).parents[3] / "runtime" / "js"
    return checkout if checkout.is_dir() else Path(__file__).parents[1] / "js"


@cache
def node_version() -> str | None:
    """Return the version of Node, or None where there is none, or none that says its version."""
    command = shutil.which(NODE)
    if not command:
        return None
    try:
        said = subprocess.run(
            [command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):  # no program, or no text
        return None
    found = VERSION.fullmatch(said.stdout.strip())
    return found and found[1]


def node_fault() -> str | None:
    """Return why Node cannot run the module here, or None."""
    wanted = f"it needs Node {OLDEST_NODE} or later"
    command = shutil.which(NODE)
    if not command:
        return f"{wanted}, which is not installed (command {NODE})"
    version = node_version()
    if not version:
        return f"{wanted}, and {command} --version says no version"
    if int(version.partition(".")[0]) < OLDEST_NODE:
        return f"{wanted}, and {command} is version {version}"
    return None


class JavaScript(Engine):
    """The module in Node, which is what a page made by `--page` runs."""

    name = "JavaScript"
    distribution = "hello-rnn"
    largest_case = 1100
    """It reads row by row, and a wide network a hundred times as slowly as onnxruntime."""

    @classmethod
    def installed_version(cls) -> str | None:
        """Return the version of Node, or None."""
        return node_version()

    @classmethod
    def missing(cls) -> str | None:
        """Return why Node cannot run the module here, or None."""
        return node_fault()

    def __init__(self, config: ModelConfig, folder: Path, modules: Path | None = None) -> None:
        """Start Node; `modules` takes the place of the folder of the modules."""
        self._config = config
        self._tensors = outputs(config)
        program = (modules or modules_folder()) / "serve.mjs"
        self._process = subprocess.Popen(
            [NODE, str(program), str(folder / MODEL_NAME)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._end = finalize(self, end, self._process)
        self._read("int32", 1)  # it is open

    def run(self, case: Case) -> Outputs:
        """Return the outputs of a case, row by row.

        A causal model also reads a row's padding, because `state_out` is the state after it.
        """
        batch, time = case.codepoints.shape
        rows = [
            self._run_row(row[: time if self._config.has_state else length], case.chunk)
            for row, length in zip(case.codepoints, case.lengths, strict=True)
        ]
        found: Outputs = {}
        for tensor in self._tensors:
            sizes = {"batch": batch, "time": time}
            shape = [sizes[axis] if isinstance(axis, str) else axis for axis in tensor.axes]
            found[tensor.name] = np.zeros(shape, tensor.dtype)
            by_row = np.moveaxis(found[tensor.name], tensor.axes.index("batch"), 0)
            for number, row in enumerate(rows):
                values = row[tensor.name]
                if "time" in tensor.axes:
                    by_row[number, : len(values)] = values
                else:
                    by_row[number] = values
        return found

    def close(self) -> None:
        """End the process; that also happens when nothing refers to this engine any more."""
        self._end()

    def _run_row(self, row: NDArray[np.int32], chunk: int | None) -> Outputs:
        """Return the outputs of a row, without the axis of the batch."""
        assert self._process.stdin
        steps = len(row)
        self._process.stdin.write(np.array([steps, chunk or steps, *row], "<i4").tobytes())
        self._process.stdin.flush()
        return {
            tensor.name: self._read(
                tensor.dtype,
                *(
                    steps if axis == "time" else int(axis)
                    for axis in tensor.axes
                    if axis != "batch"
                ),
            )
            for tensor in self._tensors
        }

    def _read(self, dtype: str, *shape: int) -> Array:
        """Read an array.

        Raises:
            RuntimeError: Node has ended; the text is what it said.
        """
        assert self._process.stdout
        assert self._process.stderr
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        content = self._process.stdout.read(size)
        if len(content) < size:
            said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            errors = [line for line in said if ERROR.match(line)] or said or ["it said nothing"]
            raise RuntimeError(f"Node ended: {errors[0]}")
        return np.frombuffer(content, dtype).reshape(shape)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and close its pipes."""
    process.kill()
    process.communicate()
