"""What smaller weights save in bytes, and what they cost in characters written otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from hello_runtime.model.model_file import MODEL_NAME
from hello_runtime.text.codepoints import to_codepoints
from hello_train.network.model import Network

from hello_export.proof.cases import RandomText

MOST_CHARACTERS = 1_000_000
"""Most characters of held-out lines that are compared: the first ones."""


@dataclass(frozen=True)
class RoundingCost:
    """What smaller weights save and cost."""

    bytes: int
    """Size of the model file."""
    float32_bytes: int
    """Its size with weights in float32."""
    agreement: float
    """Share of the characters that are written as with float32, 0 to 1."""
    characters: int
    """The number of characters compared: those that leave the network a choice."""
    text: str
    """What the characters were taken from, in words."""

    def __str__(self) -> str:
        return (
            f"{MODEL_NAME} has {self.bytes / 1000:.1f} kB, and {self.float32_bytes / 1000:.1f} kB "
            f"in float32; of {self.characters} characters that leave a choice, {self.text}, "
            f"{self.agreement:.4%} are written as with float32"
        )


def rounding_cost(
    network: Network, rounded: Network, lines: Sequence[str], *, size: int, float32_size: int
) -> RoundingCost:
    """Measure the cost of rounded weights on lines of text.

    Args:
        network: with weights in float32.
        rounded: the same network with rounded weights.
        lines: held-out lines; if they have no character to compare, random text is used.
        size: bytes of the model file.
        float32_size: bytes of the model file with weights in float32.
    """
    text = "of the held-out lines"
    share, characters = agreement(network, rounded, first_characters(lines, MOST_CHARACTERS))
    if not characters:
        text = "drawn from the alphabet, for the run has none held out"
        drawn = RandomText(network.config, seed=0).case(batch=400, time=250)
        drawn_lines = ["".join(map(chr, row)) for row in drawn.rows]
        share, characters = agreement(network, rounded, drawn_lines)
    return RoundingCost(size, float32_size, share, characters, text)


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
