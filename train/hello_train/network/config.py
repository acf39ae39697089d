"""The configuration of a network: cell, sizes, alphabets and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hello_runtime.model.model_file import UNKNOWN_POLICIES, Unknown, oldest_format

from hello_train.errors import ConfigError, shortened
from hello_train.network.cells import CELLS

FORBIDDEN_LOGIT = -(2.0**100)
"""The logit of a label that the guard forbids. It is finite, so that logits can be compared, far
below other logits, and a power of two, which float32, float64 and bfloat16 represent exactly."""
LARGEST_TABLE = 2**30
"""Entries of the guard's table, [input characters, labels], at most; a byte each."""

FIELD_TYPES: dict[type, tuple[str, ...]] = {
    str: ("cell", "input_alphabet", "output_alphabet", "unknown", "nonlinearity"),
    int: ("embedding_dim", "hidden_size", "layers"),
    bool: ("bidirectional", "projection"),
}
"""The fields of a configuration by type. They are checked, because a file may hold others."""


def check_types(record: object, types: dict[type, tuple[str, ...]]) -> None:
    """Check the types of a record's fields, and that its texts can be written as UTF-8.

    Raises:
        ConfigError: some fields have another type.
    """
    faults = []
    for expected, names in types.items():
        for name in names:
            value = getattr(record, name)
            if type(value) is not expected:
                faults.append(
                    f"{name} is {shortened(value)}; it must be of type {expected.__name__}"
                )
            elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
                faults.append(f"{name} has a surrogate, which is no character")
    if faults:
        raise ConfigError("; ".join(faults))


@dataclass(frozen=True)
class ModelConfig:
    """The configuration of one network; it travels with the weights, in every file.

    Raises:
        ConfigError: the values contradict each other.
    """

    cell: str
    """The recurrence, a key of `CELLS`."""
    input_alphabet: str
    """The characters that the network reads; the position of a character is its id."""
    output_alphabet: str
    """The characters that the network writes; the position of a character is its label."""
    embedding_dim: int
    """Width of the embedding."""
    hidden_size: int
    """Width of the hidden state, in each direction."""
    layers: int
    """Number of stacked recurrent layers."""
    bidirectional: bool
    """Whether each layer also reads the line backwards; otherwise the model is causal."""
    projection: bool
    """Whether a Linear layer makes logits of the hidden states; otherwise they are the logits."""
    unknown: Unknown
    """What a character outside `input_alphabet` gets: an error, a copy of itself, or a label."""
    guard: Mapping[str, str] | None
    """The possible output characters of each input character; None if all are possible."""
    nonlinearity: str = "tanh"
    """Of the rnn cell: tanh or relu. Older files lack it."""

    def __post_init__(self) -> None:
        check_types(self, FIELD_TYPES)
        if self.cell not in CELLS:
            raise ConfigError(
                f"cell is {shortened(self.cell)}; it must be one of {', '.join(CELLS)}"
            )
        if self.unknown not in UNKNOWN_POLICIES:
            raise ConfigError(
                f"unknown is {shortened(self.unknown)}; it must be one of "
                f"{', '.join(UNKNOWN_POLICIES)}"
            )
        choice = CELLS[self.cell].nonlinearities
        if self.nonlinearity not in choice:
            raise ConfigError(
                f"nonlinearity is {shortened(self.nonlinearity)}; of {self.cell} it must be "
                f"{' or '.join(choice)}"
            )
        for name in ("embedding_dim", "hidden_size", "layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("input_alphabet", "output_alphabet"):
            alphabet = getattr(self, name)
            if not alphabet or len(set(alphabet)) != len(alphabet):
                raise ConfigError(
                    f"{name} {shortened(alphabet)} must name each character once, and one"
                )
        if (self.unknown_id + 1) * self.labels > LARGEST_TABLE:
            raise ConfigError(
                f"{self.unknown_id} characters read and {self.labels} written are too many: their "
                f"product may be {LARGEST_TABLE} at most; use a larger --rare"
            )
        if "\n" in self.output_alphabet:
            raise ConfigError("output_alphabet has LF, which would make two lines of one")
        if not self.projection and self.features != self.labels:
            raise ConfigError(
                f"without a projection the {self.features} hidden values of a step are read as "
                f"the {self.labels} labels; use --projection"
            )
        if self.guard is not None and (
            not isinstance(self.guard, dict)
            or not all(isinstance(outputs, str) for outputs in self.guard.values())
            or set(self.guard) != set(self.input_alphabet)
            or not all(self.guard.values())
            or not set("".join(self.guard.values())) <= set(self.output_alphabet)
        ):
            raise ConfigError("the guard must give every input character its possible outputs")

    @property
    def labels(self) -> int:
        """Number of output characters."""
        return len(self.output_alphabet)

    @property
    def directions(self) -> int:
        """1 for a causal network, 2 for a bidirectional one."""
        return 2 if self.bidirectional else 1

    @property
    def features(self) -> int:
        """Hidden values of a step, in all directions together."""
        return self.directions * self.hidden_size

    @property
    def slots(self) -> int:
        """Rows of a causal network's state: one for each state of each layer."""
        return self.layers * len(CELLS[self.cell].states)

    @property
    def unknown_id(self) -> int:
        """The id of a character outside the input alphabet."""
        return len(self.input_alphabet)

    @property
    def learns_unknown(self) -> bool:
        """Whether the embedding has a row for unknown characters."""
        return self.unknown != "error"

    @property
    def copies_unknown(self) -> bool:
        """Whether an unknown character is copied, where it is not refused."""
        return self.unknown != "label"

    @property
    def format_version(self) -> int:
        """The oldest format of files that can hold this configuration."""
        return oldest_format(self.unknown)
