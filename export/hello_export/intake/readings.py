"""Gives embedding and linear layer their tensors, by their shapes.

A reading gives tensors these roles. The recurrence says how wide they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hello_export.intake.recurrence import SUFFIX, Recurrence

NONE = "none"
"""The choice of no linear layer."""


class Reading(NamedTuple):
    """Which tensors are the embedding, the linear layer's weights and its bias; None for none."""

    embedding: str | None
    linear: str | None
    bias: str | None

    @property
    def roles(self) -> int:
        """How many tensors it gives a role."""
        return len({*self} - {None})

    def __str__(self) -> str:
        if self.linear is None:
            return f"{self.embedding} is the embedding, and there is no linear layer"
        if self.linear == self.embedding:
            return f"{self.embedding} is both the embedding and the linear layer"
        return f"{self.embedding} is the embedding, and {self.linear} the linear layer"


def readings(
    rest: Mapping[str, Tensor],
    recurrence: Recurrence,
    embedding: str | None = None,
    linear: str | None = None,
) -> list[Reading]:
    """Return the readings that leave fewest tensors without a role.

    `rest` are the tensors that belong to no recurrence. `embedding` and `linear` are names that
    were chosen; the latter may be `NONE`.
    """
    embeddings: Sequence[str | None] = matrices(rest, recurrence.input_size, embedding)
    linears: Sequence[str | None] = matrices(rest, recurrence.features, linear)
    if linear in (None, NONE) or not linears:
        linears = [None, *linears]
    everything = [
        Reading(matrix, weight, bias_of(weight, rest, tied=weight == matrix))
        for matrix in embeddings or [None]
        for weight in linears
    ]
    most = max(reading.roles for reading in everything)
    best = [reading for reading in everything if reading.roles == most]
    return best if most < len(rest) else different_networks(best, rest)


def matrices(rest: Mapping[str, Tensor], width: int | None, chosen: str | None) -> list[str]:
    """Return the matrices of a width; only the chosen one, if one is chosen."""
    return [
        name
        for name, tensor in rest.items()
        if tensor.ndim == 2
        and tensor.is_floating_point()
        and tensor.shape[1] == width
        and not SUFFIX.fullmatch(name)
        and chosen in (None, name, name.removesuffix(".weight"))
    ]


def bias_of(linear: str | None, rest: Mapping[str, Tensor], *, tied: bool) -> str | None:
    """Return the bias that belongs to a linear layer's weights, or None.

    It has the same prefix. If one tensor is both embedding and linear layer, it may be saved under
    the embedding's name alone; the bias is then the only one without weights of its own.
    """
    if linear is None:
        return None
    biases = [beside(linear, "bias")]
    if tied and biases[0] not in rest:
        biases = [
            name for name in rest if name.endswith("bias") and beside(name, "weight") not in rest
        ]
    if len(biases) != 1 or biases[0] not in rest:
        return None
    return biases[0] if rest[biases[0]].shape == rest[linear].shape[:1] else None


def beside(name: str, last: str) -> str:
    """Return the name of a tensor of the same module."""
    prefix, dot, _ = name.rpartition(".")
    return f"{prefix}{dot}{last}"


def different_networks(found: list[Reading], rest: Mapping[str, Tensor]) -> list[Reading]:
    """Return readings without those that give the same numbers as one before them.

    Weights that embedding and linear layer share may be saved under both names.
    """
    different: list[Reading] = []
    for reading in found:
        if not any(same_network(reading, other, rest) for other in different):
            different.append(reading)
    return different


def same_network(one: Reading, other: Reading, rest: Mapping[str, Tensor]) -> bool:
    """Tell whether the tensors of two readings are equal, role by role."""
    return all(
        a == b or (a is not None and b is not None and torch.equal(rest[a], rest[b]))
        for a, b in zip(one, other, strict=True)
    )


def shown(tensors: Mapping[str, Tensor], names: Iterable[str]) -> str:
    """Return tensors with their shapes."""
    return ", ".join(f"{name} {list(tensors[name].shape)}" for name in names)
