"""The metadata of a model: what it says of itself, parsed and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from hello_runtime.errors import ModelFileError, first_line, need
from hello_runtime.model.labels import (
    LABELS_KEYS,
    Format,
    Guard,
    alphabet_labels,
    characters_of,
    guard_from_json,
    labels_from_json,
    oldest_format,
    width_of,
)
from hello_runtime.model.model_file import NONLINEARITIES, UNKNOWN_POLICIES, WEIGHTS, Unknown
from hello_runtime.model.tasks import Task, check_task, classes_from_json
from hello_runtime.text.edits import apply
from hello_runtime.text.normal_forms import NORMAL_FORMS, NormalForm

if TYPE_CHECKING:
    from hello_runtime.text.edits import Edit

FORMAT_VERSION = 2
"""Newest format of the graph and its metadata that this runtime reads."""


class ModelInfo(NamedTuple):
    """The metadata of a model."""

    cell: str
    causal: bool
    """Whether it reads from left to right only and can stream; else it is bidirectional."""
    layers: int
    hidden_size: int
    input_alphabet: str
    output_labels: tuple[Edit, ...]
    """What it may write for a character: each label is a tuple of characters and of None, which
    stands for the character that was read. A classifier has none."""
    unknown: Unknown
    """The policy for a character outside `input_alphabet`."""
    guard: Guard | None
    """For each input character the numbers of its possible labels; None if all are possible."""
    nonlinearity: str
    """`tanh` or `relu`, for the cell rnn; files older than this field have `tanh`."""
    weights: str
    """The type of the stored weights; files older than this field have `float32`."""
    training: Mapping[str, Any]
    """The training data, and the scores."""
    normalization: NormalForm = "none"
    """The normal form into which it brings what it reads; files of format 1 lack this field."""
    task: Task = "rewrite"
    """`rewrite`, `next` or `classify`; see `hello_runtime.model.tasks`."""
    classes: tuple[str, ...] = ()
    """What a classifier may say of a line."""
    graph_copies: bool = False
    """Whether its graph copies unknown characters. So it does where they shall be copied, and in
    format 1 where they are refused."""

    @property
    def has_state(self) -> bool:
        """Whether it goes on from a state, and so can stream; otherwise it needs the whole line."""
        return self.causal and self.task != "classify"

    @property
    def label_count(self) -> int:
        """The number of its labels, or classes."""
        return len(self.classes or self.output_labels)

    @property
    def output_alphabet(self) -> str:
        """The characters that it may write, besides those that it keeps."""
        return characters_of(self.output_labels)

    @property
    def may_grow(self) -> bool:
        """Whether its states have no bound, so that they may leave float32 on a long text.

        Its probabilities are no numbers then; so they are asked for wherever it decodes.
        """
        return self.nonlinearity == "relu"

    @property
    def width(self) -> int | None:
        """The most characters that a label writes, at least 1; None if all write exactly one."""
        return width_of(self.output_labels)

    @property
    def changeable(self) -> frozenset[str] | None:
        """The characters that the guard lets become something else; None without a guard."""
        if self.guard is None:
            return None
        labels = self.output_labels
        return frozenset(
            char
            for char, numbers in self.guard.items()
            if any(apply(labels[number], char) != char for number in numbers)
        )

    @property
    def format_version(self) -> Format:
        """The oldest format that can say all of this."""
        return oldest_format(self.output_labels, self.unknown, self.normalization, self.task)


def parse_metadata(file: Path, metadata: Mapping[str, str]) -> ModelInfo:
    """Parse the metadata that `hello-export` wrote into a model.

    Raises:
        ModelFileError: it is missing or damaged, or its format is newer than this runtime.
    """
    written = metadata.get("format_version", "")
    if not (written.isdecimal() and len(written) < 10):
        raise ModelFileError(
            f"{file}: its metadata has no hello-rnn format_version; hello-export writes such models"
        )
    version = int(written)
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{file}: written in format {version}, and this hello-rnn reads up to format "
            f"{FORMAT_VERSION}; run: pip install --upgrade hello-rnn"
        )
    try:
        need(version in LABELS_KEYS, f"its format_version is {version}")
        alphabet = json.loads(metadata["input_alphabet"])
        check_alphabet(alphabet)
        task = cast(Task, metadata.get("task", "rewrite"))
        labels, guard, classes = parse_labels(task, metadata, version, alphabet)
        info = ModelInfo(
            cell=metadata["cell"],
            causal=json.loads(metadata["causal"]),
            layers=int(metadata["layers"]),
            hidden_size=int(metadata["hidden_size"]),
            input_alphabet=alphabet,
            output_labels=labels,
            unknown=cast(Unknown, metadata["unknown"]),
            guard=guard,
            nonlinearity=metadata.get("nonlinearity", "tanh"),
            weights=metadata.get("weights", "float32"),
            training=json.loads(metadata["training"], parse_constant=refuse_constant),
            normalization=cast(NormalForm, metadata.get("normalization", "none")),
            task=task,
            classes=classes,
            graph_copies=metadata["unknown"] in (("error", "copy") if version == 1 else ("copy",)),
        )
        check_info(info)
        # Format 2 too may refuse unknown characters: then its graph does not copy them.
        formats = {info.format_version} | ({2} if info.unknown == "error" else set())
        need(version in formats, f"its format_version is {version}")
    except KeyError as error:
        raise ModelFileError(f"{file}: its metadata lacks {error}; export it again") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{file}: damaged metadata ({first_line(error)}); export it again"
        ) from error
    return info


def parse_labels(
    task: Task, metadata: Mapping[str, str], version: int, alphabet: str
) -> tuple[tuple[Edit, ...], Guard | None, tuple[str, ...]]:
    """Return the labels, the guard and the classes of a model of a task.

    Raises:
        KeyError: they are missing.
        ValueError: they are none of such a model.
    """
    if task == "next":
        return alphabet_labels(alphabet), None, ()
    if task == "classify":
        return (), None, classes_from_json(json.loads(metadata["classes"]))
    labels = labels_from_json(json.loads(metadata[LABELS_KEYS[version]]), version)
    guard = guard_from_json(json.loads(metadata["guard"]), version, alphabet, labels)
    return labels, guard, ()


def refuse_constant(name: str) -> None:
    """Raise a ValueError for NaN or Infinity, which Python reads in JSON, and others do not."""
    raise ValueError(f"its training has {name}")


def check_alphabet(alphabet: object) -> None:
    """Raise a ValueError unless an alphabet is a text without surrogates, each character once."""
    if not (isinstance(alphabet, str) and alphabet):
        raise ValueError("an alphabet is not a text")
    alphabet.encode()
    need(len(set(alphabet)) == len(alphabet), "an alphabet has a character twice")


def check_info(info: ModelInfo) -> None:
    """Raise a ValueError unless a model's metadata, other than its labels, have valid values."""
    need(info.cell.isidentifier(), f"cell is {info.cell!r}")
    need(info.unknown in UNKNOWN_POLICIES, f"unknown is {info.unknown!r}")
    need(info.nonlinearity in NONLINEARITIES, f"nonlinearity is {info.nonlinearity!r}")
    need(info.weights in WEIGHTS, f"weights are {info.weights!r}")
    need(info.normalization in NORMAL_FORMS, f"normalization is {info.normalization!r}")
    need(isinstance(info.causal, bool), "causal is neither true nor false")
    need(info.layers > 0 and info.hidden_size > 0, "it has no layers, or they have no width")
    need(isinstance(info.training, dict), "training is not an object")
    check_task(
        info.task,
        causal=info.causal,
        alphabet=info.input_alphabet,
        labels=info.output_labels,
        classes=info.classes,
        guard=info.guard,
        unknown=info.unknown,
    )
