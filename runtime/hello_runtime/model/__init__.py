"""The model file: its metadata, and the checks before an engine opens it."""
