"""A network from a file of weights: recognised, built, and described for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hello_runtime.errors import printable
from hello_runtime.model.model_file import Unknown
from hello_runtime.model.tasks import Task
from hello_runtime.text.normal_forms import NormalForm
from hello_train.network.checkpoint import Training
from hello_train.network.model import Network

from hello_export.errors import IntakeError
from hello_export.intake.account import account, example
from hello_export.intake.alphabets import Given, GivenLabels, read_entries, read_labels
from hello_export.intake.faults import Faults
from hello_export.intake.network import build_network, find_rows, label_edits
from hello_export.intake.recognise import Choices, recognise
from hello_export.intake.weights import own_name, read_weights, value_faults


@dataclass(frozen=True)
class Outside:
    """A network from outside."""

    network: Network
    training: Training
    account: list[str]
    """What was recognised, in lines for people."""


def read_network(
    file: Path,
    alphabet: Given,
    labels: GivenLabels | None = None,
    choices: Choices | None = None,
    unknown: Unknown | None = None,
    unknown_token: str | None = None,
    task: Task = "rewrite",
    normalization: NormalForm = "none",
) -> Outside:
    """Read a network from a file of weights.

    Args:
        file: a state dict or a program; see `hello_export.intake.weights`.
        alphabet: what the embedding's rows stand for; see `hello_export.intake.alphabets`.
        labels: what the logits stand for; None for the alphabet.
        choices: what decides where two readings fit.
        unknown: the policy for unknown characters; None for the network's own.
        unknown_token: the entry of the alphabet that stands for unknown characters.
        task: what the network says of a text; the labels of a classifier are its classes.
        normalization: the normal form of the text that it learned.

    Raises:
        IntakeError: the text has everything that is wrong.
    """
    faults = Faults()
    entries = label_entries = None
    with faults.collecting():
        entries = read_entries(alphabet)
    with faults.collecting():
        label_entries = entries if labels is None else read_labels(labels)
    with faults.collecting():
        weights = read_weights(file)
        parts = recognise(weights.tensors, own_names(choices or Choices()), str(file))
        used = {name: weights.tensors[name] for name in parts.roles}
        faults.texts += [f"{file}: {fault}" for fault in value_faults(used)]
    if faults.texts and label_entries and task != "classify":
        with faults.collecting():  # without other faults `build_network` does it
            label_edits(label_entries)
    faults.check()
    assert entries
    try:
        network = build_network(
            parts, entries, label_entries, unknown, unknown_token, task, normalization
        )
    except IntakeError as error:
        raise IntakeError(f"{file}: {error}") from error
    source = {"file": printable(file.name), "sha256": weights.sha256}
    rows = find_rows(parts, entries, unknown_token)
    return Outside(
        network,
        Training.from_outside(source, example(network.config.input_alphabet)),
        account(str(file), network.config, parts, weights.tensors, rows),
    )


def own_names(choices: Choices) -> Choices:
    """Return choices whose names have no prefix that `read_weights` takes away."""
    return replace(
        choices,
        embedding=choices.embedding and own_name(choices.embedding),
        linear=choices.linear and own_name(choices.linear),
        ignored=tuple(map(own_name, choices.ignored)),
    )
