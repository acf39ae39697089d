"""The engine: onnxruntime on a device, and how texts reach it, in batches and from threads."""
