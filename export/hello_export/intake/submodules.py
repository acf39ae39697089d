"""Finds the tensors of a module's embedding, recurrence and linear layer by their classes.

The module's forward is run once, and its submodules that were not called are left out: an unused
recurrence, an embedding of another task. The forward is the truth of the proof, so what is left out
wrongly is found there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from hello_runtime.errors import printable
from torch import Tensor, nn

KINDS: tuple[tuple[type[nn.Module], ...], ...] = (
    (nn.Embedding,),
    (nn.RNNBase, nn.RNNCellBase),
    (nn.Linear,),
)
"""The classes of each of the three parts."""
EMBEDDING, RECURRENCE, LINEAR = range(3)
NOT_CALLED = "forward does not call it"


@dataclass(frozen=True)
class Found:
    """The submodules that are parts, and the tensors to recognise."""

    parts: tuple[dict[str, nn.Module], ...]
    """The submodules of each of `KINDS` by name, without those that were left out."""
    tensors: dict[str, Tensor]
    """Those of the module by their names; a weight that is computed from others is as computed."""
    ignored: dict[str, str]
    """Why each of the other tensors was left out, in words."""

    @property
    def nonlinearity(self) -> str | None:
        """tanh or relu, if the recurrence is an RNN."""
        for part in self.parts[RECURRENCE].values():
            found = getattr(part, "nonlinearity", None)
            if found:
                return str(found)
        return None

    def only(self, kind: int) -> str | None:
        """Return the name of the weights of the only part of a kind; None if there are others."""
        names = [*self.parts[kind]]
        return joined(names[0], "weight") if len(names) == 1 else None


def find_parts(module: nn.Module, run: Callable[[], object]) -> Found:
    """Return the parts of a module.

    Args:
        module: it is left as it is by the caller's `unchanged`.
        run: runs its forward once, on anything.
    """
    state = {
        name: value.detach().clone()
        for name, value in module.state_dict().items()
        if isinstance(value, Tensor)
    }
    called = called_by(module, run)
    typed = [
        {name: part for name, part in module.named_modules() if isinstance(part, kind)}
        for kind in KINDS
    ]
    kept = tuple(used(parts, called) for parts in typed)
    everything = {name: part for parts in typed for name, part in parts.items()}
    tensors = effective(everything, state)
    left_out = {
        name
        for name, part in module.named_modules()
        if not any(name in parts for parts in kept)
        and (name in everything or (part not in called and is_leaf(part)))
    }
    ignored = {name: NOT_CALLED for name in tensors if name.rpartition(".")[0] in left_out}
    return Found(
        kept, {name: t for name, t in tensors.items() if name not in ignored}, ignored
    )


def is_leaf(part: nn.Module) -> bool:
    """Tell whether a module has no parts; lists of parameters are never called, and used."""
    lists = (nn.ParameterList, nn.ParameterDict)
    return next(part.children(), None) is None and not isinstance(part, lists)


def used(parts: dict[str, nn.Module], called: set[nn.Module]) -> dict[str, nn.Module]:
    """Return the parts that were called; all, if none was: their weights may be used without."""
    found = {name: part for name, part in parts.items() if part in called}
    return found or parts


def called_by(module: nn.Module, run: Callable[[], object]) -> set[nn.Module]:
    """Return the submodules that are called while a function runs."""
    called: set[nn.Module] = set()

    def note(part: nn.Module, _: object) -> None:
        called.add(part)

    with ExitStack() as stack:
        for part in module.modules():
            stack.callback(part.register_forward_pre_hook(note).remove)
        run()
    return called


def effective(parts: Mapping[str, nn.Module], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a module's tensors, with weights of its parts as they are computed.

    A parametrization, a weight norm or a pruning keeps what a weight is computed from.

    Args:
        parts: its embeddings, recurrences and linear layers.
        state: its state dict.
    """
    tensors = dict(state)
    for prefix, part in parts.items():
        for last in weight_names(part):
            name = joined(prefix, last)
            value = getattr(part, last, None)
            if name in state or not isinstance(value, Tensor):
                continue
            sources = (joined(prefix, f"parametrizations.{last}."), f"{name}_")
            tensors = {own: t for own, t in tensors.items() if not own.startswith(sources)}
            tensors[name] = value.detach().clone()
    return tensors


def weight_names(part: nn.Module) -> list[str]:
    """Return the names that an embedding, recurrence or linear layer gives its tensors."""
    if isinstance(part, nn.RNNBase):
        return [name for names in part._all_weights for name in names]
    if isinstance(part, nn.RNNCellBase):
        return ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    return ["weight", "bias"]


def joined(prefix: str, last: str) -> str:
    """Return the name of a module's tensor."""
    return f"{prefix}.{last}" if prefix else last


def class_name(module: nn.Module) -> str:
    """Return the name of a module's class, for people."""
    return printable(type(module).__name__)


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Leave a module and all random generators as they were before this context.

    A forward may change weights (`max_norm` of an embedding), buffers and attributes.
    """
    attributes = [(part, dict(vars(part))) for part in module.modules()]
    registered = [
        (part, name, dict(getattr(part, name)))
        for part, _ in attributes
        for name in ("_parameters", "_buffers")
    ]
    values = [
        (tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())
    ]
    devices = sorted({t.device.index or 0 for t, _ in values if t.is_cuda})
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        for part, before in attributes:
            vars(part).clear()
            vars(part).update(before)
        for part, name, before in registered:
            getattr(part, name).clear()
            getattr(part, name).update(before)
        with torch.no_grad():
            for tensor, value in values:
                if not torch.equal(tensor, value):
                    tensor.copy_(value)
