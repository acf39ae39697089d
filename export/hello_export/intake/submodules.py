"""Finds the tensors of a module's embedding, recurrence and linear layer by their classes.

The module's forward is run once, and its submodules that were not called are left out: an unused
recurrence, an embedding of another task. The forward is the truth of the proof, so what is left out
wrongly is found there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hello_export.intake.readings import NONE

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
    left_out: dict[str, Tensor]
    """The other tensors of the module."""

    @property
    def ignored(self) -> dict[str, str]:
        """Why each tensor was left out, in words."""
        return dict.fromkeys(self.left_out, NOT_CALLED)

    @property
    def nonlinearity(self) -> str | None:
        """Tanh or relu, if the recurrence is an RNN."""
        for part in self.parts[RECURRENCE].values():
            found = getattr(part, "nonlinearity", None)
            if found:
                return str(found)
        return None

    def only(self, kind: int) -> str | None:
        """Return the name of the weights of the only part of a kind; None if there are others."""
        names = [*self.parts[kind]]
        return joined(names[0], "weight") if len(names) == 1 else None

    def padding(self, roles: Collection[str]) -> int | None:
        """Return the `padding_idx` of the embedding, which is one of the tensors with a role."""
        for name, part in self.parts[EMBEDDING].items():
            if joined(name, "weight") in roles:
                return part.padding_idx  # type: ignore[return-value]
        return None

    @property
    def everything(self) -> dict[str, Tensor]:
        """All tensors, those that were left out too."""
        return self.tensors | self.left_out

    def linear(self, labels: int) -> str | None:
        """Return the name of the linear layer's weights, `NONE`, or None if it is not clear.

        Args:
            labels: the logits of a step. They tell whether a forward without a module of the class
                reads its hidden states as logits, or the embedding as a linear layer.
        """
        name = self.only(EMBEDDING)
        if self.parts[LINEAR] or name is None or name not in self.tensors:
            return self.only(LINEAR)
        rows, width = self.tensors[name].shape
        features = next(map(output_width, self.parts[RECURRENCE].values()), None)
        if labels == features:
            return NONE
        return name if (rows, width) == (labels, features) else None


def output_width(recurrence: nn.Module) -> int:
    """Return the width of a recurrence's output, of all directions together."""
    width: int = recurrence.hidden_size  # type: ignore[assignment]
    return 2 * width if getattr(recurrence, "bidirectional", False) else width


def find_parts(module: nn.Module, run: Callable[[], object]) -> Found:
    """Return the parts of a module; `run` runs its forward once, on anything.

    The module is left as it is by the caller's `unchanged`.
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
    return Found(
        kept,
        {name: t for name, t in tensors.items() if name.rpartition(".")[0] not in left_out},
        {name: t for name, t in tensors.items() if name.rpartition(".")[0] in left_out},
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

    A parametrization, a weight norm or a pruning keeps what a weight is computed from. The parts
    are embeddings, recurrences and linear layers.
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
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        for part, before in attributes:
            vars(part).clear()
            vars(part).update(before)
        for part, name, before in registered:
            getattr(part, name).clear()
            getattr(part, name).update(before)
        with torch.no_grad():
            for tensor, value in values:
                if not tensor.is_meta and not torch.equal(tensor, value):
                    tensor.copy_(value)
