"""A network from outside: built of what was recognised, and described for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hello_runtime.errors import printable
from hello_runtime.model.model_file import Unknown
from hello_runtime.model.tasks import Task
from hello_runtime.text.normal_forms import NormalForm
from hello_train.network.checkpoint import Training
from hello_train.network.model import Network
from torch import Tensor

from hello_export.errors import IntakeError
from hello_export.intake.account import account, example
from hello_export.intake.alphabets import Entries, Given, GivenLabels, read_entries, read_labels
from hello_export.intake.faults import Faults
from hello_export.intake.network import build_network, find_rows, label_edits
from hello_export.intake.recognise import Choices, Parts, recognise
from hello_export.intake.weights import own_name, read_weights, value_faults


@dataclass(frozen=True)
class Vocabulary:
    """What a network reads and says, which its tensors do not tell."""

    alphabet: Given
    """What the embedding's rows stand for; see `hello_export.intake.alphabets`."""
    labels: GivenLabels | None = None
    """What the logits stand for, of a classifier its classes; None for the alphabet."""
    task: Task = "rewrite"
    normalization: NormalForm = "none"
    """The normal form of the text that it learned."""
    unknown: Unknown | None = None
    """The policy for unknown characters; None for the network's own."""
    unknown_token: str | None = None
    """The entry of the alphabet that stands for unknown characters."""

    def read(self, faults: Faults) -> tuple[Entries | None, Entries | None]:
        """Return the entries of alphabet and labels; None, and a fault, where there are none."""
        entries = labels = None
        with faults.collecting():
            entries = read_entries(self.alphabet)
        with faults.collecting():
            labels = entries if self.labels is None else read_labels(self.labels)
        return entries, labels


@dataclass(frozen=True)
class Outside:
    """A network from outside."""

    network: Network
    training: Training
    account: list[str]
    """What was recognised, in lines for people."""


def read_network(file: Path, vocabulary: Vocabulary, choices: Choices) -> Outside:
    """Read a network from a file of weights; see `hello_export.intake.weights`.

    Raises:
        IntakeError: the text has everything that is wrong.
    """
    faults = Faults()
    entries, labels = vocabulary.read(faults)
    with faults.collecting():
        weights = read_weights(file)
        parts = recognise(weights.tensors, own_names(choices), str(file))
        used = {name: weights.tensors[name] for name in parts.roles}
        faults.texts += [f"{file}: {fault}" for fault in value_faults(used)]
    if faults.texts and labels and vocabulary.task != "classify":
        with faults.collecting():  # without other faults `build_network` does it
            label_edits(labels)
    faults.check()
    assert entries
    source = {"file": printable(file.name), "sha256": weights.sha256}
    try:
        return assemble(str(file), source, parts, weights.tensors, vocabulary, entries, labels)
    except IntakeError as error:
        raise IntakeError(f"{file}: {error}") from error


def assemble(
    name: str,
    source: dict[str, str],
    parts: Parts,
    tensors: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    entries: Entries,
    labels: Entries | None,
) -> Outside:
    """Return the network of recognised parts.

    `name` is that of the file or module, for people, and `source` goes into the description of its
    training. `tensors` are by their own names, the unused ones too.

    Raises:
        IntakeError: sizes disagree, or the network cannot be ours; the text has all that is wrong.
    """
    token = vocabulary.unknown_token
    network = build_network(
        parts,
        entries,
        labels,
        unknown=vocabulary.unknown,
        unknown_token=token,
        task=vocabulary.task,
        normalization=vocabulary.normalization,
    )
    return Outside(
        network,
        Training.from_outside(source, example(network.config.input_alphabet)),
        account(name, network.config, parts, tensors, find_rows(parts, entries, token)),
    )


def own_names(choices: Choices) -> Choices:
    """Return choices whose names have no prefix that `read_weights` takes away."""
    return replace(
        choices,
        embedding=choices.embedding and own_name(choices.embedding),
        linear=choices.linear and own_name(choices.linear),
        ignored=tuple(map(own_name, choices.ignored)),
    )
