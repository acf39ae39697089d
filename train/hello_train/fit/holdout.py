"""The held-out lines of a run, in its folder: what a model is measured on again later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hello_runtime.model.tasks import Task
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_runtime.text.files import write_whole
from hello_runtime.text.lines import read_lines
from hello_runtime.text.pairs import (
    AnyPair,
    is_writable,
    parse_class,
    read_pairs,
    split_pair,
    write_pairs,
)
from hello_runtime.text.passages import passages_of

from hello_train.data.sources import passage_pair
from hello_train.files import HOLDOUT_NAME, HOLDOUT_TEXT_NAME


def save_holdout(folder: Path, pairs: Sequence[AnyPair], task: Task = "rewrite") -> None:
    """Write the held-out lines of a run, and remove those of an earlier one.

    Raises:
        OutputError: the file cannot be written.
    """
    name = HOLDOUT_TEXT_NAME if task == "next" else HOLDOUT_NAME
    is_empty = not (pairs if task == "next" else any(map(is_writable, pairs)))
    for other in (HOLDOUT_NAME, HOLDOUT_TEXT_NAME):
        if other != name or is_empty:
            (folder / other).unlink(missing_ok=True)
    if is_empty:
        return
    if task == "next":
        # Whole passages first, so that they are the same when the text is cut again.
        targets = sorted((pair.target for pair in pairs), key=len, reverse=True)
        write_whole(folder / name, "".join(targets).encode())
    else:
        write_pairs(folder / name, pairs)


def read_holdout(folder: Path, task: Task = "rewrite") -> list[AnyPair]:
    """Return the held-out lines of a run; empty if it has none.

    Raises:
        InputError: the file is damaged.
    """
    if task == "next":
        file = folder / HOLDOUT_TEXT_NAME
        if not file.is_file():
            return []
        lines = read_lines(file, LONGEST_ROW)
        return [passage_pair(passage) for _, passage in passages_of(lines)]
    file = folder / HOLDOUT_NAME
    parse = parse_class if task == "classify" else split_pair
    return [pair for _, pair in read_pairs(file, parse)] if file.is_file() else []
