"""The network that the runtime's benchmarks run where no trained one is given."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.torchscript import save_program
from hello_runtime.model.labels import alphabet_guard, alphabet_labels
from hello_runtime.model.tasks import Task
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

LETTERS = "".join(map(chr, range(ord("!"), ord("w")))) + "żó😀\u0301"
"""86 printable ASCII characters, two letters, an astral character and a combining mark."""
KINDS = [(name, choice) for name, cell in CELLS.items() for choice in cell.nonlinearities]
"""The recurrences: cell and nonlinearity."""
TRAINING = Training(data="nothing", example="hello", seed=0, characters=0)


def random_network(
    cell: str,
    nonlinearity: str = "tanh",
    *,
    bidirectional: bool,
    hidden_size: int = 128,
    layers: int = 1,
    task: Task = "rewrite",
) -> Network:
    """Return a network with the weights that PyTorch draws for it, 64 values a character.

    Its task is `rewrite`, with a guard, or `next`.
    """
    torch.manual_seed(0)
    rewrites = task == "rewrite"
    guard = {char: LETTERS if char.isalpha() else char for char in LETTERS}
    config = ModelConfig(
        cell=cell,
        input_alphabet=LETTERS,
        output_labels=alphabet_labels(LETTERS),
        embedding_dim=64,
        hidden_size=hidden_size,
        layers=layers,
        bidirectional=bidirectional,
        projection=True,
        unknown="copy" if rewrites else "label",
        guard=alphabet_guard(guard, LETTERS) if rewrites else None,
        nonlinearity=nonlinearity,
        task=task,
    )
    return Network(config).eval()


def save(network: Network, folder: Path) -> None:
    """Write the files of an artifact that a benchmark opens, without the proof."""
    folder.mkdir(exist_ok=True)
    onnx.save(build_model(network, TRAINING), folder / "model.onnx")
    save_program(network, folder / "model.pt")
