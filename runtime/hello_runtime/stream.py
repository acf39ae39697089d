"""A text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from hello_runtime.engine.rows import EMPTY, Annotation, Parts
from hello_runtime.text.codepoints import check_type
from hello_runtime.text.normal_forms import Normaliser

if TYPE_CHECKING:
    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.calls import Array

Row = TypeVar("Row")
Output = TypeVar("Output")


class Stream:
    """A text that arrives in pieces, decoded by a causal model; made by `Decoder.stream`.

    A model with a normal form reads a letter when the next one arrives, or at the end: a mark that
    joins it may follow.

    Streams of one decoder are independent of each other. One stream is for one thread at a time.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._state: Array = decoder._zero_state
        self._normaliser = Normaliser(decoder.info.normalization)
        self._read = 0

    def feed(self, text: str = "", *, final: bool = False) -> str:
        """Return the output for the next piece of the text.

        >>> from hello_runtime import Decoder
        >>> stream = Decoder.open().stream()
        >>> [stream.feed(character) for character in "hello"]
        ['o', 'h', 'l', 'o', 'l']

        After an error, or Ctrl-C, the stream is as it was before the call.

        Args:
            text: the piece.
            final: whether the text ends with it, so that nothing is held back.

        Raises:
            TypeError: the piece is not a str.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        return self._feed(self._decoder._rewrite_chunks, "".join, text, final)

    def annotate(self, text: str = "", *, final: bool = False) -> Annotation:
        """Return the output for the next piece, and what each character read became; see `feed`.

        >>> from hello_runtime import Decoder
        >>> Decoder.open().stream().annotate("hel").lengths.tolist()
        [1, 1, 1]
        """
        return self._feed(self._annotate_chunks, joined, text, final)

    def _annotate_chunks(self, text: str, state: Array) -> Iterator[tuple[Annotation, Array]]:
        """Yield the row of each chunk of a text, and the state behind it."""
        chunks = self._decoder._run_chunks(["decoded", "confidence"], [text], state)
        return ((row, state) for (row,), state in chunks)

    def _feed(
        self,
        run: Callable[[str, Array], Iterator[tuple[Row, Array]]],
        join: Callable[[list[Row]], Output],
        text: str,
        final: bool,
    ) -> Output:
        """Run the next piece, and return what `join` makes of its rows, one for each engine call.

        The stream changes only when the output is complete, whatever goes wrong, Ctrl-C included.
        """
        check_type(text)
        held = self._normaliser.held
        count = len(held)
        try:
            settled = self._normaliser.feed(text)
            if final:
                settled += self._normaliser.finish()
            self._decoder._check_alphabet(settled, before=self._read)
            chunks = list(run(settled, self._state))
            output = join([row for row, _ in chunks])
            state = chunks[-1][1] if chunks else self._state
            read = self._read + len(settled)
        except BaseException:
            del held[count:]
            self._normaliser.held = held
            raise
        self._state, self._read = state, read  # between these and the return nothing can interrupt
        return output


def joined(rows: list[Annotation]) -> Annotation:
    """Return the row of a text from those of its parts; of no parts, that of an empty text."""
    return Parts(rows).joined() if rows else EMPTY
