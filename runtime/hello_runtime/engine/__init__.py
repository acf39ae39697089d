"""The engine: onnxruntime on a device, and the batches and threads in which it gets texts."""
