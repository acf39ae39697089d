"""Data: from files of lines to batches of tensors."""
