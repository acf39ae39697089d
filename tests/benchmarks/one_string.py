"""Measures `Decoder.decode("hello")` beside a raw session, TorchScript and eager PyTorch.

    python tests/benchmarks/one_string.py [--rounds 11] [--calls 2000] [--json]

The peers get ready arrays and return arrays; `decode` takes text and returns text. The idle graph
returns its input: that is what a call of the engine costs, whatever it computes. The one node is
the recurrence on vectors that are ready, the least that any graph of the network has. All run in
one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
import torch
from hello_export.graph.program_file import load_program
from hello_export.graph.torchscript import save_program
from hello_runtime import Decoder
from hello_runtime.model.model_file import IR_VERSION, OPSET, locate
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from measuring import medians, repeated, show
from onnx import TensorProto, helper

GOLDEN = Path(__file__).parents[1] / "golden"


def idle_graph(given: dict[str, Any]) -> bytes:
    """Return a model that takes the same arrays and returns its code points."""
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in given.items()
    ]
    decoded = helper.make_tensor_value_info("decoded", TensorProto.INT32, [1, 5])
    node = helper.make_node("Identity", ["codepoints"], ["decoded"])
    graph = helper.make_graph([node], "idle", infos, [decoded])
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    content: bytes = model.SerializeToString()
    return content


def one_node(file: Path, cell: str) -> tuple[bytes, dict[str, Any]]:
    """Return a model of the recurrent node alone, and its inputs: no graph of ours is shorter."""
    model = onnx.load(file)
    (node,) = (each for each in model.graph.node if each.op_type == cell.upper())
    states = [f"initial{index}" for index in range(len(CELLS[cell].states))]
    node.input[0], node.input[5:] = "x", states
    del node.output[1:]
    weights = [each for each in model.graph.initializer if each.name in node.input]
    width = next(each.dims[2] for each in weights if ".W_" in each.name)
    given = {"x": np.zeros((5, 1, width), np.float32)}
    given |= {name: np.zeros((1, 1, 4), np.float32) for name in states}
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
        for name, array in given.items()
    ]
    hidden = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [5, 1, 1, 4])
    graph = helper.make_graph([node], "one_node", infos, [hidden], weights)
    opset = [helper.make_opsetid("", OPSET)]
    alone = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    content: bytes = alone.SerializeToString()
    return content, given


def actions(cell: str) -> dict[str, Callable[[], object]]:
    """Return what is measured, for the post's network with one cell."""
    network, _ = load_checkpoint(GOLDEN / f"hello-{cell}.safetensors")
    codepoints = np.array([[ord(char) for char in "hello"]], np.int32)
    state = np.zeros((network.config.slots, 1, 4), np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(locate(None, cell)), options)
    with TemporaryDirectory() as folder:
        save_program(network, Path(folder) / "model.pt")
        program = load_program(Path(folder) / "model.pt")
    ids = torch.tensor([[network.config.input_alphabet.index(char) for char in "hello"]])
    tensors = torch.from_numpy(codepoints), torch.from_numpy(state)
    given = {"codepoints": codepoints, "state": state}
    idle = onnxruntime.InferenceSession(idle_graph(given), options)
    content, embedded = one_node(locate(None, cell), cell)
    shortest = onnxruntime.InferenceSession(content, options)
    decoder = Decoder.open(cell=cell, threads=1)
    if decoder.decode("hello") != "ohlol":
        raise RuntimeError("hello does not become ohlol")

    @torch.inference_mode()
    def eager() -> object:
        return network(ids).argmax(-1)

    @torch.inference_mode()
    def torchscript() -> object:
        return program(*tensors)

    return {
        "idle graph": lambda: idle.run(["decoded"], given),
        "one node": lambda: shortest.run(None, embedded),
        "session.run": lambda: session.run(["decoded"], given),
        "decode": lambda: decoder.decode("hello"),
        "TorchScript": torchscript,
        "eager PyTorch": eager,
        "eager PyTorch from text to text": lambda: network.rewrite("hello"),
    }


@click.command()
@click.option("--rounds", default=11, show_default=True)
@click.option("--calls", default=2000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, calls: int, as_json: bool) -> None:
    """Print a row for each cell."""
    torch.set_num_threads(1)
    rows = []
    for cell in CELLS:
        found = medians(
            {name: repeated(action, calls) for name, action in actions(cell).items()}, rounds
        )
        row: dict[str, Any] = {"model": f"hello-{cell}"}
        row |= {f"{name}, µs": seconds / calls * 1e6 for name, seconds in found.items()}
        row["decode to session.run"] = found["decode"] / found["session.run"]
        row["eager to decode"] = found["eager PyTorch"] / found["decode"]
        row["text to text"] = found["eager PyTorch from text to text"] / found["decode"]
        rows.append(row)
    show(rows, as_json=as_json, title="One call on hello", packages=["onnxruntime", "torch"])


if __name__ == "__main__":
    main()
