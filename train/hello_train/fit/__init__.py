"""The training: what can be asked for, the loop, and all that a run leaves."""
