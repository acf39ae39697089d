"""The export stage: from a checkpoint to an artifact that is proved to say the same.

`signature` says what a model takes and gives. `onnx_graph` writes the ONNX graph, with the alphabet
as the table of `lookup`, and `torchscript` the TorchScript program. `reference` says what PyTorch
says and `engines` what the files say, on the batches of `cases`; `parity` compares them. `artifact`
keeps the result, `cli` is the command. Importing this package does not import torch.
"""
