"""Finds recurrences among tensors, by PyTorch's names and by shapes.

`nn.RNN`, `nn.GRU` and `nn.LSTM` name their tensors `weight_ih_l0`, `weight_hh_l1_reverse` and so
on; `nn.RNNCell`, `nn.GRUCell` and `nn.LSTMCell` name them `weight_ih`. The cell follows from the
shape of `weight_hh`, [gates * hidden, hidden].
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from hello_train.network.cells import CELLS
from torch import Tensor

SUFFIX = re.compile(
    r"(?:(?P<prefix>.*)\.)?(?P<kind>(?:weight|bias)_(?:ih|hh|hr))"
    r"(?:_l(?P<layer>\d{1,9})(?P<reverse>_reverse)?)?"
)
"""A tensor's name: the module's prefix, and PyTorch's suffix, which of a cell has no layer."""
LAST_NUMBER = re.compile(r"(.*?)(\d{1,9})(\D*)")
"""What stands before the last number of a prefix, that number, and what stands behind it. Python
refuses to read a number of thousands of digits."""
CELL_OF_GATES = {len(cell.pytorch_gates): name for name, cell in CELLS.items()}
WEIGHTS = ("weight_ih", "weight_hh")
BIASES = ("bias_ih", "bias_hh")
WHAT = {
    "weight_ih": "input weights",
    "weight_hh": "recurrent weights",
    "bias_ih": "input bias",
    "bias_hh": "recurrent bias",
    "weight_hr": "projection",
}
"""The kinds of tensors, in words."""


class Part(NamedTuple):
    """One direction of one layer."""

    layer: int
    reverse: bool

    @property
    def suffix(self) -> str:
        """What follows the kind of a tensor in the names of `nn.RNNBase`."""
        return f"_l{self.layer}" + "_reverse" * self.reverse

    def __str__(self) -> str:
        return f"layer {self.layer}" + ", backward" * self.reverse


@dataclass(frozen=True)
class Recurrence:
    """The tensors of one recurrence; they may contradict each other, as `faults` says."""

    prefix: str
    """The name of its module, for people; of a loop of cells the first one's."""
    names: dict[Part, dict[str, str]]
    """The own name of each tensor, by its part and kind."""
    tensors: Mapping[str, Tensor]
    """By their own names."""
    loop: bool
    """Whether it is a loop of cells, each of which may have a bias or none."""

    @cached_property
    def recurrent_weights(self) -> str | None:
        """The name of the recurrent weights that tell cell and size; None if there are none."""
        matrices = (kinds["weight_hh"] for kinds in self.names.values() if "weight_hh" in kinds)
        return next((name for name in matrices if self.tensors[name].ndim == 2), None)

    @cached_property
    def projected(self) -> list[str]:
        """The tensors that `proj_size` makes."""
        return [kinds["weight_hr"] for kinds in self.names.values() if "weight_hr" in kinds]

    @cached_property
    def cell(self) -> str | None:
        """The key of the cell in `CELLS`, or None if the shapes fit none."""
        if self.projected:
            return "lstm"
        if self.recurrent_weights is None:
            return None
        rows, hidden = self.tensors[self.recurrent_weights].shape
        return CELL_OF_GATES.get(rows // hidden) if hidden and rows % hidden == 0 else None

    @cached_property
    def output_size(self) -> int | None:
        """Width of one direction's output."""
        return (
            None
            if self.recurrent_weights is None
            else self.tensors[self.recurrent_weights].shape[1]
        )

    @cached_property
    def input_size(self) -> int | None:
        """Width of the input of the first layer, or None if its weights are missing."""
        name = self.names.get(Part(0, False), {}).get("weight_ih")
        return self.tensors[name].shape[1] if name and self.tensors[name].ndim == 2 else None

    @cached_property
    def layers(self) -> int:
        """The number of layers."""
        return len({part.layer for part in self.names})

    @cached_property
    def bidirectional(self) -> bool:
        """Whether any layer has a backward direction."""
        return any(part.reverse for part in self.names)

    @property
    def directions(self) -> int:
        """1, or 2 if it is bidirectional."""
        return 2 if self.bidirectional else 1

    @property
    def features(self) -> int | None:
        """Width of the output of all directions together."""
        return None if self.output_size is None else self.output_size * self.directions

    @property
    def title(self) -> str:
        """The prefix and the cell, for people."""
        cell = CELLS[self.cell].title if self.cell else "no known cell"
        return f"{self.prefix or 'without a prefix'} ({cell})"

    @property
    def own_names(self) -> list[str]:
        """The own names of its tensors, in PyTorch's order."""
        return [
            name
            for kinds in self.names.values()
            for _, name in sorted(kinds.items(), reverse=True)  # weight_ih first
        ]

    def roles(self) -> dict[str, str]:
        """Return what each tensor is, in words, by its own name, in PyTorch's order."""
        title = CELLS[self.cell].title if self.cell else "recurrence"
        return {
            name: f"{title} {part}: {WHAT[kind]}"
            for part, kinds in self.names.items()
            for kind, name in sorted(kinds.items(), reverse=True)
        }

    def weights(self) -> dict[str, Tensor]:
        """Return the tensors by the names of `nn.RNNBase`; a missing bias is zeros."""
        found = {}
        for part, kinds in self.names.items():
            for kind in WEIGHTS:
                found[kind + part.suffix] = self.tensors[kinds[kind]]
            for kind in BIASES:
                name = kinds.get(kind)
                recurrent = self.tensors[kinds["weight_hh"]]
                zeros = recurrent.new_zeros(recurrent.shape[0])
                found[kind + part.suffix] = self.tensors[name] if name else zeros
        return found

    def faults(self) -> list[str]:
        """Return all that is wrong with its tensors, in words."""
        if self.projected:
            return [f"{self.shown(*self.projected)}: an LSTM with proj_size is not supported"]
        return [*self._gaps(), *self._missing(), *self._wrong_shapes()]

    def shown(self, *names: str) -> str:
        """Return tensors with their shapes."""
        return ", ".join(f"{name} {list(self.tensors[name].shape)}" for name in names)

    @property
    def shown_recurrent_weights(self) -> str:
        """The recurrent weights that tell cell and size, or any tensor, with its shape."""
        return self.shown(self.recurrent_weights or self.own_names[0])

    def _gaps(self) -> Iterator[str]:
        """Yield the faults of missing layers and directions."""
        layers = sorted({part.layer for part in self.names})
        for before, layer in zip((-1, *layers), layers, strict=False):
            if layer != before + 1:
                yield (
                    f"{self._first(Part(layer, False), Part(layer, True))} is of layer {layer}, "
                    f"and layer {before + 1} is missing"
                )
            here = [Part(layer, False), Part(layer, True)][: self.directions]
            for part in here:
                if part not in self.names:
                    direction = "backward" if part.reverse else "forward"
                    alike = [other for other in self.names if other.reverse == part.reverse]
                    other = self._first(*alike, *self.names)
                    yield (
                        f"layer {layer} of {self.title} has no {direction} direction beside {other}"
                    )

    def _first(self, *parts: Part) -> str:
        """Return the name of a tensor of the first of these parts that there is."""
        kinds = next(self.names[part] for part in parts if part in self.names)
        return next(iter(kinds.values()))

    def _missing(self) -> Iterator[str]:
        """Yield the faults of missing tensors of a part that has others."""
        biases = {
            part: [kinds[kind] for kind in BIASES if kind in kinds]
            for part, kinds in self.names.items()
        }
        anywhere = [name for names in biases.values() for name in names]
        for part, kinds in self.names.items():
            # In a loop each cell may have biases or none.
            beside = biases[part] or ([] if self.loop else anywhere)
            wanted = [*WEIGHTS, *(BIASES if beside else ())]
            for kind in wanted:
                if kind not in kinds:
                    where = "" if self.loop else part.suffix
                    other = beside[0] if kind in BIASES else self._first(part)
                    yield f"there is no {kind}{where} beside {other}"

    def _wrong_shapes(self) -> Iterator[str]:
        """Yield the faults of tensors whose shapes are not those of the cell."""
        if self.recurrent_weights is None:
            return
        if self.cell is None:
            blocks = ", ".join(f"{CELLS[name].title} {n}" for n, name in CELL_OF_GATES.items())
            yield (
                f"{self.shown(self.recurrent_weights)} fits no cell: its rows must be a multiple "
                f"of its columns ({blocks})"
            )
            return
        rows, hidden = self.tensors[self.recurrent_weights].shape
        for part, kinds in self.names.items():
            width = self.directions * hidden if part.layer else self.input_size
            wanted = {
                "weight_ih": [rows, width],
                "weight_hh": [rows, hidden],
                "bias_ih": [rows],
                "bias_hh": [rows],
            }
            for kind, name in kinds.items():
                if [*self.tensors[name].shape] != wanted[kind]:
                    yield (
                        f"{self.shown(name)} must be "
                        f"{str(wanted[kind]).replace('None', 'width of the embedding')} beside "
                        f"{self.shown(self.recurrent_weights)} of {CELLS[self.cell].title}"
                    )


def find_recurrences(tensors: Mapping[str, Tensor]) -> list[Recurrence]:
    """Return the recurrences among tensors, one for each prefix.

    Cells whose prefixes differ in their last number alone, such as `cells.0` and `cells.1`, are the
    layers of one recurrence.
    """
    modules: defaultdict[tuple[str, bool], dict[Part, dict[str, str]]] = defaultdict(dict)
    prefixes: dict[tuple[str, bool], str] = {}
    for name in sorted(tensors):
        match = SUFFIX.fullmatch(name)
        if not match:
            continue
        prefix, layer = match["prefix"] or "", match["layer"]
        loop = layer is None
        stem, number = split_number(prefix) if loop else (prefix, int(layer))
        key = (stem, loop)
        prefixes.setdefault(key, prefix)
        kinds = modules[key].setdefault(Part(number, bool(match["reverse"])), {})
        kinds.setdefault(match["kind"], name)  # of cell.1 and cell.01 one has no place
    return [
        Recurrence(prefixes[key], renumbered(parts) if key[1] else ordered(parts), tensors, key[1])
        for key, parts in modules.items()
    ]


def split_number(prefix: str) -> tuple[str, int]:
    """Return a prefix with `#` in place of its last number, and that number."""
    match = LAST_NUMBER.fullmatch(prefix)
    if not match:
        return prefix, 0
    before, number, after = match.groups()
    return f"{before}#{after}", int(number)


def ordered(parts: dict[Part, dict[str, str]]) -> dict[Part, dict[str, str]]:
    """Return the parts in the order of layers, and their tensors in PyTorch's."""
    return {
        part: {kind: parts[part][kind] for kind in WHAT if kind in parts[part]}
        for part in sorted(parts)
    }


def renumbered(parts: dict[Part, dict[str, str]]) -> dict[Part, dict[str, str]]:
    """Return a loop's layers, counted from 0: people count from 0 or 1, and number other things."""
    first = min(part.layer for part in parts)
    least = first if first <= 1 or len(parts) == 1 else 0
    return ordered({Part(part.layer - least, False): kinds for part, kinds in parts.items()})
