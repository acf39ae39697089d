"""A network from a file of weights: recognised, built, and described for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hello_runtime.errors import printable
from hello_runtime.model.model_file import Unknown
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from torch import Tensor

from hello_export.errors import IntakeError
from hello_export.intake.alphabets import Given, listed, read_entries
from hello_export.intake.network import Rows, build_network, find_rows
from hello_export.intake.recognise import Choices, Parts, recognise
from hello_export.intake.weights import own_name, read_weights, rounding_note, short, value_faults

EXAMPLE = 5
"""Characters of the example, at most."""
POLICIES: dict[Unknown, str] = {
    "error": "are an error",
    "copy": "are copied",
    "label": "get the label that the network chooses",
}
"""What happens to unknown characters, in words."""


@dataclass(frozen=True)
class Outside:
    """A network from outside."""

    network: Network
    training: Training
    account: list[str]
    """What was recognised, in lines for people: each tensor with its role, then each odd row."""


@dataclass
class Faults:
    """Collects errors, so that all of them are told and not the first alone."""

    texts: list[str] = field(default_factory=list)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the error of this context."""
        try:
            yield
        except IntakeError as error:
            self.texts.append(str(error))

    def check(self) -> None:
        """Raise what was collected.

        Raises:
            IntakeError: there was an error.
        """
        if self.texts:
            raise IntakeError("; ".join(self.texts))


def read_network(
    file: Path,
    alphabet: Given,
    labels: Given | None = None,
    choices: Choices | None = None,
    unknown: Unknown | None = None,
    unknown_token: str | None = None,
) -> Outside:
    """Read a network from a file of weights.

    Args:
        file: a state dict or a program; see `hello_export.intake.weights`.
        alphabet: what the embedding's rows stand for; see `hello_export.intake.alphabets`.
        labels: what the logits stand for; None for the alphabet.
        choices: what decides where two readings fit.
        unknown: the policy for unknown characters; None for the network's own.
        unknown_token: the entry of the alphabet that stands for unknown characters.

    Raises:
        IntakeError: the text has everything that is wrong.
    """
    faults = Faults()
    with faults.collecting():
        entries = read_entries(alphabet)
    with faults.collecting():
        label_entries = None if labels is None else read_entries(labels)
    with faults.collecting():
        weights = read_weights(file)
        with faults.collecting():
            parts = recognise(weights.tensors, own_names(choices or Choices()), str(file))
            used = {name: weights.tensors[name] for name in parts.roles}
            faults.texts += [f"{file}: {fault}" for fault in value_faults(used)]
    faults.check()
    try:
        network = build_network(parts, entries, label_entries, unknown, unknown_token)
    except IntakeError as error:
        raise IntakeError(f"{file}: {error}") from error
    source = {"file": printable(file.name), "sha256": weights.sha256}
    rows = find_rows(parts, entries, unknown_token)
    return Outside(
        network,
        Training.from_outside(source, example(network.config.input_alphabet)),
        [
            f"{file}: {summary(network.config)}",
            *tensor_lines(parts, weights.tensors),
            *row_lines(rows, network.config.unknown),
            *filter(None, [rounding_note(used)]),
        ],
    )


def own_names(choices: Choices) -> Choices:
    """Return choices whose names have no prefix that `read_weights` takes away."""
    return replace(
        choices,
        embedding=choices.embedding and own_name(choices.embedding),
        linear=choices.linear and own_name(choices.linear),
        ignored=tuple(map(own_name, choices.ignored)),
    )


def example(alphabet: str) -> str:
    """Return the first characters of an alphabet that can be seen, as an input to try."""
    seen = [char for char in alphabet if char.isprintable() and not char.isspace()]
    return "".join(seen[:EXAMPLE]) or alphabet[:1]


def summary(config: ModelConfig) -> str:
    """Return the form of a network, in words."""
    nonlinearity = f" ({config.nonlinearity})" * (len(CELLS[config.cell].nonlinearities) > 1)
    return (
        f"{CELLS[config.cell].title}{nonlinearity}, layers: {config.layers}, "
        f"directions: {config.directions}, hidden values: {config.hidden_size}, "
        f"linear layer: {'yes' if config.projection else 'none'}, "
        f"characters: {len(config.input_alphabet)}, labels: {config.labels}"
    )


def tensor_lines(parts: Parts, tensors: Mapping[str, Tensor]) -> list[str]:
    """Return each tensor with its type, shape and role, in columns."""
    told = parts.roles | {name: f"not used: {why}" for name, why in parts.ignored.items()}
    table = [
        (printable(name), f"{short(tensor.dtype)} {list(tensor.shape)}", told[name])
        for name, tensor in tensors.items()
    ]
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    return [f"  {name:<{widths[0]}}  {shape:<{widths[1]}}  {role}" for name, shape, role in table]


def row_lines(rows: Rows, unknown: Unknown) -> list[str]:
    """Return what the embedding's rows without a character are read for, in words."""
    lines = [f"unknown characters {POLICIES[unknown]}"]
    if rows.unknown is not None:
        read = "is left out" if unknown == "error" else "is read for them"
        lines = [f"{lines[0]}; row {rows.unknown} of the embedding {read}"]
    if rows.reserved:
        named = [
            str(id_) if entry is None else f"{id_} ({printable(entry)})"
            for id_, entry in rows.reserved.items()
        ]
        lines.append(f"rows of the embedding that no text reaches: {listed(named)}")
    return lines
