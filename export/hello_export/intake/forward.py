"""Runs a module's own forward on ids, and says what is wrong with what it returns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from hello_runtime.errors import first_line
from torch import Tensor, nn

from hello_export.errors import IntakeError
from hello_export.intake.network import Rows
from hello_export.intake.weights import short
from hello_export.proof.reference import is_log_softmax

Call: TypeAlias = Callable[[nn.Module, Tensor], Tensor]
"""Returns a module's logits, [batch, time, labels], for ids, int64 [batch, time]."""
HALF = (torch.float16, torch.bfloat16)
PROBE = (2, 3)
"""Batch and time of the first ids that a module is given."""
FEW = 12
"""Ids that an error shows, at most."""
TAKES_OTHERS = (
    "if it takes something else, give call=, a function of the module and ids that returns its "
    "logits"
)
GIVE_CALL = "give call=, a function of the module and ids that returns them"
KEEPS_A_STATE = (
    "with other ids it did not fail: does it keep a state between calls, or does it take only some "
    "sizes of batch and time?"
)


class ModuleForward:
    """The forward of a module: float32 logits on the CPU, whatever its device and precision."""

    def __init__(
        self, module: nn.Module, call: Call | None = None, *, by_line: bool = False
    ) -> None:
        """Take a module, what calls it, None for `module(ids)`, and whether logits are of lines.

        Raises:
            IntakeError: the module has no values, or cannot be copied.
        """
        self.module = in_single_precision(module)
        self._call = call or (lambda own, ids: own(ids))
        self._device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
        self._own_ids = torch.zeros(0, dtype=torch.int64)
        self._labels: int | None = None
        self._drawn: list[int] | None = None
        self._by_line = by_line
        self._has_run = False

    def read(self, rows: Rows, labels: int, drawn: list[int] | None = None) -> None:
        """Take the ids of a network from now on, and expect its number of labels.

        Args:
            rows: the embedding's row of each id of the network.
            labels: the logits of a step.
            drawn: those of them that the network has; None for all.
        """
        known = [*rows.characters.values()]
        self._own_ids = torch.tensor(known if rows.unknown is None else [*known, rows.unknown])
        self._labels, self._drawn = labels, drawn

    def __call__(self, ids: Tensor) -> Tensor:
        """Return logits [batch, time, labels] of the network's ids, int64 [batch, time].

        Logarithms of probabilities remain such if logits are left out.

        Raises:
            IntakeError: the forward fails, or returns something else.
        """
        found = self.run(self._own_ids[ids])
        if self._drawn is None:
            return found
        drawn = found[..., self._drawn]
        return drawn.log_softmax(-1) if is_log_softmax(found) else drawn

    def run(self, ids: Tensor) -> Tensor:
        """Return logits of ids in the embedding's own numbering; see `__call__`."""
        with torch.inference_mode(mode=False), torch.no_grad(), full_precision():
            try:
                found: Any = self._call(self.module, ids.clone().to(self._device))
            except Exception as error:  # a forward may raise anything
                raise IntakeError(
                    f"its forward fails on ids [batch, time] {shown(ids)}: {first_line(error)}; "
                    f"{KEEPS_A_STATE if self._has_run else TAKES_OTHERS}"
                ) from error
            self._check(found, list(ids.shape))
            self._has_run = True
            logits: Tensor = found.detach().to("cpu", torch.float32)
        return logits

    def probe(self, known: Sequence[int]) -> Tensor:
        """Return the logits of a few ids, taken from these."""
        batch, time = PROBE
        chosen = [known[place % len(known)] for place in range(batch * time)]
        return self.run(torch.tensor(chosen).reshape(PROBE))

    def _check(self, found: Any, shape: list[int]) -> None:
        """Raise an IntakeError, which says how `call` can return them, unless these are logits."""
        axes = shape[:1] if self._by_line else shape
        sizes_wanted = ", ".join(map(str, [*axes, self._labels or "labels"]))
        names = "[batch, labels]" if self._by_line else "[batch, time, labels]"
        wanted = f"logits [{sizes_wanted}], {names}"
        if not isinstance(found, Tensor):
            hint = (
                "for instance call=lambda module, ids: module(ids)[0]"
                if isinstance(found, (tuple, list))
                else GIVE_CALL
            )
            raise IntakeError(f"its forward returns a {type(found).__name__}, not {wanted}; {hint}")
        if not found.is_floating_point() or found.layout != torch.strided:
            kind = short(found.dtype) if found.layout == torch.strided else "a sparse tensor"
            raise IntakeError(
                f"its forward returns {kind} {list(found.shape)}, not {wanted} of floating point; "
                f"{GIVE_CALL}"
            )
        sizes = list(found.shape)
        if sizes[:-1] != axes or self._labels not in (None, sizes[-1]):
            raise IntakeError(
                f"its forward returns {sizes} for ids {shape}, not {wanted}; "
                f"{self._reshaped(sizes, shape)}"
            )

    def _reshaped(self, sizes: list[int], shape: list[int]) -> str:
        """Return how `call` can bring logits of a shape into the right one, in words."""
        if not self._by_line:
            return reshaped(sizes, shape)
        if len(sizes) == 3 and sizes[0] == 1:
            return "give call=, for instance lambda module, ids: module(ids)[0]"
        return GIVE_CALL


def shown(ids: Tensor) -> str:
    """Return the shape of ids, and themselves if they are few."""
    few = f" {ids.tolist()}" if ids.numel() <= FEW else ""
    return f"{list(ids.shape)}{few}"


def reshaped(found: list[int], ids: list[int]) -> str:
    """Return how `call` can bring logits of a shape into the right one, in words."""
    batch, time = ids
    example = ""
    if len(found) == 2 and found[0] == batch * time:
        example = "lambda module, ids: module(ids).view(*ids.shape, -1)"
    elif found[:2] == [time, batch]:
        example = "lambda module, ids: module(ids.T).transpose(0, 1)"
    elif len(found) == 3 and [found[0], found[2]] == ids:
        example = "lambda module, ids: module(ids).transpose(1, 2)"
    return f"give call=, for instance {example}" if example else GIVE_CALL


def in_single_precision(module: nn.Module) -> nn.Module:
    """Return a module, or a copy in float32 of one that is in half precision.

    Raises:
        IntakeError: it has no values, or cannot be copied.
    """
    if any(tensor.is_meta for tensor in module.parameters()):
        raise IntakeError("it is on the device meta, and so has no values")
    if not any(tensor.dtype in HALF for tensor in module.parameters()):
        return module
    try:
        return copy.deepcopy(module).float()
    except Exception as error:  # whatever its attributes raise
        raise IntakeError(
            f"it is in half precision, and cannot be copied to compare it in float32 "
            f"({first_line(error)}); export module.float()"
        ) from error


@contextmanager
def full_precision() -> Iterator[None]:
    """Have a GPU compute in float32, and not in the shorter TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
