"""The export stage: from a network to an artifact that is proved to agree with PyTorch.

In the order in which to read it:

- `graph`: what is exported. `signature` has the inputs and outputs, `storage` and `rounding` the
  kinds of weights. `onnx_graph` writes the ONNX graph with a `builder`, with the alphabet as the
  table of `lookup`, the labels by `choice` and the `metadata` beside it, and `torchscript` the
  TorchScript program, whose file `program_file` makes.
- `proof`: what is compared. `reference` is the network in eager PyTorch; `engines`,
  `runtime_engine`, `javascript`, `c_engine` and `torchscript_engine` run the exported files, each
  in a process of its own, which `isolation` starts with the program `worker`. `cases` are the
  batches. `condition` measures rounding, `parity` compares, `verdict` decides, `table` shows, and
  `prove` runs it all on the engines of `installed`.
- `intake`: a network from outside. `weights` reads its file, `alphabets` its alphabet and labels,
  `recognise` finds its parts by `recurrence` and `readings`, `network` builds a network of ours of
  them, and `outside` does all of it. `module` takes a module instead: `submodules` finds its parts,
  `forward` runs it, and `agreement` compares the two, with `causes` for the error.
- `job` is what an export takes, and `artifact` writes the folder, with `manifest`, `rounding_cost`
  and `folders`.
- `page` and `package` write what a model is in for others: a web page, or the project of a wheel,
  with `names` that it may have and `goldens` that it must say.
- `verify` proves an artifact again, once `remake` has found it to be what its checkpoint makes.
- `cli` is the command, with the `outside_options` for a network from outside; `progress` shows how
  far it is, and `results` what came of it.

Importing this package does not import torch.
"""

from __future__ import annotations

from hello_runtime import __version__

TYPE_CHECKING = False  # not from `typing`, whose import would double the time to a command's start
if TYPE_CHECKING:
    from typing import Any

    from hello_export.errors import (
        ArtifactError,
        ExportError,
        ForwardError,
        IntakeError,
        ParityError,
    )
    from hello_export.intake.module import export

__all__ = [
    "ArtifactError",
    "ExportError",
    "ForwardError",
    "IntakeError",
    "ParityError",
    "__version__",
    "export",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = "intake.module" if name == "export" else "errors"
    return getattr(import_module(f"{__name__}.{module}"), name)
