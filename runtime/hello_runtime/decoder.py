"""The decoder: text -> code points -> engine -> code points -> text.

`Decoder` is the public API, with the `Stream` that it makes. Its engine calls are in
`hello_runtime.engine.calls`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.classification import Classification, classifications, run_lines
from hello_runtime.engine.batching import run_ahead
from hello_runtime.engine.blocks import block_size
from hello_runtime.engine.calls import OpenModel
from hello_runtime.engine.lifecycle import LIFECYCLE
from hello_runtime.engine.rows import Annotation, unshared
from hello_runtime.errors import NotCausalError, TaskError, UnknownCharacterError
from hello_runtime.model.model_file import BUNDLED_CELLS, UNKNOWN_POLICIES, Unknown, locate
from hello_runtime.resources import available_cpus
from hello_runtime.stream import Stream
from hello_runtime.text.codepoints import LONGEST_ROW, check_type
from hello_runtime.text.long_text import LongText
from hello_runtime.text.normal_forms import Normaliser, normalise

if TYPE_CHECKING:
    from hello_runtime.engine.rows import Row
    from hello_runtime.model.tasks import Task
    from hello_runtime.text.long_text import Text

UNKNOWN_OR_NONE = (*UNKNOWN_POLICIES, None)


class Decoder(OpenModel):
    """An open model, made by `Decoder.open`. Several threads may use one decoder at the same time.

    Pickling keeps the arguments of `open`, and unpickling opens the model again. A forked process
    may use its parent's decoder unless another thread was decoding during the fork (`ForkError`).
    """

    _reopen: Callable[[], Decoder]

    def __init__(self, file: Path, provider: str, threads: int, unknown: Unknown | None) -> None:
        super().__init__(file, provider, unknown)
        self._threads = threads
        self._block_size = block_size(self.provider)
        self._refuses_unknown = (unknown or self.info.unknown) == "error"
        self._alphabet = frozenset(self.info.input_alphabet)
        self._form = self.info.normalization

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
        return self._row_text(self._run_alone(self._text_outputs, text))

    def decode_batch(self, texts: Iterable[str]) -> list[str]:
        """Return the output for each text, in order; texts of similar length share an engine call.

        >>> Decoder.open().decode_batch(["hello", "", "hello"])
        ['ohlol', '', 'ohlol']

        Raises:
            TypeError: the batch is a str, or a text is not.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        return [row.text for row in self._run_texts(self._text_outputs, texts)]

    def decode_batches(self, batches: Iterable[Iterable[str]]) -> Generator[list[str], None, None]:
        """Yield the outputs of each batch, in order; for more texts than fit into memory.

        One batch is read ahead, so that the engine works while the caller reads and writes; a batch
        of one text is run at once. A text of a recent batch is not run again.

        >>> list(Decoder.open().decode_batches([["hello"], ["hell", "hello"]]))
        [['ohlol'], ['ohlo', 'ohlol']]

        A caller that stops early must close the generator (`contextlib.closing`), which ends its
        threads.

        Raises:
            TypeError: a batch is a str, or a text is not.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        for rows in self._run_batches(self._text_outputs, batches):
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
            ModelFileError: a probability is no number.
        """
        self._need_task("rewrite")
        return unshared(self._run_texts(["decoded", "confidence"], texts))

    def classify(self, text: str) -> Classification:
        """Return the class of a line, by a model of the task `classify`.

        >>> Decoder.open("runs/names-gru/artifact").classify("Nowak").label  # doctest: +SKIP
        'Polish'

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

        >>> decoder = Decoder.open("runs/names-gru/artifact")  # doctest: +SKIP
        >>> [row.label for row in decoder.classify_batch(["Nowak", "Tanaka"])]  # doctest: +SKIP
        ['Polish', 'Japanese']

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

        >>> decoder = Decoder.open("runs/tales-lstm/artifact")  # doctest: +SKIP
        >>> "".join(decoder.generate("Once upon", 7, seed=1))  # doctest: +SKIP
        ' a time'

        Equal arguments give the same text on every machine; `hello_runtime.drawing` has the
        rule.

        Args:
            prompt: what the text begins with; an empty one is LF, the start of a line.
            characters: how many to draw.
            temperature: the logits are divided by it; 0 for the most probable character.
            top: draw from this many of the most probable characters; None for all.
            seed: 0 to 2^64 - 1; None for a random one.

        Raises:
            TaskError: the model's task is not `next`.
            UnknownCharacterError: the prompt has a character that the model refuses.
            ValueError: an argument is out of its range.
            EngineError: onnxruntime failed.
        """
        from hello_runtime.generation import continuations  # here: decoding does not need it

        return continuations(self, [prompt], characters, temperature, top, seed)

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

        >>> decoder = Decoder.open("runs/tales-lstm/artifact")  # doctest: +SKIP
        >>> decoder.generate_batch(["Once upon", "The"], 7, seed=1)  # doctest: +SKIP
        [' a time', ' little']

        Sample number k, counted from 0, is what `generate` draws with the seed `seed + k`. For the
        arguments and errors see there.
        """
        from hello_runtime.generation import continuations

        drawn = continuations(self, prompts, characters, temperature, top, seed)
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

    def _read_long(self, text: LongText, index: int) -> LongText:
        """Return a long text in the model's normal form, checked; see `_read`."""
        normaliser = Normaliser(self._form)
        normal = LongText(normaliser.normalised(text))
        if not normaliser.changed:
            normal = text
        before = 0
        for piece in normal:
            self._check_alphabet(piece, index, before)
            before += len(piece)
        return normal

    def _check_alphabet(self, text: str, index: int = 0, before: int = 0) -> None:
        """Refuse a text that has unknown characters.

        Args:
            text: the text, in the model's normal form.
            index: its index in its batch, for the error.
            before: how many characters were read before this part of it, for the error.
        """
        if self._refuses_unknown and not self._alphabet.issuperset(text):
            position = next(i for i, char in enumerate(text) if char not in self._alphabet)
            labels = self.info.unknown == "label" or not self._rewrites
            instead = "label" if labels else "copy"
            raise UnknownCharacterError(
                text[position], before + position, self.info.input_alphabet, index, instead
            )

    def _check_batch(self, batch: Iterable[Text]) -> list[Text]:
        """Return the texts of a batch in the model's normal form, each of them checked."""
        if isinstance(batch, str):  # an iterable of str as well, so type checkers accept it
            raise TypeError("a batch is a list of texts; for a single text there is decode")
        return [
            self._read_long(text, index) if isinstance(text, LongText) else self._read(text, index)
            for index, text in enumerate(batch)
        ]

    def _run_texts(self, outputs: list[str], texts: Iterable[Text]) -> list[Row]:
        """Return the row of each text; see `_run_batches`."""
        (rows,) = self._run_batches(outputs, [texts])
        return rows

    def _run_batches(
        self, outputs: list[str], batches: Iterable[Iterable[Text]]
    ) -> Generator[list[Row], None, None]:
        """Yield the row of each text of each batch, in order; a text may be a `LongText`.

        Args:
            outputs: of the graph, for the rows of a model that rewrites.
            batches: read as `decode_batches` reads them.
        """
        self._need_task("rewrite", "classify")
        run = partial(self._run_rows, outputs) if self._rewrites else partial(run_lines, self)
        checked = map(self._check_batch, batches)
        windowed = self._rewrites and not self.info.causal
        return run_ahead(run, checked, self._threads, self._block_size, windowed=windowed)
