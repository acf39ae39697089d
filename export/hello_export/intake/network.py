"""Makes a network of ours of what was recognised, with its alphabet and labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hello_runtime.errors import printable
from hello_runtime.model.model_file import Unknown
from hello_train.errors import ConfigError
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from torch import Tensor

from hello_export.errors import IntakeError
from hello_export.intake.alphabets import Entries, listed
from hello_export.intake.recognise import Parts

WITH_UNKNOWN_ROW: Unknown = "label"
"""The policy for unknown characters of a network that has a row for them."""


@dataclass(frozen=True)
class Rows:
    """Which rows of an embedding the network keeps."""

    characters: dict[str, int]
    """The row of each character of the alphabet, in the order of ids."""
    unknown: int | None
    """The row of unknown characters, if there is one."""
    reserved: dict[int, str | None]
    """The rows that no text reaches, with their entries."""


def build_network(
    parts: Parts,
    alphabet: Entries,
    labels: Entries | None = None,
    unknown: Unknown | None = None,
    unknown_token: str | None = None,
) -> Network:
    """Return the network of recognised parts, with its weights in float32.

    Args:
        parts: what was recognised.
        alphabet: the entry of each row of the embedding. With one row more than entries, the last
            row is read for unknown characters.
        labels: what each logit stands for; None for the alphabet.
        unknown: what is written for an unknown character; None for its label if the network has a
            row for unknown characters, and for an error if it has none.
        unknown_token: the entry whose row is read for unknown characters.

    Raises:
        IntakeError: sizes disagree, or the network cannot be ours; the text has all that is wrong.
    """
    labels = labels or alphabet
    rows = find_rows(parts, alphabet, unknown_token)
    policy = unknown or ("error" if rows.unknown is None else WITH_UNKNOWN_ROW)
    faults = size_faults(parts, alphabet, labels, unknown_token)
    if policy != "error" and rows.unknown is None and unknown_token is None:
        faults.append(
            f"--unknown {policy} needs a row for unknown characters: name its entry with "
            f"--unknown-token, or give the last row of the embedding no entry"
        )
    written = label_alphabet(labels, faults)
    if faults:
        raise IntakeError("; ".join(faults))
    network = empty_network(parts, "".join(rows.characters), written, policy)
    kept = [*rows.characters.values()] + [rows.unknown] * (policy != "error")
    weights = {"embedding.weight": parts.embedding[torch.tensor(kept)]}
    weights |= {f"recurrence.{name}": tensor for name, tensor in parts.recurrence.items()}
    if parts.linear:
        weights |= {"projection.weight": parts.linear[0], "projection.bias": parts.linear[1]}
    network.load_state_dict({name: copied(tensor) for name, tensor in weights.items()}, assign=True)
    return network.eval()


def size_faults(
    parts: Parts, alphabet: Entries, labels: Entries, unknown_token: str | None
) -> list[str]:
    """Return where an alphabet or labels do not fit the tensors, in words."""
    faults = []
    rows, ids = len(parts.embedding), len(alphabet)
    if rows not in (ids, ids + (unknown_token is None)):
        faults.append(
            f"{tensor_name(parts, 'embedding')} has {rows} rows, and the alphabet "
            f"{alphabet.source} {ids} entries; each row needs one, but for a last row of unknown "
            f"characters"
        )
    if not alphabet.characters:
        faults.append(f"{alphabet.source}: none of its entries is one character")
    if unknown_token is not None and unknown_token not in alphabet.values:
        faults.append(
            f"{alphabet.source} has no entry {printable(unknown_token)!r} for --unknown-token"
        )
    if parts.labels != len(labels):
        named = "labels" if labels is not alphabet else "alphabet, of which the labels are,"
        faults.append(
            f"{logits_name(parts)} gives {parts.labels} logits, and the {named} {labels.source} "
            f"{len(labels)} entries; name the labels with --labels"
        )
    return faults


def find_rows(parts: Parts, alphabet: Entries, unknown_token: str | None) -> Rows:
    """Return what each row of the embedding is read for."""
    unknown = None
    if unknown_token is not None and unknown_token in alphabet.values:
        unknown = alphabet.values.index(unknown_token)
    elif unknown_token is None and len(parts.embedding) > len(alphabet):
        unknown = len(alphabet)
    reserved = {id_: entry for id_, entry in alphabet.reserved.items() if id_ != unknown}
    return Rows(alphabet.characters, unknown, reserved)


def label_alphabet(labels: Entries, faults: list[str]) -> str:
    """Return the labels as the output alphabet of a configuration, and add what is wrong of them.

    Args:
        labels: the entry of each logit.
        faults: to which the faults are added.
    """
    others = [
        f"{id_} is {'without an entry' if entry is None else repr(printable(entry))}"
        for id_, entry in labels.reserved.items()
    ]
    if others:
        faults.append(
            f"each label must be one character, and of {labels.source} {listed(others)}; "
            f"name the labels with --labels"
        )
    return "".join(labels.characters)


def empty_network(parts: Parts, alphabet: str, labels: str, unknown: Unknown) -> Network:
    """Return a network of this form, without values.

    Raises:
        IntakeError: its configuration is not valid.
    """
    try:
        config = ModelConfig(
            cell=parts.cell,
            input_alphabet=alphabet,
            output_alphabet=labels,
            embedding_dim=parts.embedding.shape[1],
            hidden_size=parts.hidden_size,
            layers=parts.layers,
            bidirectional=parts.bidirectional,
            projection=parts.linear is not None,
            unknown=unknown,
            guard=None,
            nonlinearity=parts.nonlinearity,
        )
    except ConfigError as error:
        raise IntakeError(str(error)) from error
    with torch.device("meta"):
        return Network(config)


def copied(tensor: Tensor) -> Tensor:
    """Return a copy of a weight in float32, which shares no memory with the module it is from."""
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous()


def tensor_name(parts: Parts, role: str) -> str:
    """Return the own name of the first tensor whose role has this word."""
    return next((name for name, words in parts.roles.items() if role in words), f"the {role}")


def logits_name(parts: Parts) -> str:
    """Return what gives the logits: the linear layer's weights, or the last layer's output."""
    return tensor_name(parts, "linear layer") if parts.linear else "the last hidden state"
