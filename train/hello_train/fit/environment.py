"""Environment variables that PyTorch's libraries read once, when they are loaded."""

from __future__ import annotations

import os

DEFAULTS = {
    # Waiting OpenMP threads spin by default, and on a busy machine they take the processor from
    # those they wait for: one evaluation took 13 to 21 seconds instead of one.
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN caches a primitive for each batch shape: 2 GB with its default capacity of 1024,
    # 0.2 GB with this one, at the same speed.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
}


def set_defaults() -> None:
    """Set the variables that the user has not set; call it before torch is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
