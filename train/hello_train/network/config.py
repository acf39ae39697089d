"""The configuration of a network: cell, sizes, alphabet, labels and policies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hello_runtime.model.labels import (
    LABELS_KEYS,
    Format,
    Guard,
    alphabet_labels,
    characters_of,
    check_guard,
    check_labels,
    guard_from_json,
    guard_to_json,
    labels_from_json,
    labels_to_json,
    oldest_format,
    width_of,
)
from hello_runtime.model.model_file import UNKNOWN_POLICIES, Unknown
from hello_runtime.model.tasks import Task, check_task, classes_from_json
from hello_runtime.text.edits import Edit
from hello_runtime.text.normal_forms import NORMAL_FORMS, NormalForm

from hello_train.errors import ConfigError, shortened
from hello_train.network.cells import CELLS

FORBIDDEN_LOGIT = -(2.0**100)
"""The logit of a label that the guard forbids. It is finite, so that logits can be compared, far
below other logits, and a power of two, which float32, float64 and bfloat16 represent exactly."""
LARGEST_TABLE = 2**30
"""Entries of the guard's table, at most; a byte each. In files of format 1 it has a row for each
input character, otherwise one for each class."""

FIELD_TYPES: dict[type, tuple[str, ...]] = {
    str: ("cell", "input_alphabet", "unknown", "nonlinearity", "normalization"),
    int: ("embedding_dim", "hidden_size", "layers"),
    bool: ("bidirectional", "projection"),
}
"""The fields of a configuration by type. They are checked, because a file may hold others."""


def check_types(record: object, types: dict[type, tuple[str, ...]]) -> None:
    """Raise a ConfigError unless fields have these types, and UTF-8 can hold their texts."""
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
    output_labels: tuple[Edit, ...]
    """What the network may write for a character; the position of an edit is its label. Of the task
    `next` they are the characters of its alphabet, and a classifier has none."""
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
    guard: Guard | None
    """The possible labels of each input character; None if all are possible."""
    nonlinearity: str = "tanh"
    """Of the rnn cell: tanh or relu. Older files lack it."""
    normalization: NormalForm = "none"
    """The normal form of what it reads; files lack it where there is none."""
    task: Task = "rewrite"
    """What the network says of a text."""
    classes: tuple[str, ...] = ()
    """What a classifier may say of a line; the position of a class is its label."""

    def __post_init__(self) -> None:
        check_types(self, FIELD_TYPES)
        for name, possible in (
            ("cell", tuple(CELLS)),
            ("unknown", UNKNOWN_POLICIES),
            ("normalization", NORMAL_FORMS),
        ):
            if (value := getattr(self, name)) not in possible:
                raise ConfigError(
                    f"{name} is {shortened(value)}; it must be one of {', '.join(possible)}"
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
        alphabet = self.input_alphabet
        if not alphabet or len(set(alphabet)) != len(alphabet):
            raise ConfigError(
                f"input_alphabet {shortened(alphabet)} must name each character once, and one"
            )
        try:
            check_task(
                self.task,
                causal=not self.bidirectional,
                alphabet=alphabet,
                labels=self.output_labels,
                classes=self.classes,
                guard=self.guard,
                unknown=self.unknown,
            )
            if self.task == "rewrite":
                check_labels(self.output_labels)
            if self.guard is not None:
                check_guard(self.guard, alphabet, self.output_labels)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Raise a ConfigError unless the network and its guard have room for that many labels."""
        rows = self.unknown_id + 1
        if self.graph_format > 1:
            rows = 1 + len(set((self.guard or {}).values()))
        if rows * self.labels > LARGEST_TABLE:
            raise ConfigError(
                f"{self.unknown_id} characters read and {self.labels} labels are too many: the "
                f"table of what is possible may have {LARGEST_TABLE} entries at most; use a larger "
                f"--rare"
            )
        if not self.projection and self.features != self.labels:
            raise ConfigError(
                f"without a projection the {self.features} hidden values of a step are read as "
                f"the {self.labels} labels; use --projection"
            )

    @classmethod
    def from_json(cls, content: Any) -> ModelConfig:
        """Return the configuration that a file holds; its labels say in which format.

        Raises:
            ConfigError: its values contradict each other.
            ValueError: it is no configuration.
        """
        if not isinstance(content, dict):
            raise ValueError(f"config is {shortened(content)}")
        if "task" in content:
            return cls(**with_labels(content))
        version = 1 if LABELS_KEYS[1] in content else 2
        key = LABELS_KEYS[version]
        for name in (key, "input_alphabet", "guard"):
            if name not in content:
                raise ValueError(f"config has no {name}")
        labels = labels_from_json(content[key], version)
        guard = guard_from_json(content["guard"], version, content["input_alphabet"], labels)
        values = {name: value for name, value in content.items() if name != key}
        config = cls(**{**values, "output_labels": labels, "guard": guard})
        if config.format_version != version:
            raise ValueError(f"config has {key}, as in format {version}")
        return config

    def to_json(self, version: Format | None = None) -> dict[str, Any]:
        """Return the configuration as a file of a version holds it, by default `format_version`."""
        version = version or self.format_version
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["classes"] = list(self.classes)
        if self.task == "rewrite":
            values["output_labels"] = labels_to_json(self.output_labels, version)
            values["guard"] = guard_to_json(self.guard, self.output_labels, version)
        left_out = {
            "rewrite": {"task", "classes"},
            "next": {"output_labels", "guard", "classes"},
            "classify": {"output_labels", "guard"},
        }[self.task]
        if self.normalization == "none":  # as files have it that are older than this field
            left_out.add("normalization")
        names = {"output_labels": LABELS_KEYS[version]}
        return {names.get(n, n): value for n, value in values.items() if n not in left_out}

    @property
    def labels(self) -> int:
        """Number of labels, or of classes."""
        return len(self.classes or self.output_labels)

    @property
    def output_alphabet(self) -> str:
        """The characters that the network may write, besides those that it keeps."""
        return characters_of(self.output_labels)

    @property
    def width(self) -> int | None:
        """The most characters that a label writes; None if every label writes exactly one."""
        return width_of(self.output_labels) if self.task == "rewrite" else None

    @property
    def directions(self) -> int:
        """1 for a causal network, 2 for a bidirectional one."""
        return 2 if self.bidirectional else 1

    @property
    def has_state(self) -> bool:
        """Whether it goes on from a state; otherwise it needs whole lines, and their lengths."""
        return not self.bidirectional and self.task != "classify"

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
    def graph_format(self) -> Format:
        """The format of its graph, in which normal forms play no part."""
        return oldest_format(self.output_labels, self.unknown)

    @property
    def format_version(self) -> Format:
        """The oldest format of files that can hold this configuration."""
        return oldest_format(self.output_labels, self.unknown, self.normalization, self.task)

    @property
    def model_format(self) -> Format:
        """The format of its ONNX file.

        In format 1 a graph copies unknown characters even where they are refused, and runtimes
        rely on it that were told to copy them. Ours does not, and says format 2.
        """
        return 2 if self.unknown == "error" else self.format_version


def with_labels(content: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration whose file names a task other than `rewrite`.

    Raises:
        ValueError: the file has what belongs to another task, or lacks something.
    """
    task = content["task"]
    if task not in ("next", "classify"):
        raise ValueError(f"task is {shortened(task)}")
    if foreign := sorted({"guard", *LABELS_KEYS.values()} & content.keys()):
        raise ValueError(f"config has {foreign[0]}, and its task is {task}")
    labels: dict[str, Any] = {"output_labels": (), "guard": None}
    if task == "classify":
        labels["classes"] = classes_from_json(content.get("classes"))
    elif isinstance(alphabet := content.get("input_alphabet"), str):
        labels["output_labels"] = alphabet_labels(alphabet)
    return {**content, **labels}
