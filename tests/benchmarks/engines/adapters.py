"""How each engine is opened and run: a function for each, which needs that engine alone.

`open_NAME(file, arrays)` returns a function from inputs to outputs by name, or raises what the
engine raises. The engines that compile a file are in `compilers.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from engines import compilers
from engines.trial import Array, Arrays, Open, Run, output_names

MODULE = Path(__file__).parents[3] / "runtime" / "js" / "hello_rnn.mjs"


def open_onnxruntime(file: Path, arrays: Arrays) -> Run:
    """Open it in onnxruntime, on the CPU."""
    ort = import_module("onnxruntime")
    ort.set_default_logger_severity(4)
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = output_names(arrays)
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def open_evaluator(file: Path, arrays: Arrays) -> Run:
    """Open it in the evaluator of the onnx package."""
    evaluator = import_module("onnx.reference").ReferenceEvaluator(str(file))
    names = output_names(arrays)
    return lambda feeds: dict(zip(names, evaluator.run(names, feeds), strict=True))


def open_openvino(file: Path, arrays: Arrays) -> Run:
    """Open it in OpenVINO, with the options of docs/engines.md."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    model = import_module("openvino").Core().compile_model(file, "CPU", options)
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        results = model(feeds)
        return {name: np.array(results[name]) for name in names}

    return run


def open_tract(file: Path, arrays: Arrays) -> Run:
    """Open it in tract."""
    model = import_module("tract").onnx().load(str(file)).into_model().into_runnable()
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        results = [result.to_numpy() for result in model.run(list(feeds.values()))]
        return dict(zip(names, results, strict=True))

    return run


def open_opencv(file: Path, arrays: Arrays) -> Run:
    """Open it in OpenCV's module dnn."""
    net = import_module("cv2").dnn.readNetFromONNX(str(file))
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        for name, array in feeds.items():
            net.setInput(array, name)
        results = net.forward(names)
        return {name: np.array(value) for name, value in zip(names, results, strict=True)}

    return run


def open_mnn(file: Path, arrays: Arrays) -> Run:
    """Convert it to MNN's format, and open that.

    The converter is called without the package's Python command, which installs another package
    and reports its use.
    """
    nn, expr = import_module("MNN.nn"), import_module("MNN.expr")
    with tempfile.TemporaryDirectory() as folder:
        made = f"{folder}/model.mnn"
        options = ["-f", "ONNX", "--modelFile", str(file), "--MNNModel", made, "--bizCode", "MNN"]
        import_module("_tools").mnnconvert(["mnnconvert", *options])
        names = output_names(arrays)
        module = nn.load_module_from_file(
            made,
            ["codepoints", "state" if len(arrays["state"]) else "lengths"],
            names,
            shape_mutable=True,  # without it, recurrent nodes are wrong in silence
            precision_mode=expr.PrecisionMode.High,
        )

    def constant(array: Array) -> Any:
        kind = expr.int if array.dtype == np.int32 else expr.float
        return expr.const(array, list(array.shape), expr.NCHW, kind)

    def run(feeds: Arrays) -> Arrays:
        results = module.forward([constant(array) for array in feeds.values()])
        return {name: np.array(result.read()) for name, result in zip(names, results, strict=True)}

    return run


def open_wonnx(file: Path, arrays: Arrays) -> Run:
    """Open it in wonnx, which computes on a GPU by Vulkan."""
    session = import_module("wonnx").Session.from_path(str(file))
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        results = session.run({name: array.flatten().tolist() for name, array in feeds.items()})
        return {name: np.array(results[name]) for name in names}

    return run


def node(engine: str) -> Open:
    """Return what opens a file in Node with an engine of `worker.mjs`."""

    def open_file(file: Path, arrays: Arrays) -> Run:
        process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("worker.mjs")), engine, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

        def answer() -> Any:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                # The engine's end is this process's: whoever started it sees the same.
                code = process.wait()
                os.kill(os.getpid(), -code) if code < 0 else os._exit(code)
            said = json.loads(line)
            if "error" in said:
                raise RuntimeError(said["error"])
            return said

        def run(feeds: Arrays) -> Arrays:
            assert process.stdin
            request = [
                [name, str(array.dtype), array.shape, array.flatten().tolist()]
                for name, array in feeds.items()
            ]
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return {
                name: np.array(values, dtype).reshape(shape)
                for name, dtype, shape, values in answer()["outputs"]
            }

        answer()
        finalize(run, end, process)
        return run

    return open_file


def end(process: subprocess.Popen[str]) -> None:
    """End a process, and close its pipes."""
    process.kill()
    process.communicate()


ADAPTERS: dict[str, Open] = {
    "onnxruntime": open_onnxruntime,
    "evaluator": open_evaluator,
    "openvino": open_openvino,
    "tract": open_tract,
    "opencv": open_opencv,
    "mnn": open_mnn,
    "wonnx": open_wonnx,
    "onnxruntime-node": node("onnxruntime-node"),
    "onnxruntime-web": node("onnxruntime-web"),
    "module": node(str(MODULE)),
    "iree": compilers.open_iree,
    "iree-fixed": compilers.open_iree_fixed,
    "emx": compilers.open_emx,
    "onnx2pytorch": compilers.open_onnx2pytorch,
    "onnx2torch": compilers.open_onnx2torch,
    "tvm": compilers.open_tvm,
    "pnnx": compilers.open_pnnx,
    "tinygrad": compilers.open_tinygrad,
}
"""What opens a file, by the name that `worker.py` is given."""
