"""Makes a network of ours of what was recognised, with its alphabet and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from hello_runtime.errors import need, printable
from hello_runtime.model.labels import alphabet_labels
from hello_runtime.model.model_file import Unknown
from hello_runtime.model.tasks import Task
from hello_runtime.text.edits import Edit, check_edit
from hello_runtime.text.normal_forms import NormalForm
from hello_train.errors import ConfigError
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from torch import Tensor

from hello_export.errors import IntakeError
from hello_export.intake.alphabets import Entries, Entry, listed, shown_entry
from hello_export.intake.faults import Faults
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
    reserved: dict[int, Entry | None]
    """The rows that no text reaches, with their entries."""
    padding: str | None = None
    """The character that reads the row for padding, if one does."""


def build_network(
    parts: Parts,
    alphabet: Entries,
    labels: Entries | None = None,
    *,
    unknown: Unknown | None = None,
    unknown_token: str | None = None,
    task: Task = "rewrite",
    normalization: NormalForm = "none",
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
        task: what the network says of a text. The labels of a classifier are its classes; of the
            task `next` the logits of entries that are no character are left out.
        normalization: the normal form of the text that it learned.

    Raises:
        IntakeError: sizes disagree, or the network cannot be ours; the text has all that is wrong.
    """
    labels = labels or alphabet
    if task == "next":
        parts, labels = without_reserved(parts, alphabet, labels)
    rows = find_rows(parts, alphabet, unknown_token)
    policy = unknown or ("error" if rows.unknown is None else WITH_UNKNOWN_ROW)
    faults = Faults(size_faults(parts, alphabet, labels, unknown_token))
    if policy != "error" and rows.unknown is None and unknown_token is None:
        faults.texts.append(
            f"--unknown {policy} needs a row for unknown characters: name its entry with "
            f"--unknown-token, or give the last row of the embedding no entry"
        )
    with faults.collecting():
        named = class_names(labels, alphabet) if task == "classify" else label_edits(labels)
    faults.check()
    network = empty_network(parts, "".join(rows.characters), named, policy, task, normalization)
    kept = [*rows.characters.values()] + [rows.unknown] * (policy != "error")
    weights = {"embedding.weight": parts.embedding[torch.tensor(kept)]}
    weights |= {f"recurrence.{name}": tensor for name, tensor in parts.recurrence.items()}
    if parts.linear:
        weights |= {"projection.weight": parts.linear[0], "projection.bias": parts.linear[1]}
    network.load_state_dict({name: copied(tensor) for name, tensor in weights.items()}, assign=True)
    return network.eval()


def without_reserved(parts: Parts, alphabet: Entries, labels: Entries) -> tuple[Parts, Entries]:
    """Return the parts and labels of a network of `next` that can draw nothing but characters.

    The logits of other entries, such as `<pad>`, are left out, so that the characters share all
    probability. Parts that do not fit are returned as they are.
    """
    kept = drawn_logits(alphabet, parts.labels, len(parts.embedding))
    if labels.values != alphabet.values or kept is None:
        return parts, labels
    eye = torch.eye(parts.labels), torch.zeros(parts.labels)
    weight, bias = (tensor[kept] for tensor in parts.linear or eye)
    return replace(parts, linear=(weight, bias)), Entries(labels.source, (*alphabet.characters,))


def drawn_logits(alphabet: Entries, logits: int, rows: int) -> list[int] | None:
    """Return which logits of a network of `next` stand for characters; None for all of them.

    There is a logit for each entry of the alphabet, or one more, that of the embedding's last row.

    >>> drawn_logits(Entries("", ("<pad>", "a", "b")), logits=4, rows=4)
    [1, 2]
    """
    kept = [*alphabet.characters.values()]
    return kept if len(kept) < logits and logits in (len(alphabet), rows) else None


def size_faults(
    parts: Parts, alphabet: Entries, labels: Entries, unknown_token: str | None
) -> list[str]:
    """Return where an alphabet or labels do not fit the tensors, in words."""
    faults = []
    rows, ids = len(parts.embedding), len(alphabet)
    if rows not in (ids, ids + (unknown_token is None)):
        last = "" if unknown_token else f", or {rows - 1} if its last row is for unknown characters"
        faults.append(
            f"{tensor_name(parts, 'embedding')} has {rows} rows, and the alphabet "
            f"{alphabet.source} has {ids} entries; it needs {rows}{last}"
        )
    padding = find_rows(parts, alphabet, unknown_token).padding
    if padding is not None and rows > ids:
        faults.append(
            f"row {alphabet.characters[padding]} of {tensor_name(parts, 'embedding')} is for "
            f"padding, and the alphabet {alphabet.source} gives it to {padding!r}: name the entry "
            f"of every row, such as <pad>, in a .txt or .json file"
        )
    if parts.labels != len(labels):
        which = "the labels are the alphabet," if labels is alphabet else "the labels"
        faults.append(
            f"{logits_name(parts)} gives {parts.labels} logits, and {which} {labels.source}, "
            f"of {len(labels)} entries; name {parts.labels} with --labels"
        )
    if not alphabet.characters:
        faults.append(f"{alphabet.source}: none of its entries is one character")
    if unknown_token is not None and unknown_token not in alphabet.values:
        faults.append(
            f"{alphabet.source} has no entry {printable(unknown_token)!r} for --unknown-token"
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
    padding = padding_row(parts)
    padded = next((char for char, id_ in alphabet.characters.items() if id_ == padding), None)
    return Rows(alphabet.characters, unknown, reserved, padded)


def padding_row(parts: Parts) -> int | None:
    """Return the embedding's row for padding, which `padding_idx` keeps at zeros; None if unknown.

    People often count their characters from 1 and have padding at 0. With an alphabet that does not
    say so, each character would be read as the one before it.
    """
    if parts.padding is not None:
        return parts.padding
    empty = [*(parts.embedding == 0).all(1).nonzero().flatten().tolist()]
    return empty[0] if len(empty) == 1 and len(parts.embedding) > 1 else None


def label_edits(labels: Entries) -> tuple[Edit, ...]:
    """Return labels as a configuration has them.

    Raises:
        IntakeError: an id has no label, or one that no network of ours may have.
    """
    edits: list[Edit] = []
    faults = []
    for id_, entry in enumerate(labels.values):
        edit = () if entry is None else tuple(entry)
        try:
            need(entry is not None, "each logit needs a label")
            check_edit(edit)
        except ValueError as error:
            faults.append(f"label {id_} is {shown_entry(entry)}: {error}")
        edits.append(edit)
    if faults:
        raise IntakeError(f"{labels.source}: {listed(faults, '; ')}; name the labels with --labels")
    return tuple(edits)


def class_names(labels: Entries, alphabet: Entries) -> tuple[str, ...]:
    """Return labels as the classes of a classifier.

    Raises:
        IntakeError: there are none, or one is no text.
    """
    if labels is alphabet:
        raise IntakeError("a classifier has classes: name them with --labels")
    names = [value for value in labels.values if isinstance(value, str)]
    if len(names) < len(labels):
        raise IntakeError(f"{labels.source}: each logit needs a class, which is a text")
    return tuple(names)


def empty_network(
    parts: Parts,
    alphabet: str,
    labels: tuple[Edit, ...] | tuple[str, ...],
    unknown: Unknown,
    task: Task,
    normalization: NormalForm,
) -> Network:
    """Return a network of this form, without values; the labels of a classifier are its classes.

    Raises:
        IntakeError: its configuration is not valid.
    """
    if task == "next" and labels != alphabet_labels(alphabet):
        raise IntakeError(
            "a network of the task next continues with what it reads: its logits must stand for "
            "the characters of the alphabet, in the same order, and for nothing else"
        )
    by_class = task == "classify"
    try:
        config = ModelConfig(
            cell=parts.cell,
            input_alphabet=alphabet,
            output_labels=() if by_class else labels,  # type: ignore[arg-type]
            embedding_dim=parts.embedding.shape[1],
            hidden_size=parts.hidden_size,
            layers=parts.layers,
            bidirectional=parts.bidirectional,
            projection=parts.linear is not None,
            unknown=unknown,
            guard=None,
            nonlinearity=parts.nonlinearity,
            normalization=normalization,
            task=task,
            classes=labels if by_class else (),  # type: ignore[arg-type]
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
