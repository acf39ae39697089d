"""Decodes text with an exported model: text -> code points -> engine -> code points -> text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from hello_runtime.errors import (
    EngineError,
    ModelFileError,
    NotCausalError,
    UnknownCharacterError,
)
from hello_runtime.model_file import CELLS, ModelInfo, Unknown, locate, parse_metadata
from hello_runtime.providers import first_line, open_session
from hello_runtime.threads import available_cpus

Codepoints = NDArray[np.int32]
Array = NDArray[Any]

UNKNOWN_OR_NONE = (*get_args(Unknown), None)

BATCH_LINES = 32
"""Lines in one engine call, at most; larger batches were no faster."""
BATCH_CHARACTERS = 16384
"""Characters in one engine call of several lines, at most, padding included."""
MAX_SIZE = 1 << 20
"""Beyond any size of a state, so that a damaged one is refused and not allocated."""
CHUNK = 4096
"""Characters of a line that a causal model reads in one engine call, where it has it alone."""


class Annotation(NamedTuple):
    """A decoded text, and how sure the model is of each character."""

    text: str
    confidence: NDArray[np.float32]
    """[characters]: the probability of the label chosen; 1 where the character was copied."""


class Decoder:
    """An open model. One decoder may be used from several threads at once.

    `Decoder.open` opens it; `decode`, `decode_batch`, `annotate_batch` and `stream` use it.
    """

    def __init__(self, file: Path, provider: str, threads: int, unknown: Unknown | None) -> None:
        self.file = file
        self._session = open_session(file, provider)
        self.provider: str = self._session.get_providers()[0]
        """The device that the model runs on, by onnxruntime's name."""
        self.info: ModelInfo = parse_metadata(
            file, self._session.get_modelmeta().custom_metadata_map
        )
        self._threads = threads
        self._refuses_unknown = (unknown or self.info.unknown) == "error"
        self._alphabet = frozenset(self.info.input_alphabet)
        if self.info.causal:
            self._zero_state = np.zeros(state_shape(file, self._session), np.float32)

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        provider: str = "cpu",
        threads: int | None = None,
        *,
        cell: str = "gru",
        unknown: Unknown | None = None,
    ) -> Decoder:
        """Open a model.

        Args:
            path: an artifact folder or a model file; None for a model that the package carries.
            provider: `cpu` or `cuda`; what is asked for is what runs.
            threads: engine calls at the same time; None for the CPUs that the process may use.
            cell: `rnn`, `gru` or `lstm`: which of the carried models.
            unknown: `error` or `copy`, in place of the model's own policy.

        Raises:
            ModelFileError: the file is missing, damaged, not one of ours, or too new.
            ProviderError: the model would not run on that provider.
            ValueError: `cell`, `unknown` or `threads` is none that there is.
        """
        for name, value, choices in (("cell", cell, CELLS), ("unknown", unknown, UNKNOWN_OR_NONE)):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}; it must be one of {choices}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}; it must be at least 1")
        return cls(locate(path, cell), provider, threads or available_cpus(), unknown)

    def decode(self, text: str) -> str:
        """Return the text rewritten, one character for one.

        Raises:
            UnknownCharacterError: a character is unknown, and the model copies none.
            EngineError: onnxruntime failed.
        """
        if text == "":
            return ""
        self._check_alphabet(text)
        (decoded,) = self._run_line(["decoded"], to_codepoints(text))
        return to_text(decoded)

    def decode_batch(self, texts: Iterable[str]) -> list[str]:
        """Return each text rewritten, in order; lines of like length share an engine call.

        Raises:
            UnknownCharacterError: a character is unknown, and the model copies none.
            EngineError: onnxruntime failed.
        """
        return [to_text(decoded) for (decoded,) in self._run_texts(["decoded"], texts)]

    def annotate_batch(self, texts: Iterable[str]) -> list[Annotation]:
        """Return each text rewritten, in order, and the confidence of each character.

        Raises:
            UnknownCharacterError: a character is unknown, and the model copies none.
            EngineError: onnxruntime failed.
        """
        rows = self._run_texts(["decoded", "confidence"], texts)
        return [Annotation(to_text(decoded), confidence) for decoded, confidence in rows]

    def stream(self) -> Stream:
        """Return a new stream: feed it pieces of a text, and it answers for just those.

        Raises:
            NotCausalError: the model reads its lines from both ends.
        """
        if not self.info.causal:
            raise NotCausalError(
                f"{self.file}: a bidirectional model needs the whole line and cannot stream; "
                f"train one with --causal"
            )
        return Stream(self)

    def _check_alphabet(self, text: str, index: int = 0) -> None:
        if self._refuses_unknown and not self._alphabet.issuperset(text):
            position = next(i for i, char in enumerate(text) if char not in self._alphabet)
            raise UnknownCharacterError(text, position, self.info.input_alphabet, index)

    def _run_texts(self, outputs: list[str], texts: Iterable[str]) -> list[list[Array]]:
        """Run texts in batches, each distinct text once; return each one's outputs, [time]."""
        if isinstance(texts, str):  # it is a sequence of strings too, so no type checker would say
            raise TypeError("a batch is a list of texts; for a single text there is decode")
        texts = list(texts)
        for index, text in enumerate(texts):
            self._check_alphabet(text, index)
        batches = list(batched_by_length(dict.fromkeys(text for text in texts if text)))
        run = partial(self._run_batch, outputs)
        if len(batches) > 1 and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                results = list(pool.map(run, batches))
        else:
            results = [run(batch) for batch in batches]
        rows: dict[str, list[Array]] = {"": [np.zeros(0, np.float32) for _ in outputs]}
        for batch, result in zip(batches, results, strict=True):
            rows.update(zip(batch, result, strict=True))
        return [rows[text] for text in texts]

    def _run_batch(self, outputs: list[str], texts: list[str]) -> list[list[Array]]:
        """Run lines in one engine call, padded to the longest; return each one's outputs."""
        if len(texts) == 1:
            return [self._run_line(outputs, to_codepoints(texts[0]))]
        lengths = np.array([len(text) for text in texts], np.int32)
        codepoints = np.zeros((len(texts), lengths.max()), np.int32)
        for row, text in zip(codepoints, texts, strict=True):
            row[: len(text)] = to_codepoints(text)
        state = np.repeat(self._zero_state, len(texts), axis=1) if self.info.causal else None
        results = self._run(outputs, codepoints, lengths, state)
        return [[output[row, :length] for output in results] for row, length in enumerate(lengths)]

    def _run_line(self, outputs: list[str], codepoints: Codepoints) -> list[Array]:
        """Run one line, [time], and return its outputs, [time, ...]."""
        if not self.info.causal:
            lengths = np.array([len(codepoints)], np.int32)
            return [output[0] for output in self._run(outputs, codepoints[None], lengths, None)]
        return self._run_chunks(outputs, codepoints, self._zero_state)[0]

    def _run_chunks(
        self, outputs: list[str], codepoints: Codepoints, state: Array
    ) -> tuple[list[Array], Array]:
        """Run a piece of text, [time], from a state; return its outputs and the state after it."""
        pieces = []
        for start in range(0, len(codepoints), CHUNK):
            chunk = codepoints[None, start : start + CHUNK]
            *results, state = self._run([*outputs, "state_out"], chunk, None, state)
            pieces.append([output[0] for output in results])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)], state

    def _run(
        self,
        outputs: list[str],
        codepoints: Codepoints,
        lengths: NDArray[np.int32] | None,
        state: Array | None,
    ) -> list[Array]:
        """Call the engine once; `lengths` is for bidirectional models, `state` for causal ones."""
        given = {"state": state} if self.info.causal else {"lengths": lengths}
        try:
            results: list[Array] = self._session.run(outputs, {"codepoints": codepoints, **given})
        except Exception as error:  # onnxruntime's own classes share no base but this
            raise EngineError(f"{self.file}: onnxruntime failed: {first_line(error)}") from error
        return results


class Stream:
    """A text that arrives in pieces, read by a causal model that remembers what came before.

    Streams of one decoder are independent of each other; a single one is for one thread at a time.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._state: Array = decoder._zero_state

    def feed(self, text: str) -> str:
        """Return the next piece of the text rewritten, one character for one.

        Raises:
            UnknownCharacterError: a character is unknown, and the model copies none; the stream
                is as it was before the call.
            EngineError: onnxruntime failed; likewise.
        """
        if text == "":
            return ""
        self._decoder._check_alphabet(text)
        (decoded,), self._state = self._decoder._run_chunks(
            ["decoded"], to_codepoints(text), self._state
        )
        return to_text(decoded)


def to_codepoints(text: str) -> Codepoints:
    """Return the code points of a text, int32 [characters]; a lone surrogate counts as one."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<i4"))


def to_text(codepoints: Array) -> str:
    """Return the text of code points, int32 [characters].

    Raises:
        EngineError: one of them is none.
    """
    try:
        return codepoints.astype("<i4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")
    except UnicodeDecodeError as error:
        raise EngineError(f"the model wrote what is no code point ({error.reason})") from error


def state_shape(file: Path, session: Any) -> tuple[int, int, int]:
    """Return the shape of a causal model's state for one line, [slots, 1, hidden].

    Raises:
        ModelFileError: the model declares another input, or a size that no small model has.
    """
    match [(given.name, given.shape) for given in session.get_inputs()]:
        case [("codepoints", _), ("state", [int(slots), _, int(hidden)])] if (
            0 < slots < MAX_SIZE and 0 < hidden < MAX_SIZE
        ):
            return slots, 1, hidden
    raise ModelFileError(f"{file}: its inputs are not those of a causal model; export it again")


def batched_by_length(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts in groups of like length, so that little of a group is padding."""
    batch: list[str] = []
    for text in sorted(texts, key=len, reverse=True):
        longest = len(batch[0]) if batch else len(text)
        if batch and (len(batch) == BATCH_LINES or longest * (len(batch) + 1) > BATCH_CHARACTERS):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
