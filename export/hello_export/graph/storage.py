"""How a model file can store its weights."""

from __future__ import annotations

from typing import Literal, get_args

Storage = Literal["float32", "float16", "int8"]
"""int8 stores multiples, from -127 to 127, of a scale for each channel."""

STORAGES: tuple[Storage, ...] = get_args(Storage)
