"""The export stage: from a checkpoint to an artifact that is proved to say the same.

`onnx_graph` writes the ONNX graph, `torchscript` the TorchScript program, `reference` says what
PyTorch says, `parity` compares, `artifact` keeps the result, `cli` is the command. Importing this
package does not import torch.
"""
