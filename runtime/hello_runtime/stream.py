"""A text that arrives in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hello_runtime.engine.batching import EMPTY, Annotation, Parts

if TYPE_CHECKING:
    from hello_runtime.decoder import Array, Decoder


class Stream:
    """A text that arrives in pieces, decoded by a causal model; made by `Decoder.stream`.

    Streams of one decoder are independent of each other. One stream is for one thread at a time.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._state: Array = decoder._zero_state
        self._fed = 0

    def feed(self, text: str) -> str:
        """Return the output for the next piece of the text.

        >>> from hello_runtime import Decoder
        >>> stream = Decoder.open().stream()
        >>> [stream.feed(character) for character in "hello"]
        ['o', 'h', 'l', 'o', 'l']

        After an error the stream is as it was before the call.

        Raises:
            TypeError: the piece is not a str.
            UnknownCharacterError: a character is outside the alphabet, and the policy is `error`.
            EngineError: onnxruntime failed.
        """
        return "".join(row.text for row in self._feed(["decoded"], text))

    def annotate(self, text: str) -> Annotation:
        """Return the output for the next piece, and what each character read became; see `feed`.

        >>> from hello_runtime import Decoder
        >>> Decoder.open().stream().annotate("hel").lengths.tolist()
        [1, 1, 1]
        """
        rows = self._feed(["decoded", "confidence"], text)
        return Parts(rows).joined() if rows else EMPTY

    def _feed(self, outputs: list[str], text: str) -> list[Annotation]:
        """Return the rows of the next piece, one for each engine call."""
        self._decoder._check_alphabet(text, before=self._fed)
        chunks = list(self._decoder._run_chunks(outputs, [text], self._state))
        if chunks:
            _, self._state = chunks[-1]
        self._fed += len(text)
        return [row for (row,), _ in chunks]
