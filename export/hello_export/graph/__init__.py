"""What is exported: the ONNX graph, the TorchScript program, and how they keep the weights."""
