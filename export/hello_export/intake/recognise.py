"""Recognises a network among tensors: embedding, recurrence and linear layer.

The recurrence is found by PyTorch's names of its tensors, whatever stands before them. The
embedding and the linear layer are found by their shapes: the recurrence says how wide they are. A
reading gives each tensor a role. If two readings fit, a choice must decide; if none gives every
tensor a role, the tensors that are left are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hello_runtime.errors import printable
from hello_train.network.cells import CELLS
from torch import Tensor

from hello_export.errors import IntakeError
from hello_export.intake.readings import NONE, Reading, beside, matrices, readings, shown
from hello_export.intake.recurrence import Recurrence, find_recurrences

SUPPORTED = (
    "supported are one embedding, one nn.RNN, nn.GRU or nn.LSTM or a loop of their cells, and one "
    "linear layer or none"
)
PARAMETRIZED = re.compile(r"(?:^|\.)parametrizations\.|weight\w*_[gv]$")
"""The names of what a weight is computed from."""


@dataclass(frozen=True)
class Choices:
    """What decides where two readings of the same tensors fit."""

    cell: str | None = None
    """The cell of the recurrence to take, a key of `CELLS`."""
    nonlinearity: str | None = None
    """tanh or relu: of an RNN's weights it must be given, because they do not say it."""
    embedding: str | None = None
    """The name of the embedding's tensor, or its prefix."""
    linear: str | None = None
    """The name of the linear layer's weights, or their prefix; `none` for no linear layer."""
    ignored: tuple[str, ...] = ()
    """Prefixes of the tensors to leave out."""


@dataclass(frozen=True)
class Parts:
    """What was recognised: the parts of one network, in the types that their tensors had."""

    cell: str
    """A key of `CELLS`."""
    nonlinearity: str
    """tanh or relu."""
    layers: int
    bidirectional: bool
    hidden_size: int
    embedding: Tensor
    """[rows, width]"""
    recurrence: dict[str, Tensor]
    """By the names of `nn.RNNBase`, `weight_ih_l0` and so on; zeros where there is no bias."""
    linear: tuple[Tensor, Tensor] | None
    """Weight [labels, features] and bias [labels], zeros if there is none; None if the hidden
    states are the logits."""
    roles: dict[str, str]
    """What each tensor was recognised as, in words, by its own name."""
    padding: int | None = None
    """The `padding_idx` of the embedding, where a module says it."""
    ignored: dict[str, str] = field(default_factory=dict)
    """Why each of the other tensors was left out, in words, by its own name."""

    @property
    def labels(self) -> int:
        """How many logits a step has."""
        features = self.hidden_size * (2 if self.bidirectional else 1)
        return self.linear[0].shape[0] if self.linear else features


def recognise(
    tensors: Mapping[str, Tensor], choices: Choices | None = None, source: str = "the weights"
) -> Parts:
    """Recognise the parts of a network among its tensors.

    Args:
        tensors: by their names, as in a state dict.
        choices: what to take where two readings fit.
        source: what holds the tensors, for the error; it may be empty.

    Raises:
        IntakeError: the text has everything that is wrong, with the tensors' own names.

    Example:
        >>> from torch import nn
        >>> net = nn.ModuleDict({"emb": nn.Embedding(4, 10), "gru": nn.GRU(10, 4)})
        >>> parts = recognise(net.state_dict())
        >>> parts.cell, parts.layers, parts.linear
        ('gru', 1, None)
        >>> parts.roles["emb.weight"]
        'embedding: 4 rows of width 10'
    """
    choices = choices or Choices()
    ignored = ignored_tensors(tensors, choices)
    kept = {name: tensor for name, tensor in tensors.items() if name not in ignored}
    everything = find_recurrences(kept)
    recurrent = {name for found in everything for name in found.own_names}
    rest = {name: tensor for name, tensor in kept.items() if name not in recurrent}
    candidates = chosen_cell(everything, choices)
    faults = [*unused_prefixes(tensors, choices), *recurrence_faults(everything, choices)]
    if len(candidates) == 1:
        faults += candidates[0].faults()
        faults += [SUPPORTED] * bool(candidates[0].projected)
        faults += reading_faults(rest, candidates[0], choices)
    else:
        faults += left_by_all(rest, everything)
    if faults:
        raise IntakeError(f"{source}: " * bool(source) + message(faults))
    for other in everything:
        if other is not candidates[0]:
            ignored |= dict.fromkeys(other.own_names, f"--cell chose {choices.cell}")
    return make_parts(rest, candidates[0], choices, ignored)


def message(faults: Sequence[str]) -> str:
    """Return faults as one line; what is supported comes last, and once."""
    last = [SUPPORTED] * (SUPPORTED in faults)
    return printable("; ".join([fault for fault in faults if fault != SUPPORTED] + last))


def ignored_tensors(tensors: Iterable[str], choices: Choices) -> dict[str, str]:
    """Return the tensors that a choice leaves out, and the choice."""
    return {
        name: f"--ignore {prefix}"
        for name in tensors
        for prefix in choices.ignored
        if begins_with(name, prefix)
    }


def begins_with(name: str, prefix: str) -> bool:
    """Tell whether a tensor has this name, or belongs to a module of this name."""
    return f"{name}.".startswith(f"{prefix.rstrip('.')}.")


def unused_prefixes(tensors: Iterable[str], choices: Choices) -> list[str]:
    """Return the faults of prefixes that no tensor has."""
    names = [*tensors]
    return [
        f"--ignore {prefix}: no tensor has this prefix"
        for prefix in choices.ignored
        if not any(begins_with(name, prefix) for name in names)
    ]


def chosen_cell(everything: Iterable[Recurrence], choices: Choices) -> list[Recurrence]:
    """Return the recurrences of the chosen cell, or all of them."""
    return [found for found in everything if choices.cell in (None, found.cell)]


def recurrence_faults(everything: Sequence[Recurrence], choices: Choices) -> list[str]:
    """Return what keeps the choices from naming one recurrence and its nonlinearity."""
    if not everything:
        return [
            "there is no recurrence: no tensor is named weight_ih_l0, as in nn.RNN, nn.GRU and "
            "nn.LSTM, or weight_ih, as in their cells",
            SUPPORTED,
        ]
    faults = []
    listed = ", ".join(found.title for found in everything)
    candidates = chosen_cell(everything, choices)
    if not candidates:
        faults.append(f"--cell {choices.cell}: the recurrence is {listed}")
    elif len(candidates) > 1:
        cells = dict.fromkeys(found.cell for found in candidates if found.cell)
        by_cell = f"choose with --cell {' or '.join(cells)}, or " if len(cells) > 1 else ""
        listed = ", ".join(
            f"{found.title} with {found.shown_recurrent_weights}" for found in candidates
        )
        faults += [
            f"there are {len(candidates)} recurrences, {listed}: {by_cell}leave others out with "
            f"--ignore PREFIX",
            SUPPORTED,
        ]
    if len(candidates) == 1 and candidates[0].cell:
        faults += nonlinearity_faults(candidates[0].cell, choices.nonlinearity)
    return faults


def nonlinearity_faults(cell: str, chosen: str | None) -> list[str]:
    """Return what is wrong with the choice of a cell's nonlinearity."""
    possible, title = CELLS[cell].nonlinearities, CELLS[cell].title
    if chosen is None and len(possible) > 1:
        asked = " or ".join(f"--nonlinearity {name}" for name in possible)
        return [f"the weights of an {title} do not say its nonlinearity: add {asked}"]
    if chosen not in (None, *possible):
        return [f"--nonlinearity {chosen}: the nonlinearity of {title} is {' or '.join(possible)}"]
    return []


def reading_faults(
    rest: Mapping[str, Tensor], recurrence: Recurrence, choices: Choices
) -> list[str]:
    """Return what keeps the tensors from being an embedding and a linear layer, in one way."""
    if recurrence.input_size is None or recurrence.output_size is None:
        return []  # which is a fault of the recurrence
    best = readings(rest, recurrence, choices.embedding, choices.linear)
    faults = name_faults(rest, recurrence, choices)
    if best[0].embedding is None and not choices.embedding:
        faults.append(
            f"there is no embedding: the recurrence {recurrence.title} reads "
            f"{recurrence.input_size} values, and no other tensor is [rows, "
            f"{recurrence.input_size}]"
        )
    left = [name for name in rest if all(name not in reading for reading in best)]
    contested = [
        name for name in rest if name not in left and any(name not in reading for reading in best)
    ]
    if len(best) == 1:
        faults += bias_faults(rest, best[0].linear, left)
        faults += [] if choices.embedding else tied_faults(rest, best[0])
    faults += no_place(rest, left, recurrence)
    if contested:
        faults += [
            f"not all of {shown(rest, contested)} have a place beside each other: leave out with "
            f"--ignore what is not used",
            SUPPORTED,
        ]
    elif len(best) > 1 and not left:
        option = "linear" if best[0].embedding == best[1].embedding else "embedding"
        faults.append(
            f"{len(best)} readings fit: {'; or '.join(map(str, best))}: choose with "
            + " or ".join(f"--{option} {getattr(reading, option) or NONE}" for reading in best)
        )
    return faults


def name_faults(rest: Mapping[str, Tensor], recurrence: Recurrence, choices: Choices) -> list[str]:
    """Return the chosen names that no tensor of the right width has."""
    widths = {"embedding": recurrence.input_size, "linear": recurrence.features}
    return [
        f"--{option} {chosen}: no tensor of this name is [rows, {width}]"
        for option, width in widths.items()
        for chosen in [getattr(choices, option)]
        if chosen not in (None, NONE) and not matrices(rest, width, chosen)
    ]


def bias_faults(rest: Mapping[str, Tensor], linear: str | None, left: Sequence[str]) -> list[str]:
    """Return the fault of a linear layer's bias that has another width than its weights."""
    bias = linear and beside(linear, "bias")
    if linear and bias and bias in left:
        return [f"{shown(rest, [bias])} does not fit {shown(rest, [linear])}"]
    return []


def tied_faults(rest: Mapping[str, Tensor], reading: Reading) -> list[str]:
    """Return the fault of a linear layer that is the embedding too by its shape alone.

    Its bias has the same prefix, so it is a linear layer. There may be no embedding at all: a
    network may read one-hot vectors as wide as its hidden state.
    """
    name = reading.embedding
    if name is None or name != reading.linear or reading.bias != beside(name, "bias"):
        return []
    return [
        f"{shown(rest, [name])} is a linear layer, and there is no embedding beside it: if forward "
        f"reads it as the embedding too, add --embedding {name}"
    ]


def left_by_all(rest: Mapping[str, Tensor], everything: Sequence[Recurrence]) -> list[str]:
    """Return the fault of tensors that have no place beside any of the recurrences."""
    known = [found for found in everything if found.input_size and found.output_size]
    best = [reading for found in known for reading in readings(rest, found)]
    if everything and not known:
        return []
    return no_place(rest, [name for name in rest if all(name not in found for found in best)])


def no_place(
    rest: Mapping[str, Tensor], names: Sequence[str], recurrence: Recurrence | None = None
) -> list[str]:
    """Return the fault of tensors without a place, and what is supported."""
    if not names:
        return []
    sizes = ""
    if recurrence:
        sizes = (
            f": the embedding is [rows, {recurrence.input_size}], and the linear layer "
            f"[labels, {recurrence.features}] with a bias [labels] or none; leave out with "
            f"--ignore what forward does not use"
        )
    hint = ""
    if any(map(PARAMETRIZED.search, names)):
        hint = (
            "; of a weight with a parametrization save the result alone: call "
            "torch.nn.utils.parametrize.remove_parametrizations before"
        )
    return [f"no place for {shown(rest, names)}{sizes}{hint}", SUPPORTED]


def make_parts(
    rest: Mapping[str, Tensor], recurrence: Recurrence, choices: Choices, ignored: dict[str, str]
) -> Parts:
    """Return the parts of tensors that have no fault."""
    reading = readings(rest, recurrence, choices.embedding, choices.linear)[0]
    assert recurrence.cell
    assert recurrence.output_size
    assert reading.embedding
    embedding = rest[reading.embedding]
    rows, width = embedding.shape
    roles = {reading.embedding: f"embedding: {rows} rows of width {width}", **recurrence.roles()}
    linear = None
    if reading.linear:
        weight = rest[reading.linear]
        bias = rest[reading.bias] if reading.bias else weight.new_zeros(weight.shape[0])
        linear = weight, bias
        said = f"linear layer: {weight.shape[0]} labels from {weight.shape[1]} values"
        if reading.linear == reading.embedding:
            said = f"{roles[reading.embedding]}; and, tied to it, {said}"
        roles[reading.linear] = said
        if reading.bias:
            roles[reading.bias] = "linear layer: bias"
    return Parts(
        cell=recurrence.cell,
        nonlinearity=choices.nonlinearity or CELLS[recurrence.cell].nonlinearities[0],
        layers=recurrence.layers,
        bidirectional=recurrence.bidirectional,
        hidden_size=recurrence.output_size,
        embedding=embedding,
        recurrence=recurrence.weights(),
        linear=linear,
        roles=roles,
        ignored=ignored,
    )
