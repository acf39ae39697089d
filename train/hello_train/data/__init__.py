"""From files of lines to batches of tensors."""
