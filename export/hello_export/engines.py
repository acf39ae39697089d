"""The engines that open an exported file, and how each runs a case."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from hello_runtime import Decoder, ModelInfo
from hello_train.config import ModelConfig
from hello_train.model import Network
from numpy.typing import NDArray

from hello_export.cases import Case
from hello_export.errors import ParityError
from hello_export.reference import Reference
from hello_export.signature import TensorSpec, inputs, outputs
from hello_export.torchscript import load_program

Array = NDArray[Any]
Outputs = dict[str, Array]
"""Outputs by name, each with the batch at its place in the signature."""


NUMPY_NAMES = {"tensor(float)": "float32", "tensor(int32)": "int32"}
"""Of onnxruntime's names of types."""


class Engine(ABC):
    """Something that runs an exported file."""

    name: str
    version: str

    @abstractmethod
    def run(self, case: Case) -> Outputs:
        """Return the outputs of a case that this engine can show."""

    def check_declaration(self) -> None:  # noqa: B027
        """Check what the file says of itself, where the engine can tell.

        Raises:
            ParityError: it is not what the network is.
        """


class GraphEngine(Engine):
    """An engine that takes and gives the tensors of the signature."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config

    @abstractmethod
    def call(self, *given: Array) -> Sequence[Array]:
        """Run the graph once, inputs and outputs in the order of the signature."""

    def run(self, case: Case) -> Outputs:
        """Return all outputs of a case, from a zero state if the model is causal."""
        names = [tensor.name for tensor in outputs(self._config)]
        if self._config.bidirectional:
            return dict(zip(names, self.call(case.codepoints, case.lengths), strict=True))
        batch, time = case.codepoints.shape
        state = np.zeros((self._config.slots, batch, self._config.hidden_size), np.float32)
        pieces: list[Outputs] = []
        for start in range(0, time, case.chunk or time):
            piece = case.codepoints[:, start : start + (case.chunk or time)]
            pieces.append(dict(zip(names, self.call(piece, state), strict=True)))
            state = pieces[-1]["state_out"]
        joined = {
            name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in names[:-1]
        }
        return {**joined, "state_out": state}


class DoublePrecision(Engine):
    """Eager PyTorch in float64: how far from it float32 is tells what rounding alone does."""

    name = "PyTorch float64"
    version = torch.__version__

    def __init__(self, network: Network) -> None:
        self._reference = Reference(copy.deepcopy(network).double())

    def run(self, case: Case) -> Outputs:
        """Return all outputs of a case, as float32."""
        rows = [self._reference.run(row) for row in case.rows]
        found = {
            name: padded([row[name] for row in rows], case)
            for name in ("decoded", "confidence", "logits")
        }
        if "state_out" in rows[0]:
            found["state_out"] = np.stack([row["state_out"] for row in rows], axis=1)
        return {
            name: array if name == "decoded" else array.astype(np.float32)
            for name, array in found.items()
        }


class OnnxRuntime(GraphEngine):
    """onnxruntime on the CPU, by its own session and none of the runtime's code."""

    name = "onnxruntime"
    version = onnxruntime.__version__

    def __init__(self, config: ModelConfig, file: Path) -> None:
        super().__init__(config)
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self._names = [tensor.name for tensor in self.session.get_inputs()]

    def check_declaration(self) -> None:
        """Check the names, types and axes of the inputs and outputs.

        Raises:
            ParityError: they are not those of the signature.
        """
        for kind, declared, expected in (
            ("inputs", self.session.get_inputs(), inputs(self._config)),
            ("outputs", self.session.get_outputs(), outputs(self._config)),
        ):
            found = [
                TensorSpec(given.name, NUMPY_NAMES.get(given.type, given.type), tuple(given.shape))
                for given in declared
            ]
            if found != expected:
                raise ParityError(f"{self.name} declares the {kind} {found}, not {expected}")

    def call(self, *given: Array) -> Sequence[Array]:
        """Run the graph once."""
        results: Sequence[Array] = self.session.run(
            None, dict(zip(self._names, given, strict=True))
        )
        return results


class TorchScript(GraphEngine):
    """PyTorch running the exported program."""

    name = "TorchScript"
    version = torch.__version__

    def __init__(self, config: ModelConfig, file: Path) -> None:
        super().__init__(config)
        self._program = load_program(file)

    @torch.inference_mode()
    def call(self, *given: Array) -> Sequence[Array]:
        """Run the program once."""
        results = self._program(*(torch.from_numpy(np.ascontiguousarray(array)) for array in given))
        return [result.numpy() for result in results]


class Runtime(Engine):
    """The project's own runtime, from text to text; it does not show logits."""

    name = "hello-infer"
    version = version("hello-rnn")

    def __init__(self, config: ModelConfig, file: Path) -> None:
        self._config = config
        self._decoder = Decoder.open(file, unknown="copy")

    def check_declaration(self) -> None:
        """Check the metadata.

        Raises:
            ParityError: it is not that of the network.
        """
        found = replace(self._decoder.info, training={})
        expected = ModelInfo(
            cell=self._config.cell,
            causal=not self._config.bidirectional,
            layers=self._config.layers,
            hidden_size=self._config.hidden_size,
            input_alphabet=self._config.input_alphabet,
            output_alphabet=self._config.output_alphabet,
            unknown=self._config.unknown,
            guarded=self._config.guard is not None,
        )
        if found != expected:
            raise ParityError(f"the metadata of the model says {found}, not {expected}")

    def run(self, case: Case) -> Outputs:
        """Return what was decoded, and where it is in one piece the confidence."""
        texts = ["".join(map(chr, row)) for row in case.rows]
        if case.chunk:
            return {"decoded": padded([self._stream(text, case.chunk) for text in texts], case)}
        annotations = self._decoder.annotate_batch(texts)
        return {
            "decoded": padded([codepoints(annotation.text) for annotation in annotations], case),
            "confidence": padded([annotation.confidence for annotation in annotations], case),
        }

    def _stream(self, text: str, chunk: int) -> Array:
        stream = self._decoder.stream()
        pieces = [text[start : start + chunk] for start in range(0, len(text), chunk)]
        return codepoints("".join(stream.feed(piece) for piece in pieces))


def codepoints(text: str) -> Array:
    """Return the code points of a text."""
    return np.array([ord(char) for char in text], np.int32)


def padded(rows: list[Array], case: Case) -> Array:
    """Return the rows of a case as one array, with zeros behind them."""
    shape = (*case.codepoints.shape, *rows[0].shape[1:])
    batch = np.zeros(shape, rows[0].dtype)
    for target, row in zip(batch, rows, strict=True):
        target[: len(row)] = row
    return batch
