"""What is exported: the ONNX graph, the TorchScript program, and how they store the weights."""
