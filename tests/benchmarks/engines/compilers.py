"""The engines that compile a file, or turn it into another framework's; see `adapters.py`."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from engines.trial import Arrays, Open, Run, UnsuitableError, output_names


def tool(name: str) -> str:
    """Return the path of a command that the engine's package has brought."""
    return str(Path(sys.executable).parent / name)


def call(*command: str) -> None:
    """Run a command.

    Raises:
        RuntimeError: it failed; the text is the line in which it says why.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if re.search("error|fail", line, re.IGNORECASE)]
        raise RuntimeError((errors or lines or [f"{command[0]} ended with {done.returncode}"])[0])


def by_shape(open_shape: Callable[[Path, Arrays, int, int], Run], *shapes: tuple[int, int]) -> Open:
    """Return what compiles a file for each shape, batch and time, of its cases.

    Args:
        open_shape: compiles it for one, which takes seconds.
        shapes: the only ones; cases of others are not run.
    """

    def open_file(file: Path, arrays: Arrays) -> Run:
        opened = {shapes[0]: open_shape(file, arrays, *shapes[0])}

        def run(feeds: Arrays) -> Arrays:
            batch, time = feeds["codepoints"].shape
            if (batch, time) not in shapes:
                raise UnsuitableError(f"it was not compiled for {batch} x {time}")
            if (batch, time) not in opened:
                opened[batch, time] = open_shape(file, arrays, batch, time)
            return opened[batch, time](feeds)

        return run

    return open_file


def fixed(file: Path, batch: int, time: int, made: Path) -> None:
    """Write a file with fixed axes in place of the free ones."""
    onnx = import_module("onnx")
    model = onnx.load(str(file))
    for value in [*model.graph.input, *model.graph.output]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = {"batch": batch, "time": time}[axis.dim_param]
    onnx.save(model, str(made))


def open_iree(file: Path, arrays: Arrays) -> Run:
    """Compile it by IREE for the CPU, with free axes."""
    compiler, runtime = import_module("iree.compiler"), import_module("iree.runtime")
    with tempfile.TemporaryDirectory() as folder:
        imported = f"{folder}/model.mlir"
        call(tool("iree-import-onnx"), str(file), "--opset-version", "17", "-o", imported)
        try:
            program = compiler.compile_file(
                imported,
                target_backends=["llvm-cpu"],
                extra_args=["--iree-llvmcpu-target-cpu=host"],
            )
        except compiler.CompilerToolError as error:
            lines = [line for line in str(error).splitlines() if "error:" in line]
            raise RuntimeError(lines[0].split("error:")[1].strip()) from None
    module = runtime.load_vm_flatbuffer(program, driver="local-task")
    (function,) = (
        name
        for name in module.vm_module.function_names
        if not name.startswith("__") and not name.endswith("$async")
    )
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        results = module[function](*feeds.values())
        return {name: np.array(array) for name, array in zip(names, results, strict=True)}

    return run


def iree_shape(file: Path, arrays: Arrays, batch: int, time: int) -> Run:
    """Compile it by IREE with fixed axes."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "fixed.onnx")
        fixed(file, batch, time, made)
        return open_iree(made, arrays)


def emx_shape(file: Path, arrays: Arrays, batch: int, time: int) -> Run:
    """Turn it into a C file with fixed axes, compile that, and load it."""
    # The library is mapped, so its folder may go.
    with tempfile.TemporaryDirectory() as folder:
        code, library = f"{folder}/network.c", f"{folder}/network.so"
        axes = ["--input-dim", f"batch={batch}", "--input-dim", f"time={time}"]
        call(tool("emx-onnx-cgen"), "compile", *axes, "--model-name", "network", str(file), code)
        call("cc", "-std=c99", "-O1", "-shared", "-fPIC", code, "-o", library, "-lm")
        network = ctypes.CDLL(library).network
    case = next(name.split("/")[0] for name in arrays if "/" in name)
    like = {name: arrays[f"{case}/{name}"] for name in output_names(arrays)}

    def run(feeds: Arrays) -> Arrays:
        shapes = {name: (batch, time, *array.shape[2:]) for name, array in like.items()}
        if "state_out" in like:
            shapes["state_out"] = feeds["state"].shape
        results = {name: np.zeros(shape, like[name].dtype) for name, shape in shapes.items()}
        both = (*feeds.values(), *results.values())
        network(*(array.ctypes.data_as(ctypes.c_void_p) for array in both))
        return results

    return run


def open_onnx2pytorch(file: Path, arrays: Arrays) -> Run:
    """Turn it into a module of PyTorch by onnx2pytorch."""
    torch = import_torch()
    model = import_module("onnx").load(str(file))
    module = import_module("onnx2pytorch").ConvertModel(model, experimental=True)
    return of_module(module, torch, arrays)


def open_onnx2torch(file: Path, arrays: Arrays) -> Run:
    """Turn it into a module of PyTorch by onnx2torch."""
    torch = import_torch()
    return of_module(import_module("onnx2torch").convert(str(file)), torch, arrays)


def import_torch() -> Any:
    """Return PyTorch, with a stand-in for torchvision if that is for another build of PyTorch.

    Both converters import it, for operators on images.
    """
    torch = import_module("torch")
    try:
        import_module("torchvision")
    except RuntimeError:
        for name in ("torchvision", "torchvision.io", "torchvision.ops"):
            sys.modules[name] = MagicMock()
    return torch


def of_module(module: Any, torch: Any, arrays: Arrays) -> Run:
    """Return what runs a module of PyTorch, with inputs and outputs in order."""
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        with torch.no_grad():
            results = module(*(torch.from_numpy(array.copy()) for array in feeds.values()))
        return {name: array.numpy() for name, array in zip(names, results, strict=True)}

    return run


def open_tinygrad(file: Path, arrays: Arrays) -> Run:
    """Open it in tinygrad."""
    os.environ["DEV"] = "PYTHON"  # its other devices need a compiler
    tensor = import_module("tinygrad").Tensor
    runner = import_module("tinygrad.nn.onnx").OnnxRunner(str(file))
    names = output_names(arrays)

    def run(feeds: Arrays) -> Arrays:
        results = runner({name: tensor(array) for name, array in feeds.items()})
        return {name: results[name].numpy() for name in names}

    return run


def open_tvm(file: Path, arrays: Arrays) -> Run:
    """Translate it by TVM."""
    import_module("tvm.relax.frontend.onnx").from_onnx(import_module("onnx").load(str(file)))
    raise NotImplementedError("TVM translates it, and nothing here runs that yet")


def open_pnnx(file: Path, arrays: Arrays) -> Run:
    """Convert it for ncnn by pnnx, with a line of 7 characters as its example."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder, "model.onnx")
        copied.write_bytes(file.read_bytes())
        state = arrays["state"].tolist()
        second = f"[{state[0]},1,{state[1]}]f32" if state else "[1]i32"
        call(tool("pnnx"), str(copied), f"inputshape=[1,7]i32,{second}")
    raise NotImplementedError("pnnx converts it, and nothing here runs that yet")


open_iree_fixed = by_shape(iree_shape, (3, 9))
open_emx = by_shape(emx_shape, (1, 1), (1, 7), (3, 9))
