"""What an export takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hello_export.graph.storage import Storage

if TYPE_CHECKING:
    from hello_runtime.text.pairs import AnyPair
    from hello_train.network.checkpoint import Training
    from hello_train.network.model import Network

    from hello_export.proof.isolation import Processes
    from hello_export.proof.reference import Forward


@dataclass(frozen=True)
class ExportJob:
    """What is exported, how, and where it goes."""

    network: Network
    training: Training
    """The files' description of its training; its example is a package's first golden text."""
    folder: Path
    """Where the artifact goes, or the project of a package."""
    storage: Storage = "float32"
    """How `model.onnx` stores the weights."""
    held_out: Sequence[AnyPair] = ()
    """Held-out lines on which the cost of smaller weights is measured."""
    baseline: Path | None = None
    """The run's baseline file, which is copied into the artifact; a package has none."""
    strict: bool = False
    """Whether a witness's difference refuses the export too."""
    forward: Forward | None = None
    """That of the module that the network came in as, which the files must agree with."""
    processes: Processes | None = None
    """Those of engines that wait for the files."""
