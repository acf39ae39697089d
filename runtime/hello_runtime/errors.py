"""The errors of this package, one class for each cause, and how errors quote foreign text."""

from __future__ import annotations

import errno

TYPE_CHECKING = False  # not from `typing`, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import ClassVar


class HelloRuntimeError(Exception):
    """The base of every error that this package raises on purpose; the message names the fix."""


class InputError(HelloRuntimeError):
    """Text cannot be read, or has not the expected form."""


class AlignmentError(InputError):
    """An input and its target cannot be aligned within the limits; the text says which one."""


class OutputError(HelloRuntimeError):
    """A file or stream cannot be written."""


class ModelFileError(HelloRuntimeError):
    """A model file is missing, damaged, not one of ours, or from a newer format version."""


class BaselineError(HelloRuntimeError):
    """A file of most frequent targets is unreadable, damaged, or from a newer format version."""


class ProviderError(HelloRuntimeError):
    """The model would not run on the device that was asked for."""


class PolicyError(HelloRuntimeError):
    """A model cannot follow that policy for unknown characters."""


class EngineError(HelloRuntimeError):
    """onnxruntime failed while it ran the model."""


class ForkError(HelloRuntimeError):
    """A forked process uses what a thread of its parent held when it forked."""


class NotCausalError(HelloRuntimeError):
    """A bidirectional model was asked to stream."""


class TaskError(HelloRuntimeError):
    """A model was asked for what is not its task."""

    ABILITIES: ClassVar = {
        "rewrite": "rewrites text",
        "next": "generates text, with --generate (in Python: Decoder.generate)",
        "classify": "says of which class a line is",
    }

    def __init__(self, file: object, task: str, needed: Sequence[str]) -> None:
        super().__init__(file, task, needed)  # pickle calls the class with these arguments
        self.file = file
        self.task = task
        """The model's task."""
        self.needed = needed
        """The tasks, one of which was needed."""

    def __str__(self) -> str:
        needed = " or ".join(self.needed)
        return (
            f"{self.file}: its task is {self.task}, so it {self.ABILITIES[self.task]}; this needs "
            f"a model of the task {needed}"
        )


class UnknownCharacterError(HelloRuntimeError):
    """A text has a character outside the model's alphabet, and its policy is `error`."""

    def __init__(
        self, character: str, position: int, alphabet: str, index: int = 0, instead: str = "copy"
    ) -> None:
        # Pickle stores these arguments, and calls the class with them.
        super().__init__(character, position, alphabet, index, instead)
        self.character = character
        self.position = position
        """Index of the character in its text, or in all text that a stream was fed, from 0."""
        self.alphabet = alphabet
        """The model's input alphabet."""
        self.index = index
        """Index of the text in its batch, from 0."""
        self.instead = instead
        """The policy with which the model takes such characters, `copy` or `label`."""

    def __str__(self) -> str:
        alphabet = self.alphabet
        shown = alphabet if len(alphabet) <= 40 else f"{alphabet[:40]}…"
        does = "leaves such characters as they are"
        if self.instead == "label":
            does = "lets the model read such characters as ones that it does not know"
        return (
            f"{self.character!r} (U+{ord(self.character):04X}), character {self.position + 1} of "
            f"the text, is not in the model's alphabet {shown!r}; --unknown {self.instead} (in "
            f"Python: unknown={self.instead!r}) {does}"
        )


DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading JSON of another shape than expected may raise."""
LONGEST = 400
"""Characters that an error quotes of a foreign text, at most."""


def need(condition: object, message: str) -> None:
    """Raise a ValueError unless a condition holds."""
    if not condition:
        raise ValueError(message)


def printable(value: object) -> str:
    r"""Return a value as text, with every character escaped that could control a terminal.

    A byte of a file name that is not UTF-8, which Python keeps as a surrogate, is shown as a byte.

    >>> print(printable("a\x1b[2J\udcff"))
    a\x1b[2J\xff
    """
    return "".join(char if char.isprintable() else escaped(char) for char in str(value))


def escaped(char: str) -> str:
    """Return a character as an ASCII escape; see `printable`."""
    is_byte = "\udc80" <= char <= "\udcff"
    return f"\\x{ord(char) - 0xDC00:02x}" if is_byte else ascii(char)[1:-1]


def first_line(foreign: str | BaseException, longest: int = LONGEST) -> str:
    r"""Return the first line of a foreign text or of an error, as an error message may quote it.

    The content of a file or the message of an engine may be long and may control a terminal: the
    line is cut and escaped. An error without text gives the name of its class.

    >>> first_line(ValueError("\n  bad input\nat line 7"))
    'bad input'
    """
    text = str(foreign)
    line = next((line for line in text[: 4 * longest].splitlines() if line.strip()), "")
    if not line and isinstance(foreign, BaseException):
        return type(foreign).__name__
    shown = printable(line.strip())
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


NO_MEMORY = ("allocate memory", "not enough memory", "out of memory", "failed to map segment")
"""Parts of messages for lack of memory, of the system and of PyTorch, which has no class for it."""


def lacks_memory(error: Exception) -> bool:
    """Tell whether an error is a lack of memory."""
    return isinstance(error, MemoryError) or any(part in str(error) for part in NO_MEMORY)


def reason(error: OSError) -> str:
    """Return why the system refused a file operation, without the name of the file.

    >>> reason(FileNotFoundError(2, "No such file or directory", "in.txt"))
    'No such file or directory'
    """
    if error.errno == errno.EBADF:
        return "it is closed"
    return error.strerror or first_line(error)
