"""What was recognised of a network from outside, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping

from hello_runtime.errors import printable
from hello_runtime.model.model_file import Unknown
from hello_runtime.text.edits import KEEP
from hello_runtime.text.normal_forms import normalise
from hello_train.network.cells import CELLS
from hello_train.network.config import ModelConfig
from torch import Tensor

from hello_export.intake.alphabets import listed, shown_entry
from hello_export.intake.network import Rows
from hello_export.intake.recognise import Parts
from hello_export.intake.weights import rounding_note, short

EXAMPLE = 5
"""Characters of the example, at most."""
POLICIES: dict[Unknown, str] = {
    "error": "are an error",
    "copy": "are copied",
    "label": "get the label that the network chooses",
}
"""What happens to unknown characters, in words."""


def account(
    name: str, config: ModelConfig, parts: Parts, tensors: Mapping[str, Tensor], rows: Rows
) -> list[str]:
    """Return what was recognised: the network, each tensor with its role, then each odd row.

    `tensors` are by their own names, the unused ones too.
    """
    rounded = rounding_note({own: tensors[own] for own in parts.roles})
    return [
        f"{name}: {summary(config)}",
        *tensor_lines(parts, tensors),
        *row_lines(rows, config.unknown),
        *form_lines(config),
        *label_lines(config, parts.labels - config.labels),
        *([rounded] if rounded else []),
    ]


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
        (printable(name), f"{short(tensors[name].dtype)} {list(tensors[name].shape)}", role)
        for name, role in told.items()
    ]
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    return [f"  {name:<{widths[0]}}  {shape:<{widths[1]}}  {role}" for name, shape, role in table]


def row_lines(rows: Rows, unknown: Unknown) -> list[str]:
    """Return what the embedding's rows without a character are read for, in words."""
    lines = [f"unknown characters {POLICIES[unknown]}"]
    if rows.unknown is not None:
        read = "is left out" if unknown == "error" else "is read for them"
        lines = [f"{lines[0]}; row {rows.unknown} of the embedding {read}"]
    if rows.padding is not None:
        lines.append(f"the row of the embedding that is for padding is read for {rows.padding!r}")
    if rows.reserved:
        named = [f"{id_} ({shown_entry(entry)})" for id_, entry in rows.reserved.items()]
        lines.append(f"rows of the embedding that no text reaches: {listed(named)}")
    return lines


def form_lines(config: ModelConfig) -> list[str]:
    """Return the normal form of what is read, and the characters that no text in it has."""
    form = config.normalization
    if form == "none":
        return []
    changed = [char for char in config.input_alphabet if normalise(char, form) != char]
    lines = [f"text is brought into the normal form {form.upper()}"]
    if changed:
        lines.append(
            f"characters of the alphabet that no text in {form.upper()} has: "
            f"{listed([*map(ascii, changed)])}"
        )
    return lines


def label_lines(config: ModelConfig, left_out: int) -> list[str]:
    """Return the classes, or which labels write anything but one character of their own.

    `left_out` is the number of logits that the network has not.
    """
    if config.task == "next":
        never = f"; logits of other entries, which it never draws: {left_out}" if left_out else ""
        return [f"says after each character which one comes next{never}"]
    if config.task == "classify":
        return [f"classes: {printable(listed(config.classes))}"]
    named = [
        f"{number} ({shown_entry(label if KEEP in label else ''.join(map(str, label)))})"
        for number, label in enumerate(config.output_labels)
        if len(label) != 1 or KEEP in label
    ]
    return [f"labels that do not write one certain character: {listed(named)}"] if named else []
