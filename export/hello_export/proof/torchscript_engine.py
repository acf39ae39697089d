"""The engine of the TorchScript program; it is not in `engines`, which import no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from hello_train.network.config import ModelConfig

from hello_export.graph.program_file import load_program
from hello_export.graph.torchscript import PROGRAM_NAME
from hello_export.proof.engines import Array, GraphEngine


class TorchScript(GraphEngine):
    """PyTorch, running the exported program."""

    name = "TorchScript"
    distribution = "torch"

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self._program = load_program(folder / PROGRAM_NAME)

    @torch.inference_mode()
    def call(self, feeds: dict[str, Array]) -> Sequence[Array]:
        """Run the program once."""
        results = self._program(*map(torch.from_numpy, map(np.ascontiguousarray, feeds.values())))
        return [result.numpy() for result in results]
