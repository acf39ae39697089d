"""The export stage: from a checkpoint to an artifact that is proved to say the same.

`signature` says what a model takes and gives, and `storage` how it keeps its weights, which
`rounding` fits to that. `onnx_graph` writes the ONNX graph, with the alphabet as the table of
`lookup`, and `torchscript` the TorchScript program.

`reference` says what PyTorch says, and `engines` what the files say, each in a process of its own
by `isolation`, on the batches of `cases`; `parity` compares them, and `proof` brings it together.
`artifact` keeps the result. `verify` proves it again, once `files` has read it and `remake` has
found it to be what its checkpoint makes. `cli` is the command; `progress` shows how far it is.

Importing this package does not import torch.
"""

from hello_runtime import __version__

__all__ = ["__version__"]
