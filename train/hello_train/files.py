"""The files that a run leaves in its folder."""

from __future__ import annotations

from pathlib import Path

from hello_runtime.text.baseline import BASELINE_NAME

CHECKPOINT_NAME = "checkpoint.safetensors"
"""The trained network; `network.checkpoint` writes and reads it."""
HOLDOUT_NAME = "holdout.tsv"
"""The held-out lines; there are none for hello."""
HOLDOUT_TEXT_NAME = "holdout.txt"
"""The held-out passages of running text, one after the other, in place of `HOLDOUT_NAME`."""
REPORT_NAME = "report.html"
"""The page that shows the training and its result."""
RUN_NAMES = (CHECKPOINT_NAME, HOLDOUT_NAME, HOLDOUT_TEXT_NAME, BASELINE_NAME, REPORT_NAME)
"""What a finished run may have; there is no `BASELINE_NAME` for hello."""
RESUME_NAME = "unfinished.safetensors"
"""The training state of a run that has not ended; it is removed at the end."""
LOST_NAME = "lost"
"""A folder with the files of the last start, where no start learned hello."""
CHECKPOINT_START = b'{"__metadata__":{"hello-rnn":'
"""How the header of a checkpoint begins, behind the eight bytes of its length."""


def is_checkpoint(file: Path) -> bool:
    """Tell whether a file begins as a checkpoint does; what follows is not read.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return stream.read(8 + len(CHECKPOINT_START))[8:] == CHECKPOINT_START
