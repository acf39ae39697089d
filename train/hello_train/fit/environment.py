"""Settings of PyTorch's libraries, which read the environment once, when they are loaded."""

from __future__ import annotations

import os

DEFAULTS = {
    # Threads of OpenMP that wait for each other spin. Beside other work they then wait for threads
    # that do not run, and take the processor from them: one evaluation took 13 to 21 seconds in
    # place of one.
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN keeps what it prepares for each shape of a batch: 2 GB of it with its own capacity of
    # 1024, 0.2 GB with this one, and no slower.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
}


def set_defaults() -> None:
    """Set what the user has not set; to be called before torch is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
