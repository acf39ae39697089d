"""Running text in passages, and how well a model of the task `next` predicts its characters.

A passage has the character before it, so each of its characters has one to be predicted from. The
first passage of a file begins behind LF. Each passage is read from a zero state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.errors import InputError, UnknownCharacterError
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_runtime.text.lines import NormalLines
from hello_runtime.text.measures import MODEL
from hello_runtime.text.pairs import in_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.decoder import Decoder
    from hello_runtime.text.measures import Measures

PASSAGE = 1024
"""Characters of a passage that are predicted, at most."""
BLOCK = 32 * PASSAGE
"""Characters that are read side by side."""
STEPS = 128
"""Characters of each passage that are read at a time, which limits the memory for logits."""


def passages_of(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the passages of a text, each behind the character before it, and where each ends.

    Args:
        lines: the lines with their numbers, in parts or whole; empty ones are counted and left out.
    """
    held, last = "\n", 1
    for number, piece in lines:
        held += "\n" * (number - last) + piece
        last = number
        while len(held) > PASSAGE:
            yield number, held[: PASSAGE + 1]
            held = held[PASSAGE:]
    if len(held) > 1:
        yield last, held


def score_text(decoder: Decoder, path: Path) -> dict[str, Measures]:
    """Return the bits per character of a model on a text; characters that it lacks do not count.

    Raises:
        InputError: the file is empty or cannot be read, or has a character that the model refuses.
        TaskError: the model's task is not `next`.
        EngineError: onnxruntime failed.
    """
    from hello_runtime.generation import checked_texts, read_through

    bits, count = 0.0, 0
    lines = NormalLines(path, decoder.info.normalization, LONGEST_ROW)
    for block in in_blocks((passage for _, passage in passages_of(lines)), len, BLOCK):
        try:
            texts = checked_texts(decoder, [passage[:-1] for passage in block])
        except UnknownCharacterError as error:
            raise InputError(f"{path}: in {block[error.index][:40]!r}: {error}") from error
        for number, (logits, _) in enumerate(read_through(decoder, texts, STEPS)):
            start = 1 + number * STEPS
            targets = [passage[start : start + STEPS] for passage in block]
            found = surprises(logits, targets, decoder.info.input_alphabet)
            bits, count = bits + float(found.sum()), count + len(found)
    if not count:
        raise InputError(f"{path}: there is no character in it that the model knows")
    return {MODEL: {"bits": bits / count, "character_count": count}}


def surprises(logits: NDArray[Any], targets: Sequence[str], alphabet: str) -> NDArray[np.float64]:
    """Return the surprise of each target character that is in the alphabet, in bits.

    >>> surprises(np.zeros((1, 3, 2)), ["ab?"], "ab").tolist()
    [1.0, 1.0]

    Args:
        logits: behind the character before each target, [rows, time, alphabet].
        targets: the characters of each row, at most `time`.
        alphabet: the characters that can be predicted.
    """
    number = {char: label for label, char in enumerate(alphabet)}
    known = [
        (row, step, number[char])
        for row, text in enumerate(targets)
        for step, char in enumerate(text)
        if char in number
    ]
    if not known:
        return np.zeros(0)
    rows, steps, labels = np.array(known).T
    chosen = logits[rows, steps].astype(np.float64)  # (targets, labels)
    largest = chosen.max(1)
    total = np.log(np.exp(chosen - largest[:, None]).sum(1)) + largest
    found: NDArray[np.float64] = (total - chosen[np.arange(len(labels)), labels]) / np.log(2)
    return found
