"""How a model file can keep its weights."""

from __future__ import annotations

from typing import Literal, get_args

Storage = Literal["float32", "float16", "int8"]
"""As they are; in half precision (IEEE 754); or in steps from -127 to 127, each channel with its
own size of a step."""

STORAGES: tuple[Storage, ...] = get_args(Storage)
