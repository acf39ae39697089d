"""The proof: exported files are compared with eager PyTorch on every engine."""
