"""What can go wrong while decoding, one class for each thing."""

from __future__ import annotations

import errno


class HelloRuntimeError(Exception):
    """The base of every error that this package raises on purpose; its text names the fix."""


class ModelFileError(HelloRuntimeError):
    """A model file is missing, damaged, not one of ours, or from a newer format version."""


class BaselineError(HelloRuntimeError):
    """A file of most frequent targets is unreadable, damaged, or from a newer format version."""


class ProviderError(HelloRuntimeError):
    """The device asked for is not the device that the model would run on."""


class EngineError(HelloRuntimeError):
    """onnxruntime failed while it ran the model."""


class ForkError(HelloRuntimeError):
    """A forked process goes on with what the threads of its parent had begun."""


class NotCausalError(HelloRuntimeError):
    """A model that reads its lines from both ends was asked to stream."""


class UnknownCharacterError(HelloRuntimeError):
    """A text has a character outside the model's alphabet, and the model copies none."""

    def __init__(self, character: str, position: int, alphabet: str, index: int = 0) -> None:
        # Exceptions are pickled by these, and made again of them.
        super().__init__(character, position, alphabet, index)
        self.character = character
        self.position = position
        """Of the character in its text, or in all that a stream was fed, counted from 0."""
        self.alphabet = alphabet
        """Of the model."""
        self.index = index
        """Of the text in its batch, counted from 0."""

    def __str__(self) -> str:
        alphabet = self.alphabet
        shown = alphabet if len(alphabet) <= 40 else f"{alphabet[:40]}…"
        return (
            f"{self.character!r} (U+{ord(self.character):04X}), character {self.position + 1} of "
            f"the text, is not in the model's alphabet {shown!r}; --unknown copy (in Python: "
            f"unknown='copy') leaves such characters as they are"
        )


LONGEST = 400
"""Characters of what an error quotes, at most."""


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return the first line of a foreign text as an error may quote it.

    A file's content or an engine's message may be of any length, and may do things to a terminal:
    it is cut, and what is not printable is escaped.
    """
    line = next((line for line in text[: 4 * longest].splitlines() if line.strip()), "")
    shown = printable(line)
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class if it has none; see `one_line`."""
    return one_line(str(error)) or type(error).__name__


def reason(error: OSError) -> str:
    """Return why the system refused something; an error without a number has a text at most."""
    if error.errno == errno.EBADF:
        return "it is closed"
    return error.strerror or first_line(error)


def printable(value: object) -> str:
    """Return a value as text that does nothing to a terminal.

    A byte of a file name that is not UTF-8, which Python keeps as a surrogate, is shown as itself.
    """
    return "".join(char if char.isprintable() else escaped(char) for char in str(value))


def escaped(char: str) -> str:
    """Return a character as Python writes it, in ASCII."""
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return ascii(char)[1:-1]
