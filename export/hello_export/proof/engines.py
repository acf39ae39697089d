"""The engines that open an exported file, a class for each.

`role` says whether the artifact is for an engine, and `limit` which networks it cannot run. None of
these imports torch, and each imports its library when it is used: the processes of all import this
file. `torchscript_engine` has the engine of the TorchScript program, `runtime_engine` this
project's own runtime, `javascript` the page's module, and `c_engine` a C file.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hello_runtime.errors import ProviderError
from hello_runtime.model.model_file import MODEL_NAME
from hello_train.network.config import ModelConfig
from numpy.typing import NDArray

from hello_export.errors import ParityError
from hello_export.graph.signature import TensorSpec, inputs, outputs
from hello_export.proof.cases import Case
from hello_export.proof.verdict import Role

Array = NDArray[Any]
Outputs = dict[str, Array]
"""Outputs by name, with the axes of the signature."""

NUMPY_NAMES = {"tensor(float)": "float32", "tensor(int32)": "int32"}
"""numpy's name of a type, by onnxruntime's name."""
LARGE = 10_000
"""Most characters of a case for engines that are about as slow as PyTorch: all cases but one."""


class Engine(ABC):
    """Something that runs an exported file, opened from the folder of an artifact."""

    name: ClassVar[str]
    distribution: ClassVar[str]
    """The Python distribution that has it."""
    library: ClassVar[str | None] = None
    """The module that it imports to open a file, if that takes long."""
    role: ClassVar[Role] = "target"
    activation_error: ClassVar[float] = 0.0
    """Largest error of its tanh and sigmoid, if they are approximations and not float32's best.

    Measured by `tests/benchmarks/activations.py`; a test checks it on fewer points.
    """

    copies_refused: ClassVar[bool] = False
    """Whether it copies the unknown characters that a model refuses; the graph does not."""
    largest_case: ClassVar[int] = sys.maxsize
    """Most characters of a case that it gets: less for a slow engine, since the proof costs time.

    Each batch size, length and kind of padding and of chunks is also in cases of 1100 characters.
    """

    writes_files: ClassVar[bool] = False
    """Whether it writes temporary files, which must not outlive its process."""

    @classmethod
    def installed_version(cls) -> str | None:
        """Return the version that is installed, or None."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(cls.distribution)
        except PackageNotFoundError:
            return None

    @property
    def kind(self) -> type[Engine]:
        """The class, which has all that is known of an engine without opening a file."""
        return type(self)

    @classmethod
    def limit(cls, config: ModelConfig) -> str | None:
        """Return why this engine cannot run such a network, or None.

        A test checks that the engine does fail there, so that an outdated reason is found.
        """
        return None

    @classmethod
    def missing(cls) -> str | None:
        """Return what this engine needs and is not installed, or None."""
        if cls.installed_version() is None:
            return "it is not installed; pip install 'hello-rnn[engines]'"
        return None

    @classmethod
    def obstacle(cls, config: ModelConfig) -> str | None:
        """Return why this engine cannot be compared on such a network here, or None."""
        return cls.missing() or cls.limit(config)

    @abstractmethod
    def __init__(self, config: ModelConfig, folder: Path) -> None:
        """Open the file that this engine reads."""

    def check_declaration(self) -> None:  # noqa: B027
        """Check what the file declares, as far as the engine shows it.

        Raises:
            ParityError: it is not what the network needs.
        """

    @abstractmethod
    def run(self, case: Case) -> Outputs:
        """Return the outputs of a case that this engine gives."""

    def close(self) -> None:  # noqa: B027
        """Free what it holds, even while it is running."""


class GraphEngine(Engine):
    """An engine with the inputs and outputs of the signature."""

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        self._config = config
        self._inputs = [tensor.name for tensor in inputs(config)]
        self._outputs = [tensor.name for tensor in outputs(config)]

    @abstractmethod
    def call(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """Run the graph once; both inputs, by name, and outputs are in the signature's order."""

    def run(self, case: Case) -> Outputs:
        """Return all outputs of a case; a model that has a state starts from zeros."""
        if not self._config.has_state:
            return self._run_once(case.codepoints, case.lengths)
        batch, time = case.codepoints.shape
        state = np.zeros((self._config.slots, batch, self._config.hidden_size), np.float32)
        pieces: list[Outputs] = []
        for start in range(0, time, case.chunk or time):
            piece = np.ascontiguousarray(case.codepoints[:, start : start + (case.chunk or time)])
            pieces.append(self._run_once(piece, state))
            state = pieces[-1]["state_out"]
        joined = {
            name: np.concatenate([piece[name] for piece in pieces], axis=1)
            for name in self._outputs
            if name != "state_out"
        }
        return {**joined, "state_out": state}

    def _run_once(self, *arrays: Array) -> Outputs:
        results = self.call(dict(zip(self._inputs, arrays, strict=True)))
        return dict(zip(self._outputs, results, strict=True))


class OnnxRuntime(GraphEngine):
    """onnxruntime on the CPU, without the code of `hello_runtime`."""

    name = "onnxruntime"
    distribution = "onnxruntime"
    library = "hello_runtime.engine.ort"
    activation_error = 6.1e-7
    provider: ClassVar[str] = "CPUExecutionProvider"

    @classmethod
    def installed_version(cls) -> str | None:
        """Return the version, whichever of onnxruntime's distributions is installed."""
        from hello_runtime.engine.ort import onnxruntime

        found: str = onnxruntime.__version__
        return found

    @classmethod
    def provider_options(cls) -> dict[str, str]:
        """Return the options with which the provider computes in float32."""
        return {}

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        from hello_runtime.engine.ort import onnxruntime

        super().__init__(config, folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(folder / MODEL_NAME),
            options,
            providers=[self.provider],
            provider_options=[self.provider_options()],
            enable_fallback=0,
        )
        if self.session.get_providers()[0] != self.provider:
            raise RuntimeError(f"it fell back to {self.session.get_providers()[0]}")

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

    def call(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """Run the graph once."""
        results: Sequence[Array] = self.session.run(self._outputs, feeds)
        return results


class OnnxRuntimeCuda(OnnxRuntime):
    """onnxruntime on an NVIDIA GPU, in float32; its default is TF32."""

    name = "onnxruntime CUDA"
    distribution = "onnxruntime-gpu"
    provider = "CUDAExecutionProvider"

    @classmethod
    def provider_options(cls) -> dict[str, str]:
        """Return those of the runtime."""
        from hello_runtime.engine.devices import CUDA_OPTIONS

        return CUDA_OPTIONS

    @classmethod
    def runs_here(cls) -> bool:
        """Tell whether a session runs on CUDA on this machine."""
        from hello_runtime import Decoder

        try:
            Decoder.open(provider="cuda")
        except ProviderError:
            return False
        return True

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        from hello_runtime.engine.devices import preload_libraries

        preload_libraries()
        super().__init__(config, folder)


class ReferenceEvaluator(GraphEngine):
    """The onnx package's own evaluator, which implements the specification in numpy."""

    name = "onnx evaluator"
    role = "witness"
    largest_case = LARGE
    distribution = "onnx"
    library = "onnx.reference"

    @classmethod
    def limit(cls, config: ModelConfig) -> str | None:
        """Return what it lacks, or None."""
        return "its RNN has no Relu" if config.nonlinearity == "relu" else None

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        from onnx.reference import ReferenceEvaluator as Evaluator

        super().__init__(config, folder)
        self._evaluator = Evaluator(str(folder / MODEL_NAME))

    def call(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """Run the graph once."""
        results: Sequence[Array] = self._evaluator.run(self._outputs, feeds)  # type: ignore[assignment]
        return results


class OpenVino(GraphEngine):
    """OpenVINO on the CPU, in float32.

    By default it may compute in bfloat16, and quantizes what it multiplies by int8 weights.
    """

    name = "OpenVINO"
    role = "witness"
    distribution = "openvino"
    library = "openvino"

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        import openvino

        super().__init__(config, folder)
        self._model = openvino.Core().compile_model(
            folder / MODEL_NAME,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
                "INFERENCE_NUM_THREADS": 1,
            },
        )

    def call(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """Run the graph once."""
        results = self._model(feeds)
        return [np.array(results[name]) for name in self._outputs]


class Tract(GraphEngine):
    """tract, an engine written in Rust."""

    name = "tract"
    role = "witness"
    largest_case = LARGE
    distribution = "tract"
    library = "tract"
    activation_error = 1.1e-6

    @classmethod
    def limit(cls, config: ModelConfig) -> str | None:
        """Return what it lacks, or None."""
        if config.nonlinearity == "relu":
            return "it computes tanh in every RNN, without an error"
        return None

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        import tract

        super().__init__(config, folder)
        model = tract.onnx().load(str(folder / MODEL_NAME)).into_model()
        self._model = model.into_runnable()

    def call(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """Run the graph once."""
        return [result.to_numpy() for result in self._model.run(list(feeds.values()))]
