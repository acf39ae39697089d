"""The baseline of a model: the most frequent target of each word of its training lines.

hello-train writes it beside a checkpoint, hello-export copies it beside the model, and
`hello-infer --score` compares the model with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hello_runtime.errors import DAMAGE, BaselineError, first_line, reason
from hello_runtime.text.edits import LONGEST_EDIT
from hello_runtime.text.files import read_regular, write_whole

BASELINE_NAME = "baseline.json"
"""The file's name, beside the checkpoint and beside the model."""
BASELINE_VERSION = 2
"""The newest format. Format 1 has targets as long as their words; what needs no more is written in
it."""
BASELINE_BYTES = 1 << 28
"""Bytes of a file that is read, at most. hello-train counts the words of 20 million characters, so
its files are smaller."""

WORD = re.compile(r"\w+")


class Baseline(NamedTuple):
    """A rewriting without a network, learned by counting."""

    words: Mapping[str, str]
    """The most frequent target of each word, of those words that mostly change."""
    changeable: frozenset[str]
    """The characters with a target other than themselves in a training line."""

    def rewrite(self, text: str) -> str:
        """Give every word its most frequent target, and leave the rest as it is."""
        words = self.words
        return WORD.sub(lambda word: words.get(word.group(), word.group()), text)


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write a baseline.

    Raises:
        OutputError: the file cannot be written.
    """
    is_one_for_one = all(len(word) == len(target) for word, target in baseline.words.items())
    content = {
        "format_version": 1 if is_one_for_one else BASELINE_VERSION,
        "changeable": "".join(sorted(baseline.changeable)),
        "words": dict(sorted(baseline.words.items())),
    }
    write_whole(file, json.dumps(content, ensure_ascii=False, indent=0).encode())


def read_baseline(file: Path) -> Baseline:
    """Return the baseline that a file holds.

    Raises:
        BaselineError: the file cannot be read, is damaged, or has a newer format.
    """
    try:
        content = json.loads(read_regular(file, BASELINE_BYTES).decode())
        version = int(content["format_version"])
        if version > BASELINE_VERSION:
            raise BaselineError(
                f"{file}: written in format {version}, and this hello-rnn reads up to format "
                f"{BASELINE_VERSION}; run: pip install --upgrade hello-rnn"
            )
        words, changeable = content["words"], content["changeable"]
        if not isinstance(changeable, str):
            raise ValueError("changeable is not a text")
        for word, target in words.items():
            if not is_target(target, word, version):
                raise ValueError(f"{target!r} is no target for {word!r}")
    except OSError as error:
        raise BaselineError(f"cannot read {file}: {reason(error)}") from error
    except DAMAGE as error:
        raise BaselineError(
            f"{file}: damaged baseline ({first_line(error)}); export the run again"
        ) from error
    return Baseline(words, frozenset(changeable))


def is_target(target: object, word: str, version: int) -> bool:
    """Tell whether a format allows a target for a word."""
    if not isinstance(target, str) or "\n" in target:
        return False
    return len(word) == len(target) if version == 1 else len(target) <= LONGEST_EDIT * len(word)
