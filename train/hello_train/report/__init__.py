"""The report of a run: an HTML page on the training and its result."""
