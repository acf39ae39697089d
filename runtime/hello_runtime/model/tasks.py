"""The tasks: what a network says of a text.

- `rewrite`: what each character becomes, chosen from labels that are edits;
- `next`: which character comes next, after each one; a causal network, whose labels are the
  characters that it reads;
- `classify`: the class of the whole line, from the hidden states behind its last character and, for
  two directions, before its first one.

Files of format 1 hold no task and are of `rewrite`, and so are files of format 2 that hold none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from hello_runtime.errors import need
from hello_runtime.model.labels import alphabet_labels

if TYPE_CHECKING:
    from hello_runtime.model.labels import Guard
    from hello_runtime.model.model_file import Unknown
    from hello_runtime.text.edits import Edit

Task: TypeAlias = Literal["rewrite", "next", "classify"]
TASKS: tuple[Task, ...] = get_args(Task)

FEWEST_CLASSES = 2
LONGEST_CLASS = 1000
"""Characters of the name of a class, at most."""


def check_task(
    task: Task,
    *,
    causal: bool,
    alphabet: str,
    labels: Sequence[Edit],
    classes: Sequence[str],
    guard: Guard | None,
    unknown: Unknown,
) -> None:
    """Raise a ValueError unless a network has the labels, direction and policy of its task."""
    need(task in TASKS, f"task is {task!r:.60}; it must be one of {', '.join(TASKS)}")
    if task == "classify":
        check_classes(classes)
    else:
        need(not classes, f"it has classes, and its task is {task}")
    if task == "rewrite":
        return
    need(guard is None, f"it has a guard, and its task is {task}")
    need(unknown != "copy", f"unknown is 'copy', and its task is {task}: it writes no copies")
    if task == "classify":
        need(not labels, "it has labels beside its classes")
    else:
        need(
            causal, "its task is next, and it has two directions: it would see what it shall guess"
        )
        need(tuple(labels) == alphabet_labels(alphabet), "its labels are not its alphabet")


def check_classes(classes: Sequence[str]) -> None:
    """Raise a ValueError unless these name classes: two or more, each another line of text."""
    need(len(classes) >= FEWEST_CLASSES, f"it has {len(classes)} classes; two are the fewest")
    for name in classes:
        is_text = isinstance(name, str) and 0 < len(name) <= LONGEST_CLASS
        need(is_text and "\n" not in name, f"a class is {name!r:.60}; it must be a line of text")
        name.encode()
    need(len(set(classes)) == len(classes), "it has a class twice")


def classes_from_json(value: object) -> tuple[str, ...]:
    """Return the classes that a file holds.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(value, list):
        raise ValueError("its classes are not a list")
    check_classes(value)
    return tuple(value)
