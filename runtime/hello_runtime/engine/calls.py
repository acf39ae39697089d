"""An open model, and the engine calls in which it gets texts.

An engine call takes code points, int32 [batch, time], and the lengths, int32 [batch], or for a
causal model the state, float32 [slots, batch, hidden].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.engine.copying import with_copies
from hello_runtime.engine.devices import open_session
from hello_runtime.engine.lifecycle import LIFECYCLE
from hello_runtime.engine.ort import onnxruntime
from hello_runtime.engine.rows import NO_CONFIDENCE, NO_LENGTHS, Annotation
from hello_runtime.errors import EngineError, ModelFileError, PolicyError, ProviderError, first_line
from hello_runtime.model.load import load_model
from hello_runtime.text.codepoints import (
    LONGEST_ROW,
    ascending_codepoints,
    padded,
    to_codepoints,
    to_text,
)
from hello_runtime.text.edits import NOTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.model.metadata import ModelInfo
    from hello_runtime.model.model_file import Unknown
    from hello_runtime.model.tensors import Shape
    from hello_runtime.text.codepoints import Codepoints

    Array = NDArray[Any]

PLAIN = onnxruntime.RunOptions()
"""Options of every call. Without any onnxruntime makes them each time, in half a microsecond."""


class OpenModel:
    """An open model: what it is, and its engine calls, whose outputs are checked."""

    file: Path
    """The model file."""
    info: ModelInfo
    """What the metadata of the model says."""
    provider: str
    """The device: onnxruntime's name of the provider, for a plugin also the kind of device."""
    passed_over: tuple[ProviderError, ...]
    """Why `auto` did not take the providers before this one."""

    def __init__(self, file: Path, provider: str, unknown: Unknown | None) -> None:
        self.file = file
        content, self.info, graph = load_model(file)
        check_policy(file, self.info, unknown)
        refuses = (self.info.task, self.info.unknown) == ("rewrite", "error")
        self._copies_outside = (  # an alphabet: after a call, other characters are copied
            ascending_codepoints(self.info.input_alphabet)
            if refuses and unknown == "copy"
            else None
        )
        self._session, self.provider, self.passed_over = open_session(content, file, provider)
        self._rewrites = self.info.task == "rewrite"
        self._text_outputs = ["decoded", "confidence"] if self.info.may_grow else ["decoded"]
        """The outputs that `_row_text` reads: a probability shows that a network left float32."""
        self._streamed = [*self._text_outputs, "state_out"]
        self._width = self.info.width if self._rewrites else None
        self._due = {
            name: (np.dtype(dtype), *split_shape(shape))
            for name, (dtype, shape) in graph.outputs.items()
        }
        """The type of each output, how many axes of the code points it has, and its other sizes."""
        self._numbers_per_character = graph.numbers
        if graph.state:
            slots, hidden_size = graph.state
            self._zero_state = np.zeros((slots, 1, hidden_size), np.float32)
        self._second_input = "state" if graph.state else "lengths"
        self._generation = LIFECYCLE.generation

    def _run_alone(self, outputs: list[str], text: str) -> list[Array]:
        """Return the outputs for a single text that is not empty."""
        second = self._zero_state if self.info.causal else np.array([len(text)], np.int32)
        return self._run(outputs, to_codepoints(text)[None], second)

    def _run_rows(self, outputs: list[str], texts: Sequence[str]) -> Iterator[list[Annotation]]:
        """Run texts as one batch; yield the rows of each chunk of them."""
        causal = self.info.causal
        if causal and max(map(len, texts)) > LONGEST_ROW:
            state = np.repeat(self._zero_state, len(texts), axis=1)
            return (rows for rows, _ in self._run_chunks(outputs, texts, state))
        if len(texts) == 1 and len(outputs) == 1 and self._width is None:  # nothing to cut
            text = self._row_text(self._run_alone(outputs, texts[0]))
            return iter([[Annotation(text, NO_CONFIDENCE)]])
        lengths = np.array([len(text) for text in texts], np.int32)
        second = np.repeat(self._zero_state, len(texts), axis=1) if causal else lengths
        return iter([self._split(self._run(outputs, padded(texts), second), lengths)])

    def _run_chunks(
        self, outputs: list[str], texts: Sequence[str], state: Array
    ) -> Iterator[tuple[list[Annotation], Array]]:
        """Run texts as one batch of a causal model, from a state [slots, batch, hidden].

        Yields:
            The rows of each chunk, and the state after its last step, padding included.
        """
        for start in range(0, max(map(len, texts)), LONGEST_ROW):
            chunk = [text[start : start + LONGEST_ROW] for text in texts]
            lengths = np.array([len(text) for text in chunk], np.int32)
            *results, state = self._run([*outputs, "state_out"], padded(chunk), state)
            yield self._split(results, lengths), state

    def _rewrite_chunks(self, text: str, state: Array) -> Iterator[tuple[str, Array]]:
        """Run a text as the only row of a causal model, from a state [slots, 1, hidden].

        Yields:
            What each chunk becomes, and the state behind it.
        """
        for start in range(0, len(text), LONGEST_ROW):
            chunk = text[start : start + LONGEST_ROW]
            *results, state = self._run(self._streamed, to_codepoints(chunk)[None], state)
            yield self._row_text(results), state

    def _row_text(self, results: list[Array]) -> str:
        """Return the text of one row without padding; `results` are its `_text_outputs`."""
        decoded = results[0]  # int32 [1, time] or [1, time, width]
        if len(results) > 1:
            check_finite(results[1], self.file)
        return self._to_text(decoded if self._width is None else decoded[decoded != NOTHING])

    def _split(self, results: list[Array], lengths: NDArray[np.int32]) -> list[Annotation]:
        """Return the rows of an engine call, without padding; `results` are its outputs."""
        decoded, *confidence = results  # the second where it was asked for
        counts = lengths.tolist()
        sizes: Array | None = None  # [batch, time]: how many characters each one became
        if self._width is None:
            text, time = self._to_text(decoded), decoded.shape[1]  # padding included
            starts = range(0, decoded.size, time)
            texts = [text[start : start + n] for start, n in zip(starts, counts, strict=True)]
            if confidence:
                sizes = np.ones(decoded.shape, np.uint8)
        else:
            written = decoded != NOTHING
            written &= (np.arange(decoded.shape[1]) < lengths[:, None])[..., None]
            sizes = written.sum(2, dtype=np.uint8)
            text, ends = self._to_text(decoded[written]), sizes.sum(1).cumsum().tolist()
            texts = [text[start:end] for start, end in pairwise([0, *ends])]
        by_row = repeat(NO_LENGTHS) if sizes is None else cut(sizes, counts)
        if not confidence:
            return list(map(Annotation, texts, repeat(NO_CONFIDENCE), by_row))
        confidences = [*cut(confidence[0], counts)]
        for row in confidences:
            check_finite(row, self.file)
        return list(map(Annotation, texts, confidences, by_row))

    def _run(self, outputs: list[str], codepoints: Codepoints, second: Array) -> list[Array]:
        """Call the engine once, and check the outputs; `second` is the state or the lengths."""
        inputs = {"codepoints": codepoints, self._second_input: second}
        thread = LIFECYCLE.enter(self._generation)
        try:
            results: list[Array] = self._session.run(outputs, inputs, PLAIN)
        except Exception as error:  # onnxruntime's own classes share no base but this
            raise EngineError(f"{self.file}: onnxruntime failed: {first_line(error)}") from error
        finally:
            LIFECYCLE.calling.discard(thread)
        for name, result in zip(outputs, results, strict=True):
            dtype, axes, sizes = self._due[name]
            shape = codepoints.shape[:axes] + sizes if axes else second.shape
            if result.shape != shape or result.dtype != dtype:
                raise EngineError(
                    f"{self.file}: the model gave a {name} of {result.dtype} {[*result.shape]}, "
                    f"where {dtype} {[*shape]} was due; export it again"
                )
        if self._copies_outside is not None:
            named = dict(zip(outputs, results, strict=True))
            results = [*with_copies(named, codepoints, self._copies_outside).values()]
        return results

    def _to_text(self, codepoints: Array) -> str:
        try:
            return to_text(codepoints)
        except UnicodeDecodeError as error:
            raise EngineError(
                f"{self.file}: the model wrote what is no code point ({error.reason})"
            ) from error


def split_shape(shape: Shape) -> tuple[int, tuple[int, ...]]:
    """Return how many free axes a shape begins with, 0 for a state, and its fixed sizes.

    >>> split_shape(("batch", "time", 5)), split_shape((2, "batch", 4))
    ((2, (5,)), (0, (2, 4)))
    """
    sizes = tuple(size for size in shape if isinstance(size, int))
    return (0 if isinstance(shape[0], int) else len(shape) - len(sizes)), sizes


def cut(rows: Array, lengths: Sequence[int]) -> Iterator[Array]:
    """Return rows [batch, time] without their padding."""
    return (row[:length] for row, length in zip(rows, lengths, strict=True))


def check_policy(file: Path, info: ModelInfo, asked: Unknown | None) -> None:
    """Check that a model can follow the policy for unknown characters that is asked for.

    One that refuses such characters has learned nothing of them. It can copy them, if it rewrites
    text; otherwise it can read them as zeros.

    Raises:
        PolicyError: it copies where it should label, or the other way round.
    """
    own, instead = info.unknown, "copy" if info.task == "rewrite" else "label"
    possible = ("error", instead if own == "error" else own)
    if asked not in (None, *possible):
        raise PolicyError(
            f"{file}: its policy for unknown characters is {own}, and it cannot follow {asked}; "
            f"use --unknown {' or '.join(possible)} (in Python: unknown={possible[1]!r})"
        )


def check_finite(numbers: Array, file: Path) -> None:
    """Check that logits choose something, by them or by the probabilities that they give.

    Raises:
        ModelFileError: a number is NaN or infinite.
    """
    if not np.isfinite(numbers).all():
        raise ModelFileError(
            f"{file}: its logits are NaN or infinite: the network grows beyond float32 on this "
            f"text, or its weights are damaged"
        )
