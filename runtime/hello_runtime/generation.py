"""Generation: a model of the task `next` continues texts, one character after the other."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.drawing import SEEDS, draw, sample_seeds, uniforms
from hello_runtime.engine.calls import check_finite
from hello_runtime.errors import InputError
from hello_runtime.text.codepoints import LONGEST_ROW, padded, to_codepoints, to_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.decoder import Decoder

    Array = NDArray[Any]

OUTPUTS = ["logits", "state_out"]
"""The outputs of a call."""
START = "\n"
"""What an empty prompt stands for: the start of a line."""


def check_drawing(characters: int, temperature: float, top: int | None, seed: int | None) -> None:
    """Raise a ValueError unless the arguments of `Decoder.generate` are in range."""
    if characters < 0:
        raise ValueError(f"characters is {characters}; it must be at least 0")
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise ValueError(
            f"temperature is {temperature}; it must be 0, for the most probable character, or more"
        )
    if top is not None and top < 1:
        raise ValueError(f"top is {top}; it must be at least 1")
    if seed is not None and not 0 <= seed < SEEDS:
        raise ValueError(f"seed is {seed}; it must be from 0 to 2^64 - 1")


def checked_texts(decoder: Decoder, texts: Sequence[str]) -> list[str]:
    """Return texts that a model of the task `next` can read.

    Raises:
        TaskError: the model has another task.
        UnknownCharacterError: a text has a character that the model refuses.
    """
    decoder._need_task("next")
    return [*map(str, decoder._check_batch(texts))]


def read_through(
    decoder: Decoder, texts: Sequence[str], chunk: int = LONGEST_ROW
) -> Iterator[tuple[Array, Array]]:
    """Read texts side by side from zero states; at least one of them is not empty.

    Yields:
        For each chunk of so many characters the logits behind each character, float32 [texts, time,
        labels], and the state, float32 [slots, texts, hidden]. Behind the end of a shorter text
        both are of its padding.
    """
    state = np.repeat(decoder._zero_state, len(texts), axis=1)
    for start in range(0, max(map(len, texts)), chunk):
        pieces = [text[start : start + chunk] for text in texts]
        logits, state = decoder._run(OUTPUTS, padded(pieces), state)
        yield logits, state


def continuations(
    decoder: Decoder,
    prompts: Sequence[str],
    characters: int,
    temperature: float,
    top: int | None,
    seed: int | None,
) -> Iterator[str]:
    """Return what yields, so many times, the next character of each prompt, as one text.

    For the arguments and errors see `Decoder.generate`.

    Raises:
        InputError: a prompt is empty, and the model does not read what it stands for.
    """
    check_drawing(characters, temperature, top, seed)
    decoder._need_task("next")
    if not prompts:
        return iter(())
    alphabet = decoder.info.input_alphabet
    if decoder._refuses_unknown and START not in alphabet and not all(prompts):
        raise InputError(
            f"{decoder.file}: without a prompt a text begins behind a line feed, which the model "
            f"does not read; give --prompt (in Python: a prompt) with characters of {alphabet!r}"
        )
    samples = Samples(decoder, checked_texts(decoder, [prompt or START for prompt in prompts]))
    return samples.draw(characters, temperature, top, seed)


class Samples:
    """Texts that are continued side by side: each engine call reads a character of every one."""

    def __init__(self, decoder: Decoder, prompts: Sequence[str]) -> None:
        """Read the prompts: at least one, none empty; equal ones are read once."""
        self._decoder = decoder
        self._alphabet = to_codepoints(decoder.info.input_alphabet)
        read = {prompt: self._read(prompt) for prompt in dict.fromkeys(prompts)}
        self._logits = np.stack([read[prompt][0] for prompt in prompts])  # (samples, labels)
        self._state = np.concatenate([read[prompt][1] for prompt in prompts], axis=1)

    def _read(self, prompt: str) -> tuple[Array, Array]:
        """Return the logits behind a prompt, [labels], and the state, [slots, 1, hidden]."""
        for logits, state in read_through(self._decoder, [prompt]):
            last = logits[0, -1], state
        return last

    def draw(
        self, characters: int, temperature: float, top: int | None, seed: int | None
    ) -> Iterator[str]:
        """Yield the next character of every sample, as one text, so many times.

        Raises:
            ModelFileError: a logit is NaN or infinite.
        """
        seeds = sample_seeds(secrets.randbits(64) if seed is None else seed, len(self._logits))
        for number, drawn in zip(range(1, characters + 1), uniforms(seeds), strict=False):
            check_finite(self._logits, self._decoder.file)
            codepoints = self._alphabet[draw(self._logits, drawn, temperature, top)]
            yield to_text(codepoints)
            if number < characters:
                logits, self._state = self._decoder._run(OUTPUTS, codepoints[:, None], self._state)
                self._logits = logits[:, -1]
