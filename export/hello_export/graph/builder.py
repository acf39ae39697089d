"""Collects the nodes and constants of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hello_export.errors import ExportError
from hello_export.graph.storage import Storage


class Graph:
    """Collects nodes and constants; a node is named after its first output."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def weight(self, name: str, value: NDArray[np.float32], channels: int) -> str:
        """Add a weight in its stored type and its expansion to float32; return the latter's name.

        In int8 each entry of the axis `channels` has a scale of its own.

        Raises:
            ExportError: the weight is not exact in the stored type.
        """
        if self.storage == "float32":
            return self.constant(name, value)
        if self.storage == "float16":
            stored = value.astype(np.float16)
            same = np.array_equal(stored.astype(np.float32), value)
            small = self.constant(f"{name}.float16", stored)
            self.node("Cast", [small], name, to=TensorProto.FLOAT)
        else:
            scale = channel_scales(value, channels)
            quantized = np.rint(value / scale).astype(np.int8)
            same = np.array_equal(quantized.astype(np.float32) * scale, value)
            small = self.constant(f"{name}.int8", quantized)
            wide = self.node("Cast", [small], f"{name}.quantized", to=TensorProto.FLOAT)
            self.node("Mul", [wide, self.constant(f"{name}.scale", scale)], name)
        if not same:
            raise ExportError(f"{name} is not rounded to {self.storage}, and storing it would")
        return name

    def node(self, operator: str, given: Sequence[str], *made: str, **attributes: Any) -> str:
        """Add a node with the inputs `given` and the outputs `made`; return the first output."""
        self.nodes.append(helper.make_node(operator, given, made, name=made[0], **attributes))
        return made[0]


def channel_scales(value: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return the scale of each channel: its largest value is 127 times the scale."""
    others = tuple(axis for axis in range(value.ndim) if axis != channels)
    scale: NDArray[np.float32] = np.abs(value).max(others, keepdims=True) / np.float32(127)
    return np.where(scale == 0, np.float32(1), scale)
