"""What smaller weights save in bytes, and what they cost on text.

The cost is measured on the held-out lines of the run: of a network that rewrites in characters
written otherwise, of a classifier in accuracy, of a network of `next` in bits per character. A run
without held-out lines, and a network from outside, is measured on random text: a classifier against
its own classes, and a network of `next` on what it draws itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from hello_runtime.model.model_file import MODEL_NAME
from hello_runtime.model.tasks import Task
from hello_runtime.text.codepoints import to_codepoints
from hello_runtime.text.pairs import AnyPair
from hello_train.data.sources import passage_pair
from hello_train.fit.task_evaluation import SAMPLE_START, classified, generate, predicted
from hello_train.network.model import Network

from hello_export.proof.cases import RandomText

MOST_CHARACTERS = 1_000_000
"""Most characters of held-out lines that are compared: the first ones."""
HELD_OUT = "of the held-out lines"
NONE_HELD_OUT = "for the run has none held out"
RANDOM = (400, 250)
"""Rows of random text, and the characters of each."""
WORDS: dict[Task, str] = {
    "rewrite": "of {characters} characters that leave a choice, {text}, {agreement:.4%} are "
    "written as with float32",
    "classify": "of {lines} lines, {text}, {accuracy:.2%} get their class, and "
    "{float32_accuracy:.2%} with float32",
    "next": "{bits:.4f} bits per character on {characters} characters, {text}, and "
    "{float32_bits:.4f} with float32",
}
"""The cost of each task, in words."""

Measured: TypeAlias = "tuple[dict[str, float | int], str]"
"""What was measured, by name, and on which text, in words."""


@dataclass(frozen=True)
class RoundingCost:
    """What smaller weights save and cost."""

    bytes: int
    """Size of the model file."""
    float32_bytes: int
    """Its size with weights in float32."""
    task: Task
    """The network's, which says what is measured."""
    measures: dict[str, float | int]
    """By name, as in `WORDS`; with `float32_` before it what the weights in float32 give."""
    text: str
    """What it was measured on, in words."""

    def to_json(self) -> dict[str, Any]:
        """Return the `rounding_cost` entry of the manifest."""
        sizes = {"bytes": self.bytes, "float32_bytes": self.float32_bytes}
        return {**sizes, **self.measures, "text": self.text}

    def __str__(self) -> str:
        return (
            f"{MODEL_NAME} has {self.bytes / 1000:.1f} kB, and {self.float32_bytes / 1000:.1f} kB "
            f"in float32; {WORDS[self.task].format(text=self.text, **self.measures)}"
        )


def rounding_cost(
    network: Network, rounded: Network, held_out: Sequence[AnyPair], *, size: int, float32_size: int
) -> RoundingCost:
    """Measure what rounded weights cost on text, beside the network with weights in float32.

    If no held-out line has a character to compare, random text is used. The sizes are bytes of
    the model file.
    """
    task = network.config.task
    measure = {"rewrite": compare_writing, "classify": compare_classes, "next": compare_bits}[task]
    return RoundingCost(size, float32_size, task, *measure(network, rounded, held_out))


def compare_writing(network: Network, rounded: Network, held_out: Sequence[AnyPair]) -> Measured:
    """Return the share of the characters that are written as with float32, and their number."""
    text, lines = HELD_OUT, [pair.input for pair in held_out]
    share, characters = agreement(network, rounded, first_characters(lines, MOST_CHARACTERS))
    if not characters:
        why = "for the held-out lines have none" if lines else NONE_HELD_OUT
        text = f"drawn from the alphabet, {why}"
        share, characters = agreement(network, rounded, random_lines(network))
    return {"agreement": share, "characters": characters}, text


def compare_classes(network: Network, rounded: Network, held_out: Sequence[AnyPair]) -> Measured:
    """Return the share of the lines that get their class, and their number."""
    lines, text = [pair.input for pair in held_out], HELD_OUT
    if not lines:
        lines = random_lines(network)
        text = f"drawn from the alphabet and with the classes of float32, {NONE_HELD_OUT}"
    own = classified(network, lines)
    targets = [pair.target for pair in held_out] or own
    accuracy, float32_accuracy = (
        sum(map(str.__eq__, found, targets)) / len(lines)
        for found in (classified(rounded, lines), own)
    )
    found = {"accuracy": accuracy, "float32_accuracy": float32_accuracy, "lines": len(lines)}
    return found, text


def compare_bits(network: Network, rounded: Network, held_out: Sequence[AnyPair]) -> Measured:
    """Return the bits per character, and the number of characters."""
    longest = max((len(pair.input) for pair in held_out), default=1)
    pairs, text = held_out[: MOST_CHARACTERS // longest], "of the held-out text"
    if not pairs:
        rows, length = RANDOM
        drawn = generate(network, length, seed=0, samples=rows)
        pairs = [passage_pair(SAMPLE_START + sample) for sample in drawn]
        text = f"which the network drew, {NONE_HELD_OUT}"
    (float32_bits, counts), (bits, _) = predicted(network, pairs), predicted(rounded, pairs)
    characters = sum(count for _, count in counts.values())
    return {"bits": bits, "float32_bits": float32_bits, "characters": characters}, text


def random_lines(network: Network) -> list[str]:
    """Return lines of characters drawn from the alphabet, with some unknown ones among them."""
    drawn = RandomText(network.config, seed=0).case(*RANDOM)
    return ["".join(map(chr, row)) for row in drawn.rows]


def agreement(network: Network, rounded: Network, lines: Sequence[str]) -> tuple[float, int]:
    """Return the share of the characters that both networks write alike, and their number.

    Only characters that could differ count: those in the alphabet to which the guard allows more
    than one output. The share is 1 if there are none.
    """
    config = network.config
    guard = config.guard or {}
    free = [ord(char) for char in config.input_alphabet if len(guard.get(char, (0, 0))) > 1]
    same = total = 0
    written = zip(lines, network.written_lines(lines), rounded.written_lines(lines), strict=True)
    for line, one, other in written:
        counted = np.isin(to_codepoints(line), free)
        total += int(counted.sum())
        same += int((one == other).all(1)[counted].sum())
    return same / total if total else 1.0, total


def first_characters(lines: Sequence[str], characters: int) -> Sequence[str]:
    """Return the first lines, up to this many characters; the last line may be cut."""
    starts = accumulate(map(len, lines), initial=0)
    return [
        line[: characters - start]
        for line, start in zip(lines, starts, strict=False)
        if start < characters
    ]
