"""The decoder: text -> code points -> engine -> code points -> text.

`Decoder` is the public API, with the `Stream` that it makes. An engine call takes code points,
int32 [batch, time], and the lengths, int32 [batch], or for a causal model the state, float32
[slots, batch, hidden].
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hello_runtime.classification import Classification, classifications, run_lines
from hello_runtime.engine.batching import (
    NO_CONFIDENCE,
    NO_LENGTHS,
    Annotation,
    run_ahead,
    unshared,
)
from hello_runtime.engine.cpus import available_cpus
from hello_runtime.engine.devices import open_session
from hello_runtime.engine.lifecycle import LIFECYCLE
from hello_runtime.errors import (
    EngineError,
    NotCausalError,
    PolicyError,
    ProviderError,
    TaskError,
    UnknownCharacterError,
    first_line,
)
from hello_runtime.model.labels import width_of
from hello_runtime.model.load import load_model
from hello_runtime.model.model_file import BUNDLED_CELLS, UNKNOWN_POLICIES, Unknown, locate
from hello_runtime.stream import Stream
from hello_runtime.text.codepoints import LONGEST_ROW, check_type, padded, to_codepoints, to_text
from hello_runtime.text.edits import NOTHING
from hello_runtime.text.normal_forms import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.model.metadata import ModelInfo
    from hello_runtime.model.tasks import Task
    from hello_runtime.text.codepoints import Codepoints

    Array = NDArray[Any]

UNKNOWN_OR_NONE = (*UNKNOWN_POLICIES, None)

INT32, FLOAT32 = np.dtype(np.int32), np.dtype(np.float32)
DTYPES = {
    "decoded": INT32,
    "label": INT32,
    "confidence": FLOAT32,
    "logits": FLOAT32,
    "state_out": FLOAT32,
}
"""The outputs of an engine call, and their types."""


class Decoder:
    """An open model, made by `Decoder.open`. Several threads may use one decoder at the same time.

    Pickling keeps the arguments of `open`, and unpickling opens the model again. A forked process
    may use its parent's decoder unless another thread was decoding during the fork (`ForkError`).
    """

    file: Path
    """The model file."""
    info: ModelInfo
    """What the metadata of the model says."""
    provider: str
    """The device: onnxruntime's name of the provider, for a plugin also the kind of device."""
    passed_over: tuple[ProviderError, ...]
    """Why `auto` did not take the providers before this one."""

    _reopen: Callable[[], Decoder]

    def __init__(self, file: Path, provider: str, threads: int, unknown: Unknown | None) -> None:
        self.file = file
        content, self.info, state = load_model(file)
        check_policy(file, self.info, unknown)
        self._session, self.provider, self.passed_over = open_session(content, file, provider)
        self._threads = threads
        self._refuses_unknown = (unknown or self.info.unknown) == "error"
        self._alphabet = frozenset(self.info.input_alphabet)
        self._rewrites = self.info.task == "rewrite"
        self._width = width_of(self.info.output_labels) if self._rewrites else None
        self._form = self.info.normalization
        if state:
            slots, hidden_size = state
            self._zero_state = np.zeros((slots, 1, hidden_size), np.float32)
        self._second_input = "state" if state else "lengths"
        self._generation = LIFECYCLE.generation

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

        >>> Decoder.open(cell="lstm").info.hidden_size
        4

        Args:
            path: an artifact folder or a model file; None for a bundled model.
            provider: `cpu`, `cuda`, or the NAME of an installed package onnxruntime-ep-NAME: the
                model runs there or not at all. `auto`: the first that works of cuda, these packages
                and cpu.
            threads: engine calls at the same time; None for the CPUs that the process may use.
            cell: `rnn`, `gru` or `lstm`: which bundled model.
            unknown: `error` or `copy`: what to do with a character outside the model's alphabet;
                None for the policy in the model. A model whose own policy is `label` cannot copy,
                and only such a model labels.

        Raises:
            ModelFileError: the file is missing, damaged, not from hello-export, or too new.
            PolicyError: the model cannot follow the policy `unknown`.
            ProviderError: the model would not run on that provider.
            ForkError: the process was forked while another thread opened a model.
            ValueError: `cell`, `unknown` or `threads` has no valid value.
        """
        for name, value, choices in (
            ("cell", cell, BUNDLED_CELLS),
            ("unknown", unknown, UNKNOWN_OR_NONE),
        ):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}; it must be one of {choices}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}; it must be at least 1")
        with LIFECYCLE.open_model():
            decoder = cls(locate(path, cell), provider, threads or available_cpus(), unknown)
        decoder._reopen = partial(cls.open, path, provider, threads, cell=cell, unknown=unknown)
        return decoder

    def __reduce__(self) -> tuple[Callable[[], Decoder], tuple[()]]:
        """Pickle the arguments of `open`."""
        return self._reopen, ()

    def decode(self, text: str) -> str:
        """Return the output for a text; of a classifier its class.

        >>> Decoder.open().decode("hello")
        'ohlol'

        Raises:
            TaskError: the model's task is `next`; this holds for every method that decodes.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        text = self._read(text)
        if not (self._rewrites and 0 < len(text) <= LONGEST_ROW):
            return self.decode_batch([text])[0]
        second = self._zero_state if self.info.causal else np.array([len(text)], np.int32)
        (decoded,) = self._run(["decoded"], to_codepoints(text)[None], second)
        return self._to_text(decoded if self._width is None else decoded[decoded != NOTHING])

    def decode_batch(self, texts: Iterable[str]) -> list[str]:
        """Return the output for each text, in order; texts of similar length share an engine call.

        >>> Decoder.open().decode_batch(["hello", "", "hello"])
        ['ohlol', '', 'ohlol']

        Raises:
            TypeError: the batch is a str, or a text is not.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        return [row.text for row in self._run_texts(["decoded"], texts)]

    def decode_batches(self, batches: Iterable[Iterable[str]]) -> Generator[list[str], None, None]:
        """Yield the outputs of each batch, in order; for more texts than fit into memory.

        One batch is read ahead, so that the engine works while the caller reads and writes. A text
        of a recent batch is not run again.

        >>> list(Decoder.open().decode_batches([["hello"], ["hell", "hello"]]))
        [['ohlol'], ['ohlo', 'ohlol']]

        A caller that stops early must close the generator (`contextlib.closing`), which ends its
        threads.

        Raises:
            TypeError: a batch is a str, or a text is not.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        for rows in self._run_batches(["decoded"], batches):
            yield [row.text for row in rows]

    def annotate_batch(self, texts: Iterable[str]) -> list[Annotation]:
        """Return the output for each text, in order, and what each character read became.

        >>> (annotation,) = Decoder.open().annotate_batch(["hello"])
        >>> annotation.text, annotation.confidence.shape, bool(annotation.confidence.min() > 0.25)
        ('ohlol', (5,), True)
        >>> annotation.lengths.tolist()
        [1, 1, 1, 1, 1]

        Raises:
            TypeError: the batch is a str, or a text is not.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        self._need_task("rewrite")
        return unshared(self._run_texts(["decoded", "confidence"], texts))

    def classify(self, text: str) -> Classification:
        """Return the class of a line, by a model of the task `classify`.

        The line is read whole, whatever its length: the memory that it takes grows with it. An
        empty line has no class; see `Classification`.

        Raises:
            TaskError: the model is no classifier.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        return self.classify_batch([text])[0]

    def classify_batch(self, texts: Iterable[str]) -> list[Classification]:
        """Return the class of each line, in order; lines of similar length share an engine call.

        Raises:
            TypeError: the batch is a str, or a text is not.
            TaskError, UnknownCharacterError, EngineError: see `classify`.
        """
        self._need_task("classify")
        return classifications(self, self._run_texts(["label", "logits"], texts))

    def generate(
        self,
        prompt: str = "",
        characters: int = 200,
        *,
        temperature: float = 1.0,
        top: int | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Yield the characters with which a model of the task `next` continues a text, as drawn.

        Equal arguments give the same text on every machine; `hello_runtime.text.drawing` has the
        rule.

        Args:
            prompt: what the text begins with; an empty one is LF, the start of a line.
            characters: how many to draw.
            temperature: the logits are divided by it; 0 for the most probable character.
            top: draw from so many of the most probable characters only; None for all.
            seed: 0 to 2^64 - 1; None for one that nobody knows.

        Raises:
            TaskError: the model's task is not `next`.
            UnknownCharacterError: the prompt has a character that the model refuses.
            ValueError: an argument is out of its range.
            EngineError: onnxruntime failed.
        """
        from hello_runtime.generation import check_drawing, samples  # decoding needs none of it

        check_drawing(characters, temperature, top, seed)
        return samples(self, [prompt]).draw(characters, temperature, top, seed)

    def generate_batch(
        self,
        prompts: Sequence[str],
        characters: int = 200,
        *,
        temperature: float = 1.0,
        top: int | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """Return what is drawn for each prompt; the samples share their engine calls.

        Sample number k, counted from 0, is what `generate` draws with the seed `seed + k`. For the
        arguments and errors see there.
        """
        from hello_runtime.generation import check_drawing, samples

        check_drawing(characters, temperature, top, seed)
        if not prompts:
            return []
        drawn = samples(self, prompts).draw(characters, temperature, top, seed)
        return [*map("".join, zip(*drawn, strict=True))] or [""] * len(prompts)

    def _need_task(self, *tasks: Task) -> None:
        """Check that the model has one of these tasks.

        Raises:
            TaskError: it has another.
        """
        if self.info.task not in tasks:
            raise TaskError(self.file, self.info.task, tasks)

    def stream(self) -> Stream:
        """Return a new stream, which decodes a text that arrives in pieces.

        >>> stream = Decoder.open().stream()
        >>> stream.feed("he"), stream.feed("llo")
        ('oh', 'lol')

        Raises:
            NotCausalError: the model is bidirectional.
            TaskError: its task is not `rewrite`.
        """
        self._need_task("rewrite")
        if not self.info.causal:
            raise NotCausalError(
                f"{self.file}: a bidirectional model needs the whole line and cannot stream; "
                f"train one with --causal"
            )
        return Stream(self)

    def _read(self, text: str, index: int = 0) -> str:
        """Return a text in the model's normal form, checked; `index` is its index in its batch."""
        check_type(text, index)
        text = normalise(text, self._form)
        self._check_alphabet(text, index)
        return text

    def _check_alphabet(self, text: str, index: int = 0, before: int = 0) -> None:
        """Refuse a text that has unknown characters.

        Args:
            text: the text, in the model's normal form.
            index: its index in its batch, for the error.
            before: how many characters the stream read before this text, for the error.
        """
        if self._refuses_unknown and not self._alphabet.issuperset(text):
            position = next(i for i, char in enumerate(text) if char not in self._alphabet)
            labels = self.info.unknown == "label" or not self._rewrites
            instead = "label" if labels else "copy"
            raise UnknownCharacterError(
                text[position], before + position, self.info.input_alphabet, index, instead
            )

    def _check_batch(self, batch: Iterable[str]) -> list[str]:
        """Return the texts of a batch in the model's normal form, each of them checked."""
        if isinstance(batch, str):  # an iterable of str as well, so type checkers accept it
            raise TypeError("a batch is a list of texts; for a single text there is decode")
        return [self._read(text, index) for index, text in enumerate(batch)]

    def _run_texts(self, outputs: list[str], texts: Iterable[str]) -> list[Annotation]:
        (rows,) = self._run_batches(outputs, [texts])
        return rows

    def _run_batches(
        self, outputs: list[str], batches: Iterable[Iterable[str]]
    ) -> Generator[list[Annotation], None, None]:
        self._need_task("rewrite", "classify")
        run = partial(self._run_rows, outputs) if self._rewrites else partial(run_lines, self)
        checked = map(self._check_batch, batches)
        windowed = self._rewrites and not self.info.causal
        return run_ahead(run, checked, self._threads, windowed=windowed)

    def _run_rows(self, outputs: list[str], texts: Sequence[str]) -> Iterator[list[Annotation]]:
        """Run texts as one batch; yield the rows of each chunk of them."""
        if self.info.causal:
            state = np.repeat(self._zero_state, len(texts), axis=1)
            return (rows for rows, _ in self._run_chunks(outputs, texts, state))
        lengths = np.array([len(text) for text in texts], np.int32)
        results = self._run(outputs, padded(texts, lengths), lengths)
        return iter([self._split(results, lengths)])

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
            *results, state = self._run([*outputs, "state_out"], padded(chunk, lengths), state)
            yield self._split(results, lengths), state

    def _split(self, results: list[Array], lengths: NDArray[np.int32]) -> list[Annotation]:
        """Return the rows of an engine call, without padding; `results` are its outputs."""
        decoded, *asked = results
        written = decoded[np.arange(decoded.shape[1]) < lengths[:, None]]  # (characters[, width])
        ends = text_ends = np.cumsum(lengths)
        sizes = np.ones(len(written), np.uint8) if asked else None
        if self._width is not None:
            standing = written != NOTHING
            written, sizes = written[standing], standing.sum(1, dtype=np.uint8)
            text_ends = np.append(0, np.cumsum(sizes, dtype=np.int64))[ends]
        text = self._to_text(written)
        texts = [text[start:end] for start, end in pairwise([0, *text_ends.tolist()])]
        confidences: Iterable[Array] = repeat(NO_CONFIDENCE)
        if asked:
            confidences = [row[:length] for row, length in zip(asked[0], lengths, strict=True)]
        by_row = repeat(NO_LENGTHS) if sizes is None else np.split(sizes, ends[:-1])
        return list(map(Annotation, texts, confidences, by_row))

    def _run(self, outputs: list[str], codepoints: Codepoints, second: Array) -> list[Array]:
        """Call the engine once, and check the outputs; `second` is the state or the lengths."""
        inputs = {"codepoints": codepoints, self._second_input: second}
        thread = LIFECYCLE.enter(self._generation)
        try:
            results: list[Array] = self._session.run(outputs, inputs)
        except Exception as error:  # onnxruntime's own classes share no base but this
            raise EngineError(f"{self.file}: onnxruntime failed: {first_line(error)}") from error
        finally:
            LIFECYCLE.calling.discard(thread)
        for name, result in zip(outputs, results, strict=True):
            shape = second.shape if name == "state_out" else self._shape(name, codepoints.shape)
            if result.shape != shape or result.dtype != DTYPES[name]:
                raise EngineError(
                    f"{self.file}: the model gave a {name} of {result.dtype} {[*result.shape]}, "
                    f"where {DTYPES[name]} {[*shape]} was due; export it again"
                )
        return results

    def _shape(self, name: str, given: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that an output must have, for code points of the shape `given`."""
        shape = given[:1] if self.info.task == "classify" else given
        if name == "logits":
            return (*shape, self.info.label_count)
        return (*shape, self._width) if name == "decoded" and self._width is not None else shape

    def _to_text(self, codepoints: Array) -> str:
        try:
            return to_text(codepoints)
        except UnicodeDecodeError as error:
            raise EngineError(
                f"{self.file}: the model wrote what is no code point ({error.reason})"
            ) from error


def check_policy(file: Path, info: ModelInfo, asked: Unknown | None) -> None:
    """Check that a model can follow the policy for unknown characters that is asked for.

    One that refuses such characters has learned nothing of them. It can copy them, if it rewrites
    text; otherwise it can read them as zeros.

    Raises:
        PolicyError: it copies where it should label, or the other way round.
    """
    own, instead = info.unknown, "copy" if info.task == "rewrite" else "label"
    if asked in (None, "error", own) or (own, asked) == ("error", instead):
        return
    raise PolicyError(
        f"{file}: its policy for unknown characters is {own}, and {asked} is none that it can "
        f"follow; leave --unknown out (in Python: unknown=None), or take error"
    )
