"""Print the phrases of translated messages with a space between their words, as a network says.

    apt-get download libreoffice-l10n-th && dpkg-deb -x libreoffice-l10n-th_*.deb thai
    python train/recipes/segmented_lines.py Thai.json thai th > words.txt

NETWORK is one of Unicode's word segmenters (repository unicode-org/lstm_word_segmentation, Unicode
License V3; the file `weights.json` of a model for code points). It is the teacher: what learns from
these lines learns to agree with it. The text is that of every `LANG/LC_MESSAGES/*.mo` below FOLDER.
A phrase is a run of letters and marks of the network's alphabet, and is printed once.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mo_to_lines import messages
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST = 6
"""Characters of a phrase, at least."""
ROWS = 256
"""Phrases of one length that are read together, at most."""
ENDS = (2, 3)
"""The labels of the last character of a word: its end, or a word of one character."""


def sigmoid(x: Array) -> Array:
    """Return the logistic function."""
    result: Array = 1 / (1 + np.exp(-x))
    return result


def lstm(inputs: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Return the hidden states of an LSTM as Keras has it, [rows, time, units].

    Args:
        inputs: [rows, time, features].
        kernel: [features, 4 units], the gates i, f, c, o side by side.
        recurrent: [units, 4 units].
        bias: [4 units].
    """
    hidden = cell = np.zeros((len(inputs), len(recurrent)))
    states = []
    for step in range(inputs.shape[1]):
        gates = inputs[:, step] @ kernel + hidden @ recurrent + bias
        i, f, c, o = np.split(gates, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states, axis=1)


class Segmenter:
    """A network that labels each character: begin, inside or end of a word, or a word alone."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._ids: dict[str, int] = content["dic"]
        self._weights = [weights_of(content[f"mat{number}"]) for number in range(1, 10)]

    def word_ends(self, phrases: Sequence[str]) -> NDArray[np.bool_]:
        """Return where words end in phrases of one length, [phrases, characters]."""
        embedding, *weights, projection, bias = self._weights
        unknown = len(self._ids)
        ids = [[self._ids.get(char, unknown) for char in phrase] for phrase in phrases]
        read = embedding[np.array(ids)]
        forward = lstm(read, *weights[:3])
        backward = lstm(read[:, ::-1], *weights[3:])[:, ::-1]
        logits = np.concatenate([forward, backward], axis=2) @ projection + bias
        return np.isin(logits.argmax(axis=2), ENDS)

    def runs(self, text: str) -> list[str]:
        """Return the phrases of a text."""
        letters = "".join(char for char in self._ids if char.isprintable() and char > "\u02ff")
        return re.findall(rf"[{re.escape(letters)}]{{{FEWEST},}}", text)


def weights_of(content: Any) -> Array:
    """Return a matrix, which may stand in the file as its rows or as its numbers and shape."""
    if isinstance(content, dict):
        return np.array(content["data"], np.float64).reshape(content["dim"])
    return np.array(content, np.float64)


def segmented(phrases: Sequence[str], segmenter: Segmenter) -> Iterator[str]:
    """Yield phrases with a space between their words, in order of length."""
    by_length = defaultdict(list)
    for phrase in phrases:
        by_length[len(phrase)].append(phrase)
    for _, group in sorted(by_length.items()):
        for start in range(0, len(group), ROWS):
            rows = group[start : start + ROWS]
            for phrase, ends in zip(rows, segmenter.word_ends(rows), strict=True):
                spaced = (f"{c} " if end else c for c, end in zip(phrase, ends, strict=True))
                yield "".join(spaced).rstrip()


def main() -> None:
    """Write the phrases of all messages below the folder named on the command line."""
    if len(sys.argv) != 4:
        sys.exit("usage: segmented_lines.py NETWORK FOLDER LANG")
    network, folder, language = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    files = sorted(folder.rglob(f"{language}/LC_MESSAGES/*.mo"))
    if not files:
        sys.exit(f"{folder}: no {language}/LC_MESSAGES/*.mo in this folder")
    segmenter = Segmenter(json.loads(network.read_text(encoding="utf-8")))
    phrases: dict[str, None] = {}
    for file in files:
        for _, translation in messages(file.read_bytes()):
            phrases |= dict.fromkeys(segmenter.runs(translation))
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in segmented(list(phrases), segmenter):
        print(line)


if __name__ == "__main__":
    main()
