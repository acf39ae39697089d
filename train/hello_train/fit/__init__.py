"""The training: options, loop, evaluation, and the files of a run."""
